"""Rounds: each runs every case once, in an order of its own, until all rounds or the time are done.

A load can be a percentage of what the closed loop of the same case reached in the same round: the
capacity of a machine drifts, so that of another round would not do.

This module knows neither processes nor the terminal. It calls ``measure`` for a run and ``save``
after a round, and reports events to a listener. So it can be tested without a clock.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from bench.cases.case import Case
from bench.cases.notations import CLOSED, OPEN, Load
from bench.results.measures import redos
from bench.results.record import FailedRun, RunRecord
from bench.results.result_file import ResultFile
from bench.running.processes import RunFailedError


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. ``first``: for a case the case that must run before it in each round.

    ``budget_s``: no round starts that would probably end later than that. ``run_s``: the shortest
    time that a run can take, for an estimate.
    """

    cases: tuple[Case, ...]
    rounds: int
    seed: int
    budget_s: float | None = None
    run_s: float = 0.0
    first: Mapping[Case, Case] = field(default_factory=dict)


class Listener(Protocol):
    """Receives the events of a suite and shows progress. Times are seconds."""

    def suite_started(self, plan: Plan, rounds_done: int) -> None: ...
    def run_started(self, case: Case, round_number: int) -> None: ...
    def run_ended(self, outcome: RunRecord | FailedRun) -> None: ...
    def round_saved(self, round_number: int, rounds: int, left_s: float) -> None: ...
    def budget_spent(self, rounds_done: int, rounds: int, budget_s: float) -> None: ...


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


def run_rounds(
    plan: Plan,
    results: ResultFile,
    *,
    measure: Callable[[Case, int], RunRecord],
    save: Callable[[], None],
    listener: Listener,
    now_s: Callable[[], float],
) -> None:
    """Runs the rounds that the results do not hold yet, and saves after each.

    A failed run is recorded and the others go on. An interruption (KeyboardInterrupt) passes
    through; what was saved by then are whole rounds.
    """
    complete = results.complete_rounds(plan.cases)
    # A round that lacks a case is measured again: its cases would not be from the same time.
    for partial in set(results.rounds()) - set(complete):
        results.drop_round(partial)
    missing = [number for number in range(1, plan.rounds + 1) if number not in complete]
    listener.suite_started(plan, plan.rounds - len(missing))
    started_s = now_s()
    longest_s = 0.0
    for done, number in enumerate(missing):
        begun_s = now_s()
        if plan.budget_s is not None and done and begun_s - started_s + longest_s > plan.budget_s:
            listener.budget_spent(plan.rounds - len(missing) + done, plan.rounds, plan.budget_s)
            return
        for case in order_of_round(plan, number):
            listener.run_started(case, number)
            outcome: RunRecord | FailedRun
            try:
                outcome = measure(case, number)
            except RunFailedError as error:
                outcome = FailedRun(case, number, str(error))
                results.add_failure(outcome)
            else:
                results.add(outcome)
            listener.run_ended(outcome)
        save()
        longest_s = max(longest_s, now_s() - begun_s)
        mean_s = (now_s() - started_s) / (done + 1)
        listener.round_saved(number, plan.rounds, mean_s * (len(missing) - done - 1))


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
    """Measures a case as `schedule.run_rounds` asks for it, with percentages turned into rates."""

    def __init__(self, measure: MeasuresLoad) -> None:
        self._measure = measure
        self._reached_per_s: dict[tuple[Case, int], float] = {}

    def __call__(self, case: Case, round_number: int) -> RunRecord:
        """Raises RunFailedError, also if the closed loop has failed in this round."""
        percent = Load.parse(case.load).percent
        if percent is None:
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
