"""Rounds: each runs every case once, in an order of its own, until all rounds or the time are done.

A suite that runs out of time drops cases, not rounds. Rounds that others disturbed are measured
again as a whole, if there is time: runs of one round are compared with each other.

A load can be a percentage of what the closed loop of the same case reached in the same round: the
capacity of a machine drifts, so that of another round would not do.

This module knows neither processes nor the terminal. It calls ``measure`` for a run and ``save``
after a round, and reports events to a listener. So it can be tested without a clock.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Protocol

from bench.cases.case import Case
from bench.cases.names import BASE
from bench.cases.notations import CLOSED, OPEN, Load
from bench.results.measures import redos
from bench.results.record import DroppedRound, FailedRun, RunRecord
from bench.results.result_file import ResultFile
from bench.running.processes import RunFailedError


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. ``first``: for a case the case that must run before it in each round.

    ``budget_s``: no round starts that would probably end later than that. ``run_s``: the shortest
    time that a run can take, for an estimate. ``repeats``: how many disturbed rounds may be
    measured again; None: as many as there are rounds, if the budget allows. ``further_rounds``: how
    many more rounds are measured at the end, if the budget allows.
    """

    cases: tuple[Case, ...]
    rounds: int
    seed: int
    budget_s: float | None = None
    run_s: float = 0.0
    first: Mapping[Case, Case] = field(default_factory=dict)
    repeats: int | None = 0
    further_rounds: int = 0


class Listener(Protocol):
    """Receives the events of a suite and shows progress. Times are seconds."""

    def suite_started(self, plan: Plan, rounds_done: int) -> None: ...
    def run_started(self, case: Case, round_number: int) -> None: ...
    def run_ended(self, outcome: RunRecord | FailedRun) -> None: ...
    def round_saved(self, round_number: int, rounds: int, left_s: float) -> None: ...
    def budget_spent(self, rounds_done: int, rounds: int, budget_s: float) -> None: ...
    def cases_dropped(self, cases: Sequence[Case], rounds_left: int, budget_s: float) -> None: ...
    def repeat_started(self, round_number: int, runs: int, shares: Sequence[float]) -> None: ...
    def repeat_ended(self, round_number: int, *, is_better: bool) -> None: ...


def order_of_round(plan: Plan, round_number: int) -> list[Case]:
    """The cases of a round in their random order: the same for the same seed and round.

    A case that others need is moved to just before the first of them.
    """
    cases = list(plan.cases)
    random.Random(f"{plan.seed}/{round_number}").shuffle(cases)
    if not plan.first:
        return cases
    pairs = ((plan.first.get(case), case) for case in cases)
    return list(dict.fromkeys(case for pair in pairs for case in pair if case is not None))


