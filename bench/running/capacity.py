"""Loads given as a percentage of what the closed loop of the same case reached in the same round.

The capacity of a machine drifts, so the capacity of another round would not do. Nothing here
measures: the caller passes the function that does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from bench.cases.case import Case
from bench.cases.notations import CLOSED, OPEN, Load
from bench.results.measures import redos
from bench.results.record import RunRecord
from bench.running.processes import RunFailedError


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
        closed = closed_of(case)
        if closed is not None:
            load = self._load(case, closed, round_number)
            return self._measure(case, round_number, load=load)
        record = self._measure(case, round_number)
        if case.load == CLOSED:
            reached_per_s = redos.throughput_per_s(record.slices)
            self._reached_per_s[case, round_number] = reached_per_s
        return record

    def _load(self, case: Case, closed: Case, round_number: int) -> str:
        reached_per_s = self._reached_per_s.get((closed, round_number))
        if reached_per_s is None:
            raise RunFailedError(
                f"{closed.name} has no result in this round, whose throughput {case.load} is of"
            )
        percent = Load.parse(case.load).percent
        assert percent is not None
        load = f"{OPEN}{reached_per_s * percent / 100:.3f}"
        try:
            Load.parse(load)
        except ValueError as error:
            problem = f"{case.load} of {reached_per_s:g} redos per second cannot be offered"
            raise RunFailedError(problem) from error
        return load
