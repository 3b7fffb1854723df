"""Open loads beside the closed loop of the same case: the ratios between them.

Computes from the rows of a summary. Tables and the figure are in `view`.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from bench.cases.case import Case
from bench.cases.notations import CLOSED, OPEN, Load
from bench.results.measures.open_loop import FROM_CALL_P50, FROM_CALL_P99, OFFERED_PER_S, OVERLOADED
from bench.results.summary import CaseRow, Summary, manager_order, paired_ratio
from bench.show.families import alike, at_default, to_base
from bench.show.findings import Measure
from bench.statistics.effects import Effect
from bench.statistics.rounds import ratio

MOSTLY: Final = 0.5
"""A load with at least this share of overloaded slices is overloaded: not a steady state."""


@dataclass(frozen=True, slots=True)
class Point:
    """One open load. Ratios are taken round by round; None where a side is not known.

    ``share``: the load as a share of the closed loop's throughput. ``hidden_p50`` and
    ``hidden_p99``: the ratio of latency from the intended start to latency from the call, of the
    same redos. ``to_closed_p50`` and ``to_closed_p99``: the ratio of latency from the intended
    start to that of the closed loop. ``overloaded``: share of the slices of all runs.
    """

    row: CaseRow
    share: float | None
    hidden_p50: Effect | None
    hidden_p99: Effect | None
    to_closed_p50: Effect | None
    to_closed_p99: Effect | None
    overloaded: float

    @property
    def label(self) -> str:
        """As ``80 %`` or ``5000/s``."""
        text = self.row.case.load.removeprefix(OPEN)
        return text.replace("%", " %") if text.endswith("%") else f"{text}/s"

    @property
    def offered_per_s(self) -> float:
        return self.row.further[OFFERED_PER_S].median

    @property
    def is_overloaded(self) -> bool:
        return self.overloaded >= MOSTLY


@dataclass(frozen=True, slots=True)
class Curve:
    """One manager: its open loads, ascending, and its closed loop if that was measured."""

    manager: str
    closed: CaseRow | None
    points: tuple[Point, ...]

    def at(self, label: str) -> Point | None:
        return next((point for point in self.points if point.label == label), None)


@dataclass(frozen=True, slots=True)
class Panel:
    """All managers with open loads at one point of all other dimensions."""

    title: str
    curves: tuple[Curve, ...]

    def telling(self) -> str:
        """The greatest load that every manager was measured at and that overloads none of them; the
        least load if there is no such load."""
        first, *others = self.curves
        steady = [
            point.label
            for point in first.points
            if all(
                (same := curve.at(point.label)) is not None and not same.is_overloaded
                for curve in (first, *others)
            )
        ]
        return steady[-1] if steady else first.points[0].label


def panels(summary: Summary) -> list[Panel]:
    """Every panel that has an open load with a result, in the order of the summary's groups."""
    rows = [row for group in summary.groups() for row in group.rows if row.rounds]
    closed = {row.case: row for row in rows if row.case.load == CLOSED}
    found = []
    loaded = (row for row in rows if row.case.load != CLOSED)
    for place, members in alike(loaded, "manager", "load").items():
        managers = sorted({row.case.manager for row in members}, key=manager_order)
        by_manager = (
            (name, [row for row in members if row.case.manager == name]) for name in managers
        )
        curves = tuple(_curve(name, of_manager, closed) for name, of_manager in by_manager)
        found.append(Panel(_title(place), curves))
    return found


def _title(place: Case) -> str:
    extra = (f"{key}={value}" for key, value in place.extra.items())
    return ", ".join((place.workload, f"N = {place.clients}", *extra))


def _curve(manager: str, rows: Iterable[CaseRow], closed: Mapping[Case, CaseRow]) -> Curve:
    points = [_point(row, closed.get(at_default(row.case, "load"))) for row in rows]
    return Curve(
        manager,
        closed.get(at_default(points[0].row.case, "load")),
        tuple(sorted(points, key=lambda point: point.offered_per_s)),
    )


def _point(row: CaseRow, closed: CaseRow | None) -> Point:
    further = row.further
    return Point(
        row,
        _share(row, closed),
        hidden_p50=ratio(row.latency_p50_s, further.get(FROM_CALL_P50)),
        hidden_p99=ratio(row.latency_p99_s, further.get(FROM_CALL_P99)),
        to_closed_p50=to_base(row, closed, Measure.LATENCY.of),
        to_closed_p99=to_base(row, closed, Measure.LATENCY_P99.of),
        overloaded=statistics.fmean(value for _, value in further[OVERLOADED].by_round),
    )


def _share(row: CaseRow, closed: CaseRow | None) -> float | None:
    """The share that was asked for; if a rate was asked for, the share that it came to."""
    percent = Load.parse(row.case.load).percent
    if percent is not None:
        return percent / 100
    reached = None if closed is None else closed.throughput_per_s
    share = paired_ratio(row.further[OFFERED_PER_S], reached)
    return None if share is None else share.median