@dataclass(slots=True)
class Suite:
    """The rounds of a plan. ``plan`` loses the cases for which there is no time.

    ``measure`` makes a run of a case in a round; ``save`` is called after each round.
    """

    plan: Plan
    results: ResultFile
    _: KW_ONLY
    measure: Callable[[Case, int], RunRecord]
    save: Callable[[], None]
    listener: Listener
    now_s: Callable[[], float]
    _began_s: float = field(init=False)
    _took_s: list[dict[Case, float]] = field(init=False, default_factory=list)
    """Of each round that was measured here: how long its runs took."""
    _save_s: float = field(init=False, default=0.0)

    def run(self) -> None:
        """Runs the rounds that the results do not hold yet, and saves after each. Then measures
        disturbed rounds again, and further rounds.

        A failed run is recorded and the others go on. An interruption (KeyboardInterrupt) passes
        through; what was saved by then are whole rounds.
        """
        complete = self.results.complete_rounds(self.plan.cases)
        # A round that lacks a case is measured again: its cases would not be from the same time.
        for partial in set(self.results.rounds()) - set(complete):
            self.results.drop_round(partial)
        missing = [number for number in range(1, self.plan.rounds + 1) if number not in complete]
        self.listener.suite_started(self.plan, self.plan.rounds - len(missing))
        self._began_s = self.now_s()
        if self._measure_missing(missing):
            self._repeat_disturbed()
            self._measure_further()

    def _measure_missing(self, missing: Sequence[int]) -> bool:
        """Measures these rounds. Whether there was time for all of them."""
        plan = self.plan
        for done, number in enumerate(missing):
            left = len(missing) - done
            if done and self._expected_s(left) > self._left_s() < self._longest_round_s():
                assert plan.budget_s is not None
                self.listener.budget_spent(plan.rounds - left, plan.rounds, plan.budget_s)
                return False
            self._run_round(number)
            self._drop_cases(left - 1)
            begun_s = self.now_s()
            self.save()
            self._save_s = max(self._save_s, self.now_s() - begun_s)
            self.listener.round_saved(number, plan.rounds, self._expected_s(left - 1))
        return True

    def _repeat_disturbed(self) -> None:
        """Measures disturbed rounds again while there is time, the most disturbed ones first.

        Of the two measurements of a round the less disturbed one stays, whatever its values are. A
        round with a failed run is never repeated, or the failure could vanish.
        """
        failed = {failure.round for failure in self.results.failures}
        rounds = [n for n in self.results.rounds() if n not in failed]
        most = len(rounds) if self.plan.repeats is None else self.plan.repeats
        times = dict.fromkeys(rounds, 0)
        for _ in range(min(most, len(rounds))):
            found = {n: self.results.disturbed_shares(n) for n in rounds}
            disturbed = [n for n, shares in found.items() if shares]
            if not disturbed or self._left_s() < self._longest_round_s():
                return
            number = min(disturbed, key=lambda n: (times[n], -sum(found[n])))
            times[number] += 1
            if self._repeat(number, found[number]):
                rounds.remove(number)
            self.save()

    def _measure_further(self) -> None:
        """Measures more rounds while there is time: each makes intervals narrower."""
        plan = self.plan
        most = plan.rounds + plan.further_rounds
        for number in range(max(self.results.rounds(), default=0) + 1, most + 1):
            if self._left_s() < self._longest_round_s():
                return
            self._run_round(number)
            self.save()
            self.listener.round_saved(
                number, most, min(self._left_s(), self._expected_s(most - number))
            )

    def _repeat(self, number: int, shares: Sequence[float]) -> bool:
        """Measures a round again, of which others took these shares. Whether a run failed."""
        self.listener.repeat_started(number, len(self.plan.cases), shares)
        failures = len(self.results.failures)
        # Until the repeat is complete the saved file has the first measurement.
        first = self.results.take_round(number)
        self._run_round(number)
        has_failed = len(self.results.failures) > failures
        again = self.results.disturbed_shares(number)
        is_better = not has_failed and (len(again), sum(again)) < (len(shares), sum(shares))
        if is_better:
            why = f"{len(shares)} of {len(first)} runs were disturbed, {len(again)} of the repeat"
        else:
            self.results.put_round(number, first)
            why = f"{len(again)} runs of the repeat were disturbed, {len(shares)} of the first"
            if has_failed:
                why = "a run of the repeat failed"
        self.results.add_dropped_round(DroppedRound(number, max(shares), why))
        self.listener.repeat_ended(number, is_better=is_better)
        return has_failed

    def _run_round(self, number: int) -> None:
        took_s: dict[Case, float] = {}
        for case in order_of_round(self.plan, number):
            begun_s = self.now_s()
            self.listener.run_started(case, number)
            outcome: RunRecord | FailedRun
            try:
                outcome = self.measure(case, number)
            except RunFailedError as error:
                outcome = FailedRun(case, number, str(error))
                self.results.add_failure(outcome)
            else:
                self.results.add(outcome)
            self.listener.run_ended(outcome)
            took_s[case] = self.now_s() - begun_s
        self._took_s.append(took_s)

    def _drop_cases(self, rounds: int) -> None:
        """Drops cases until there is time for so many more rounds of the others."""
        plan = self.plan
        took_s = {case: self._mean_s(case) for case in plan.cases}
        left_s = self._left_s() - rounds * self._save_s
        kept = cases_that_fit(plan, took_s, rounds, left_s)
        if len(kept) < len(plan.cases):
            assert plan.budget_s is not None
            dropped = tuple(case for case in plan.cases if case not in kept)
            self.plan = replace(plan, cases=kept)
            self.results.drop_cases(dropped)
            self.listener.cases_dropped(dropped, rounds, plan.budget_s)

    def _mean_s(self, case: Case) -> float:
        return statistics.fmean(took_s[case] for took_s in self._took_s)

    def _expected_s(self, rounds: int) -> float:
        return rounds * sum(map(self._mean_s, self.plan.cases)) if rounds else 0.0

    def _longest_round_s(self) -> float:
        """Of the cases that are left. Before the first round: the shortest that it can be."""
        cases = self.plan.cases
        rounds = (sum(took_s[case] for case in cases) for took_s in self._took_s)
        return max(rounds, default=self.plan.run_s * len(cases))

    def _left_s(self) -> float:
        budget_s = self.plan.budget_s
        return math.inf if budget_s is None else budget_s - (self.now_s() - self._began_s)


