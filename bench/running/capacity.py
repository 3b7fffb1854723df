"""Loads that are a percentage: of what the closed loop of the same case reached in the same round.

Capacity drifts with the machine, so that of another round would be another machine's. Nothing here
measures: it is told how to.
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
    """The case whose throughput a percentage is of; None for one whose load is none."""
    return replace(case, load=CLOSED) if Load.parse(case.load).percent is not None else None


def closed_first(cases: Iterable[Case]) -> dict[Case, Case]:
    """Which case must have been run before which, as `schedule.Plan` takes it."""
    return {case: closed for case in cases if (closed := closed_of(case)) is not None}


class MeasuresLoad(Protocol):
    """Runs a case; ``load`` in place of its own if that is a percentage. Raises RunFailedError."""

    def __call__(self, case: Case, round_number: int, *, load: str | None = None) -> RunRecord: ...


class WithCapacity:
    """Measures as ``schedule`` wants it done, with percentages made rates."""

    def __init__(self, measure: MeasuresLoad) -> None:
        self._measure = measure
        self._reached_per_s: dict[tuple[Case, int], float] = {}

    def __call__(self, case: Case, round_number: int) -> RunRecord:
        """Raises RunFailedError, also where the closed loop has failed in this round."""
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
