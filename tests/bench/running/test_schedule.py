"""Rounds: what is run, in which order, and what is kept, with a made-up clock and no process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bench.cases.case import Case
from bench.cases.config import load_profile, override
from bench.errors import ResultFileError
from bench.results.disturbance import OTHERS, repeated_sentence
from bench.results.record import DroppedRound, FailedRun, RunRecord
from bench.results.result_file import ResultFile
from bench.results.summary import load_summary
from bench.running.processes import RunFailedError
from bench.running.schedule import Plan, Suite, cases_that_fit, closed_first, order_of_round
from bench.show.notes import notes
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
    repeats: int | None = 0
    further_rounds: int = 0
    others: Callable[[Case, int, int], float] = lambda case, number, time: 0.0
    """What others take of the CPUs in a run of a round, that many times measured before."""
    now_s: float = 1000.0
    runs: list[Run] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    saved: list[tuple[int, ...]] = field(default_factory=list)

    def run(self, rounds: int, budget_s: float | None = None) -> None:
        Suite(
            Plan(
                self.cases,
                rounds,
                self.seed,
                budget_s,
                first=closed_first(self.cases),
                repeats=self.repeats,
                further_rounds=self.further_rounds,
            ),
            self.result,
            measure=self._measure,
            save=self._save,
            listener=self,
            now_s=lambda: self.now_s,
        ).run()

    def of_round(self, number: int) -> list[Case]:
        return [case for round_number, case in self.runs if round_number == number]

    def _measure(self, case: Case, number: int) -> RunRecord:
        share = self.others(case, number, self.runs.count((number, case)))
        self.runs.append((number, case))
        self.now_s += self.run_s
        if error := self.fails(case, number):
            raise error
        return replace(steady_record(case, number), worker_metadata={OTHERS: share})

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

    def cases_dropped(self, cases: Sequence[Case], rounds_left: int, budget_s: float) -> None:
        names = ", ".join(case.name for case in cases)
        self.events.append(f"dropped for {budget_s:g} s with {rounds_left} left: {names}")

    def repeat_started(self, round_number: int, runs: int, shares: Sequence[float]) -> None:
        self.events.append(f"repeat {round_number}: {len(shares)}/{runs}, {max(shares):g}")

    def repeat_ended(self, round_number: int, *, is_better: bool) -> None:
        self.events.append(f"repeated {round_number}: {'better' if is_better else 'no better'}")


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
    # A round takes 6 seconds, its first N alone 2: not even that would fit.
    stage.run(10, budget_s=3.5 * len(CASES))
    assert stage.result.rounds() == (1, 2, 3)
    assert stage.result.dropped_cases == ()
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
    assert more.result.dropped_cases == ()
    assert more.result.rounds() == (1, 2, 3, 4, 5)
    assert more.events[-1].endswith(": 5/10")


# --- Out of time: cases are dropped ---------------------------------------------------------------

N128 = [case for case in CASES if case.clients == 128]
KEPT = tuple(case for case in CASES if case.clients < 128)


def test_the_greatest_n_is_dropped_so_that_all_rounds_fit(stage: Stage) -> None:
    # The first round takes 6 s; four more of 6 would need 24, of the smaller N alone 16.
    stage.run(5, budget_s=6 + 16)
    assert stage.result.complete_rounds(KEPT) == (1, 2, 3, 4, 5)
    assert set(stage.result.dropped_cases) == set(N128)
    names = ", ".join(case.name for case in N128)
    assert stage.events.count(f"dropped for 22 s with 4 left: {names}") == 1
    assert not any(event.startswith("budget") for event in stage.events)
    assert {case for number, case in stage.runs if number > 1} == set(KEPT)


def test_a_dropped_case_is_named_in_the_file_and_its_runs_are_not_there(stage: Stage) -> None:
    stage.run(5, budget_s=22)
    summary = load_summary(stage.result.path)
    assert {row.case for row in summary.rows} == set(KEPT)
    assert all(row.rounds == (1, 2, 3, 4, 5) for row in summary.rows)
    assert set(summary.dropped_cases) == set(N128)
    (note,) = [note for note in notes(summary) if note.kind == "dropped"]
    assert all(case.name in note.text for case in N128)


def test_what_is_dropped_stays_dropped_when_resuming(stage: Stage) -> None:
    stage.run(5, budget_s=22)
    more = resumed(stage)
    assert set(more.result.dropped_cases) == set(N128)
    more.cases = KEPT
    more.run(6)
    assert {number for number, _ in more.runs} == {6}
    assert ResultFile.load(stage.result.path).complete_rounds(KEPT) == (1, 2, 3, 4, 5, 6)


def test_more_is_dropped_when_it_turns_out_slower(stage: Stage) -> None:
    def slower(case: Case, number: int) -> None:
        stage.run_s = 2.0 if number > 1 else 1.0

    stage.fails = slower
    stage.run(5, budget_s=30)
    assert stage.result.rounds() == (1, 2, 3, 4, 5)
    assert {case.clients for case in CASES if case not in stage.result.dropped_cases} == {1}


def fits(cases: tuple[Case, ...], rounds: int, left_s: float) -> tuple[Case, ...]:
    plan = Plan(cases, rounds, 1, first=closed_first(cases))
    return cases_that_fit(plan, dict.fromkeys(cases, 1.0), rounds, left_s)


def test_the_greatest_n_goes_first_and_managers_of_an_n_together() -> None:
    cases = tuple(
        Case(manager, workload, n)
        for workload in ("short", "medium")
        for manager in ("sync", "async", "floor")
        for n in (1, 8)
    )
    assert fits(cases, 2, 24.0) == cases
    left = fits(cases, 2, 23.9)
    assert [case for case in cases if case not in left] == [
        case for case in cases if case.workload == "medium" and case.clients == 8
    ]
    assert {case.clients for case in fits(cases, 2, 17.0)} == {1}
    assert fits(cases, 2, 6.0) == tuple(
        c for c in cases if c.workload == "short" and c.clients == 1
    )
    # Not even one N fits: then there are fewer rounds of all.
    assert fits(cases, 2, 5.9) == cases


def test_a_case_goes_with_the_one_that_must_run_before_it() -> None:
    # The loads in this order: that of a percentage would otherwise be left without its capacity.
    cases = tuple(
        Case("sync", "short", n, load=load) for load in ("open:50%", "closed") for n in (1, 8)
    )
    left = fits(cases, 1, 3.0)
    assert [(case.load, case.clients) for case in left] == [("open:50%", 1), ("closed", 1)]


# --- Disturbed rounds are measured again ----------------------------------------------------------


def shares_of(stage: Stage) -> dict[int, tuple[float, ...]]:
    return {number: stage.result.disturbed_shares(number) for number in stage.result.rounds()}


def test_a_disturbed_round_is_measured_again_as_a_whole(stage: Stage) -> None:
    stage.repeats = None
    disturbed = {(2, CASES[0]): 0.61, (2, CASES[1]): 0.3, (3, CASES[4]): 0.22}
    stage.others = lambda case, number, time: 0 if time else disturbed.get((number, case), 0.05)
    stage.run(4)
    # In the same order as before, the most disturbed round first, after the others.
    plan = Plan(CASES, 4, stage.seed)
    again = [*order_of_round(plan, 2), *order_of_round(plan, 3)]
    assert [case for _, case in stage.runs[4 * len(CASES) :]] == again
    assert [event for event in stage.events if event.startswith("repeat")] == [
        "repeat 2: 2/6, 0.61",
        "repeated 2: better",
        "repeat 3: 1/6, 0.22",
        "repeated 3: better",
    ]
    assert not any(shares_of(stage).values())
    summary = load_summary(stage.result.path)
    assert all(row.rounds == (1, 2, 3, 4) for row in summary.rows)
    assert summary.dropped_rounds == (
        DroppedRound(2, 0.61, "2 of 6 runs were disturbed, 0 of the repeat"),
        DroppedRound(3, 0.22, "1 of 6 runs were disturbed, 0 of the repeat"),
    )
    said = (
        "2 rounds were disturbed (other processes took 22 to 61 % of the CPUs) and measured again"
    )
    assert repeated_sentence(summary.dropped_rounds) == said
    assert [note.text for note in notes(summary) if note.kind == "repeated"] == [said]


def test_further_rounds_fill_the_budget_after_the_repeats(stage: Stage) -> None:
    stage.repeats, stage.further_rounds = None, 9
    stage.others = lambda case, number, time: 0.5 if (number, time) == (2, 0) else 0.0
    # Six cases of 1 s: two rounds, the repeat of the second, and two further ones fit.
    stage.run(2, budget_s=31.0)
    assert [number for number, _ in stage.runs] == [
        number for number in (1, 2, 2, 3, 4) for _ in CASES
    ]
    assert stage.events[-1] == "saved 4/11, 1 s left"
    assert stage.result.rounds() == (1, 2, 3, 4)
    # A resumed suite goes on behind them.
    stage.further_rounds = 3
    stage.run(2)
    assert stage.result.rounds() == (1, 2, 3, 4, 5)


def test_who_asks_for_rounds_gets_no_further_ones() -> None:
    default = load_profile("default")
    assert default.further_rounds
    assert override(default, rounds=3).further_rounds == 0
    assert override(default, rounds=3, further_rounds=2).further_rounds == 2
    assert override(default, clients=[1]).further_rounds == default.further_rounds


def test_one_repeat_is_said_in_the_singular() -> None:
    said = "1 round was disturbed (other processes took 61 % of the CPUs) and measured again"
    assert repeated_sentence([DroppedRound(3, 0.61, "")] * 2) == said
    assert repeated_sentence([]) is None


def test_without_disturbance_nothing_is_repeated(stage: Stage) -> None:
    stage.repeats = None
    stage.others = lambda case, number, time: 0.1
    stage.run(3)
    assert len(stage.runs) == 3 * len(CASES)
    assert load_summary(stage.result.path).dropped_rounds == ()


@pytest.mark.parametrize(("repeats", "most"), [(0, 0), (1, 1), (2, 2), (9, 3), (None, 3)])
def test_on_a_busy_machine_it_ends(stage: Stage, repeats: int | None, most: int) -> None:
    stage.repeats = repeats
    stage.others = lambda case, number, time: 0.5
    stage.run(3)
    assert len(stage.runs) == (3 + most) * len(CASES)
    assert all(len(shares) == len(CASES) for shares in shares_of(stage).values())
    assert len(load_summary(stage.result.path).dropped_rounds) == most


def test_repeats_keep_to_the_budget(stage: Stage) -> None:
    stage.repeats = None
    stage.others = lambda case, number, time: 0.5
    stage.run(3, budget_s=4.5 * len(CASES))
    assert len(stage.runs) == 4 * len(CASES)


def test_the_less_disturbed_measurement_stays_whatever_its_values(stage: Stage) -> None:
    stage.repeats = 1
    stage.others = lambda case, number, time: 0.9 if time else 0.3 if case == CASES[0] else 0
    stage.run(1)
    assert shares_of(stage) == {1: (0.3,)}
    assert stage.events[-1] == "repeated 1: no better"
    (dropped,) = load_summary(stage.result.path).dropped_rounds
    assert dropped == DroppedRound(1, 0.3, "6 runs of the repeat were disturbed, 1 of the first")


def test_a_failure_never_vanishes_by_a_repeat(stage: Stage) -> None:
    stage.repeats = None
    stage.others = lambda case, number, time: 0.5
    stage.fails = lambda case, number: (
        RunFailedError("no") if case == CASES[0] and number == 1 else None
    )
    stage.run(2)
    # Round 1 is not repeated; round 2 is, until there were as many repeats as such rounds.
    assert {number for number, _ in stage.runs[2 * len(CASES) :]} == {2}
    assert [failure.round for failure in stage.result.failures] == [1]


def test_a_repeat_that_fails_leaves_the_round_and_its_failure(stage: Stage) -> None:
    stage.repeats = None
    stage.others = lambda case, number, time: 0.0 if time else 0.5
    stage.fails = lambda case, number: (
        RunFailedError("no") if len(stage.runs) == len(CASES) + 2 else None
    )
    stage.run(1)
    again = ResultFile.load(stage.result.path)
    assert (again.run_count, len(again.failures)) == (len(CASES), 1)
    assert again.disturbed_shares(1) == (0.5,) * len(CASES)
    assert load_summary(again.path).dropped_rounds[0].why == "a run of the repeat failed"


def test_an_interrupted_repeat_leaves_the_first_measurement(stage: Stage) -> None:
    stage.repeats = None
    stage.others = lambda case, number, time: 0.0 if time else 0.5
    stage.fails = lambda case, number: (
        KeyboardInterrupt() if len(stage.runs) == 3 * len(CASES) + 2 else None
    )
    with pytest.raises(KeyboardInterrupt):
        stage.run(2)
    again = resumed(stage)
    assert again.result.complete_rounds(CASES) == (1, 2)
    assert shares_of(again) == {1: (), 2: (0.5,) * len(CASES)}
    # What was disturbed then can be measured again when going on.
    again.repeats = None
    again.run(2)
    assert {number for number, _ in again.runs} == {2}
    assert shares_of(again) == {1: (), 2: ()}
    assert [one.round for one in load_summary(stage.result.path).dropped_rounds] == [1, 2]