def cases_that_fit(
    plan: Plan, took_s: Mapping[Case, float], rounds: int, left_s: float
) -> tuple[Case, ...]:
    """The cases of which so many more rounds take no longer than ``left_s``.

    The greatest N is left out first, at one N what is last in the order of the matrix: each curve
    then ends at a smaller N, and no workload or kind of child is without an answer. A reader
    compares managers at one N, so the cases that differ in nothing but the manager stay or go
    together, and so does a case with the one that must run before it. If not even the last group
    fits, all cases stay: then fewer rounds of all of them say more than as few of one group.
    """
    groups: dict[Case, list[Case]] = {}
    for case in plan.cases:
        groups.setdefault(replace(case, manager=BASE), []).append(case)
    kept = sorted(groups.values(), key=lambda group: group[0].clients)  # stable: keeps the order
    while rounds * sum(took_s[case] for group in kept for case in group) > left_s:
        if len(kept) == 1:
            return plan.cases
        kept.pop()
    left = {case for group in kept for case in group}
    return tuple(case for case in plan.cases if case in left and plan.first.get(case, case) in left)


def closed_of(case: Case) -> Case | None:
    """The case whose throughput the load is a percentage of; None if the load is no percentage."""
    return replace(case, load=CLOSED) if Load.parse(case.load).percent is not None else None


def closed_first(cases: Iterable[Case]) -> dict[Case, Case]:
    """For each case with a percentage the case that must run before it (`schedule.Plan.first`)."""
    return {case: closed for case in cases if (closed := closed_of(case)) is not None}


class MeasuresLoad(Protocol):
    """Runs a case. ``load`` replaces its own, which is a percentage. Raises RunFailedError."""

    def __call__(self, case: Case, round_number: int, *, load: str | None = None) -> RunRecord: ...


class WithCapacity:
    """Measures a case as `schedule.Suite` asks for it, with percentages turned into rates."""

    def __init__(self, measure: MeasuresLoad) -> None:
        self._measure = measure
        self._reached_per_s: dict[tuple[Case, int], float] = {}

    def __call__(self, case: Case, round_number: int) -> RunRecord:
        """Raises RunFailedError, also if the closed loop has failed in this round."""
        percent = Load.parse(case.load).percent
        if percent is None:
            # A round that is measured again must not take what the first one has reached.
            self._reached_per_s.pop((case, round_number), None)
            record = self._measure(case, round_number)
            if case.load == CLOSED:
                reached_per_s = redos.throughput_per_s(record.slices)
                self._reached_per_s[case, round_number] = reached_per_s
            return record
        closed = replace(case, load=CLOSED)
        if (closed, round_number) not in self._reached_per_s:
            raise RunFailedError(
                f"{closed.name} has no result in this round, whose throughput {case.load} is of"
            )
        reached_per_s = self._reached_per_s[closed, round_number]
        load = f"{OPEN}{reached_per_s * percent / 100:.3f}"
        try:
            Load.parse(load)
        except ValueError as error:
            problem = f"{case.load} of {reached_per_s:g} redos per second cannot be offered"
            raise RunFailedError(problem) from error
        return self._measure(case, round_number, load=load)
