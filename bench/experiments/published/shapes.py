"""How time per redo depends on the manager and on N: measured here, and as published.

Shapes, never times: machine, language, child and executor differ, so absolute times do not compare.
What does is the ratio of sync to async at the same N, and the time at N as a multiple of that at
N = 1.

A ratio measured here is the geometric mean of the ratios of each round, its interval that of
`bench.statistics.rounds.ratio`. A published ratio is that of two estimates from different
processes; its interval comes from theirs, their distances added in quadrature on logarithms (G. Y.
Zou and A. Donner, "Construction of confidence limits about effect measures: a general approach",
Statistics in Medicine 27 (2008)).

Computes from rows and tables; knows no files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bench.cases.names import SYNC
from bench.experiments.published.reference import Published, Table, Time
from bench.results.row import Measure
from bench.results.summary import CaseRow, Group
from bench.statistics.bounded import Bounded
from bench.statistics.effects import side
from bench.statistics.rounds import ratio

ASYNC: Final = "async"

ALIKE_WITHIN: Final = 0.05
"""Ratios within a factor of 1.05 of 1 are alike. The published ones then say what their authors
wrote of them (short: sync is ahead at N = 2, async from 4 on; medium: equal)."""


class Direction(StrEnum):
    """What a ratio of sync to async says."""

    SYNC_SLOWER = "sync takes longer"
    ALIKE = "alike"
    ASYNC_SLOWER = "async takes longer"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Ratio(Bounded[float]):
    """A ratio of two times."""

    @property
    def ratio(self) -> float:
        """The same name as in an `Effect`."""
        return self.value

    @property
    def direction(self) -> Direction:
        """One side is slower if the ratio is further than `ALIKE_WITHIN` from 1 and the interval
        does not contain 1; both are alike if the whole interval is within it."""
        if self.low is None or self.high is None:
            return Direction.UNDECIDED
        if slower := side(self, ALIKE_WITHIN):
            return Direction.SYNC_SLOWER if slower > 0 else Direction.ASYNC_SLOWER
        most = 1 + ALIKE_WITHIN
        is_alike = 1 / most <= self.low and self.high <= most
        return Direction.ALIKE if is_alike else Direction.UNDECIDED


ByClients = Mapping[int, Ratio]
"""N -> a ratio there, N ascending."""


@dataclass(frozen=True, slots=True)
class Beside:
    """The own and the published ratio of sync to async of one table, at the N that both have."""

    table: Table
    own: ByClients
    published: ByClients

    def where(self, agrees: bool | None) -> tuple[int, ...]:
        """The N at which both point the same way or are alike (True), at which they point apart
        (False), and at which a direction is not known (None)."""
        return tuple(n for n in self.own if self.agrees(n) is agrees)

    def agrees(self, clients: int) -> bool | None:
        found = {self.own[clients].direction, self.published[clients].direction}
        return None if Direction.UNDECIDED in found else len(found) == 1

    @property
    def counted(self) -> str:
        """As ``2 of 4``."""
        return f"{len(self.where(True))} of {len(self.own)}"

    @property
    def exceptions(self) -> str:
        """As `` (not at N = 2; not significant at N = 1, 4)``; empty without an exception."""
        text = "; ".join(
            f"{word} at any N"
            if len(where) == len(self.own)
            else f"{word} at N = {', '.join(map(str, where))}"
            for word, where in (("not", self.where(False)), ("not significant", self.where(None)))
            if where
        )
        return f" ({text})" if text else ""


def beside(group: Group, published: Published) -> list[Beside]:
    """The group's ratios beside those of each table that has both managers with its workload."""
    own = own_ratios(group)
    found = []
    for table in published.tables:
        theirs = published_ratios(table, group.workload)
        if common := [n for n in own if n in theirs]:
            found.append(Beside(table, {n: own[n] for n in common}, {n: theirs[n] for n in common}))
    return found


def own_ratios(group: Group) -> ByClients:
    """sync / async at each N at which both were measured in a common round."""
    return _of_rounds(group, SYNC, lambda n: group.row(ASYNC, n))


def own_growth(group: Group, manager: str) -> ByClients:
    """The manager's time at N / at N = 1; empty where that was not measured."""
    return _of_rounds(group, manager, lambda _: group.row(manager, 1))


def published_ratios(table: Table, workload: str) -> ByClients:
    """sync / async at each N that the table has of both."""
    above, below = table.times(SYNC, workload), table.times(ASYNC, workload)
    return {n: of_times(above[n], below[n]) for n in sorted(above.keys() & below.keys())}


def published_growth(table: Table, manager: str, workload: str) -> ByClients:
    """The manager's published time at N / at N = 1; empty where there is none of it."""
    times = table.times(manager, workload)
    if 1 not in times:
        return {}
    return {
        n: Ratio(1.0, 1.0, 1.0) if n == 1 else of_times(times[n], times[1]) for n in sorted(times)
    }


def _of_rounds(group: Group, manager: str, base_of: Callable[[int], CaseRow | None]) -> ByClients:
    time_of = Measure.TIME_PER_REDO.of
    effects = {n: ratio(time_of(group.row(manager, n)), time_of(base_of(n))) for n in group.clients}
    return {n: Ratio(one.ratio, one.low, one.high) for n, one in effects.items() if one}


def of_times(a: Time, b: Time) -> Ratio:
    """a / b, with an interval from both of theirs."""
    value = a.estimate_us / b.estimate_us
    down = math.hypot(math.log(a.estimate_us / a.low_us), math.log(b.high_us / b.estimate_us))
    up = math.hypot(math.log(a.high_us / a.estimate_us), math.log(b.estimate_us / b.low_us))
    return Ratio(value, value * math.exp(-down), value * math.exp(up))
