"""Rounds: what is run, in which order, and what is kept, with a made-up clock and no process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bench.cases.case import Case
from bench.errors import ResultFileError
from bench.results.record import FailedRun, RunRecord
from bench.results.result_file import ResultFile
from bench.running.processes import RunFailedError
from bench.running.schedule import Plan, order_of_round, run_rounds
from tests.support.synthetic import ENVIRONMENT, save, steady_record

CASES = tuple(Case(manager, "short", n) for manager in ("sync", "async") for n in (1, 8, 128))
Run = tuple[int, Case]


@dataclass
class Stage:
    """A suite without a machine: a run takes ``run_s`` of a clock that nothing else moves."""

    result: ResultFile
    run_s: float = 1.0
    cases: tuple[Case, ...] = CASES
    seed: int = 5
    fails: Callable[[Case, int], BaseException | None] = lambda case, number: None
    now_s: float = 1000.0
    runs: list[Run] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    saved: list[tuple[int, ...]] = field(default_factory=list)

    def run(self, rounds: int, budget_s: float | None = None) -> None:
        run_rounds(
            Plan(self.cases, rounds, self.seed, budget_s),
            self.result,
            measure=self._measure,
            save=self._save,
            listener=self,
            now_s=lambda: self.now_s,
        )

    def of_round(self, number: int) -> list[Case]:
        return [case for round_number, case in self.runs if round_number == number]

    def _measure(self, case: Case, number: int) -> RunRecord:
        self.runs.append((number, case))
        self.now_s += self.run_s
        if error := self.fails(case, number):
            raise error
        return steady_record(case, number)

    def _save(self) -> None:
        self.saved.append(self.result.rounds())
        self.result.save()

    def suite_started(self, plan: Plan, rounds_done: int) -> None:
        self.events.append(f"suite {rounds_done}/{plan.rounds}")

    def run_started(self, case: Case, round_number: int) -> None:
        self.events.append(f"start {round_number} {case.name}")

    def run_ended(self, outcome: RunRecord | FailedRun) -> None:
        why = f": {outcome.reason}" if isinstance(outcome, FailedRun) else ""
        self.events.append(f"end {outcome.round} {outcome.case.name}{why}")

    def round_saved(self, round_number: int, rounds: int, left_s: float) -> None:
        self.events.append(f"saved {round_number}/{rounds}, {left_s:g} s left")

    def budget_spent(self, rounds_done: int, rounds: int, budget_s: float) -> None:
        self.events.append(f"budget {budget_s:g}: {rounds_done}/{rounds}")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(ResultFile(tmp_path / "result.json", ENVIRONMENT))


def resumed(stage: Stage) -> Stage:
    """A suite that goes on with the file of that one."""
    return Stage(ResultFile.load(stage.result.path))


def same_set(runs: Sequence[Case]) -> bool:
    return sorted(runs) == sorted(CASES)


def test_each_round_runs_every_case_once(stage: Stage) -> None:
    stage.run(4)
    assert [number for number, _ in stage.runs] == sorted([1, 2, 3, 4] * len(CASES))
    assert all(same_set(stage.of_round(number)) for number in (1, 2, 3, 4))
    assert stage.result.complete_rounds(CASES) == (1, 2, 3, 4)


def test_the_order_is_that_of_the_seed_and_round(stage: Stage) -> None:
    stage.run(3)
    plan = Plan(CASES, 3, stage.seed)
    for number in (1, 2, 3):
        assert stage.of_round(number) == order_of_round(plan, number)


def test_orders_differ_between_rounds_and_seeds_and_not_otherwise() -> None:
    plan = Plan(CASES, 20, 1)
    orders = {tuple(order_of_round(plan, number)) for number in range(1, 21)}
    assert len(orders) > 15
    assert all(same_set(order) for order in orders)
    assert order_of_round(plan, 3) == order_of_round(Plan(CASES, 5, 1), 3)
    of_seeds = {tuple(order_of_round(Plan(CASES, 1, seed), 1)) for seed in range(20)}
    assert len(of_seeds) > 15
    # Where a case stands is no habit: each has been the first of a round.
    many = {order_of_round(plan, number)[0] for number in range(1, 201)}
    assert many == set(CASES)


def test_what_a_listener_hears(stage: Stage) -> None:
    stage.cases = CASES[:1]
    name = CASES[0].name
    stage.run(2)
    assert stage.events == [
        "suite 0/2",
        *(f"start 1 {name}", f"end 1 {name}", "saved 1/2, 1 s left"),
        *(f"start 2 {name}", f"end 2 {name}", "saved 2/2, 0 s left"),
    ]


def test_it_is_saved_after_each_round(stage: Stage) -> None:
    stage.run(3)
    assert stage.saved == [(1,), (1, 2), (1, 2, 3)]
    assert ResultFile.load(stage.result.path).rounds() == (1, 2, 3)


def test_a_round_that_would_not_fit_is_not_started(stage: Stage) -> None:
    stage.run(10, budget_s=3.5 * len(CASES))  # a round takes len(CASES) seconds
    assert stage.result.rounds() == (1, 2, 3)
    assert stage.events[-1] == "budget 21: 3/10"


def test_a_round_that_just_fits_is_run(stage: Stage) -> None:
    stage.run(3, budget_s=3.0 * len(CASES))
    assert stage.result.rounds() == (1, 2, 3)
    assert not any(event.startswith("budget") for event in stage.events)


def test_the_first_round_always_runs(stage: Stage) -> None:
    stage.run(5, budget_s=0.001)
    assert stage.result.rounds() == (1,)
    assert stage.events[-1] == "budget 0.001: 1/5"


def test_the_longest_round_so_far_is_expected_again(stage: Stage) -> None:
    slow = iter([1.0] * len(CASES) + [10.0] * len(CASES) + [1.0] * 100)

    def slower(case: Case, number: int) -> None:
        stage.run_s = next(slow)

    stage.run_s = next(slow)
    stage.fails = slower
    stage.run(10, budget_s=100.0)
    # After 6 and about 60 seconds another 60 would not fit, though a round like the first would.
    assert stage.result.rounds() == (1, 2)


def test_without_a_budget_all_rounds_run(stage: Stage) -> None:
    stage.run_s = 1e6
    stage.run(4)
    assert stage.result.rounds() == (1, 2, 3, 4)


def test_a_failed_run_is_recorded_and_the_others_go_on(stage: Stage) -> None:
    bad = CASES[2]
    stage.fails = lambda case, number: (
        RunFailedError("wrong page") if (case, number) == (bad, 2) else None
    )
    stage.run(3)
    assert len(stage.runs) == 3 * len(CASES)
    assert stage.result.failures == (FailedRun(bad, 2, "wrong page"),)
    assert stage.result.run_count == 3 * len(CASES) - 1
    assert f"end 2 {bad.name}: wrong page" in stage.events
    assert ResultFile.load(stage.result.path).failures == stage.result.failures


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError(), SystemExit(3)])
@pytest.mark.parametrize("at", [0, 1, len(CASES) - 1])
def test_what_is_no_failed_run_passes_and_saved_rounds_stay(
    error: BaseException, at: int, stage: Stage
) -> None:
    stage.fails = lambda case, number: error if len(stage.runs) == 2 * len(CASES) + at + 1 else None
    with pytest.raises(type(error)):
        stage.run(5)
    assert stage.result.path.exists()
    again = ResultFile.load(stage.result.path)
    assert again.rounds() == again.complete_rounds(CASES) == (1, 2)
    assert stage.saved == [(1,), (1, 2)]


def test_an_interrupt_in_the_first_round_leaves_no_file(stage: Stage) -> None:
    stage.fails = lambda case, number: KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        stage.run(5)
    assert not stage.result.path.exists()


def test_a_save_that_fails_is_not_swallowed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> Path:
        raise ResultFileError(stage.result.path, "no space")

    monkeypatch.setattr(stage.result, "save", full)
    with pytest.raises(ResultFileError, match="no space"):
        stage.run(5)
    assert len(stage.runs) == len(CASES)


def test_resuming_runs_only_what_is_missing(stage: Stage) -> None:
    stage.run(2)
    more = resumed(stage)
    more.run(5)
    assert sorted({number for number, _ in more.runs}) == [3, 4, 5]
    assert all(same_set(more.of_round(number)) for number in (3, 4, 5))
    assert more.events[0] == "suite 2/5"
    assert more.result.complete_rounds(CASES) == (1, 2, 3, 4, 5)
    # As if it had not been interrupted.
    plan = Plan(CASES, 5, stage.seed)
    assert more.of_round(4) == order_of_round(plan, 4)


def test_nothing_is_missing(stage: Stage) -> None:
    stage.run(2)
    more = resumed(stage)
    more.run(2)
    assert (more.runs, more.saved) == ([], [])
    more.run(1)
    assert (more.runs, more.result.rounds()) == ([], (1, 2))


def test_a_round_that_is_missing_in_between_is_run(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    save(path, [steady_record(case, number) for case in CASES for number in (1, 3)])
    stage = Stage(ResultFile.load(path))
    stage.run(3)
    assert {number for number, _ in stage.runs} == {2}
    assert stage.result.complete_rounds(CASES) == (1, 2, 3)


def test_a_partial_round_is_run_anew_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    records = [steady_record(case, 1) for case in CASES]
    half = [steady_record(case, 2, latency_ns=7) for case in CASES[:3]]
    save(path, records + half, [FailedRun(CASES[3], 2, "old")])
    stage = Stage(ResultFile.load(path))
    stage.run(2)
    assert same_set(stage.of_round(2))
    assert len(stage.runs) == len(CASES)
    assert stage.result.failures == ()
    assert stage.result.run_count == 2 * len(CASES)


def test_a_partial_round_beyond_the_plan_is_dropped_too(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    records = [steady_record(case, 1) for case in CASES]
    save(path, [*records, steady_record(CASES[0], 9)])
    stage = Stage(ResultFile.load(path))
    stage.run(2)
    assert stage.result.rounds() == (1, 2)


def test_a_failed_run_is_an_attempt_when_resuming(stage: Stage) -> None:
    stage.fails = lambda case, number: RunFailedError("no") if case == CASES[0] else None
    stage.run(1)
    more = resumed(stage)
    more.run(2)
    assert {number for number, _ in more.runs} == {2}
    assert [one.round for one in more.result.failures] == [1]


def test_the_budget_of_a_resumed_suite_begins_anew(stage: Stage) -> None:
    stage.run(3)
    more = resumed(stage)
    more.run(10, budget_s=2.0 * len(CASES))
    assert more.result.rounds() == (1, 2, 3, 4, 5)
    assert more.events[-1].endswith(": 5/10")
