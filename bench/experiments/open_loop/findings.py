"""Open loads beside the closed loop of the same case: what each says, and the factor in between.

Pure arithmetic on the rows of ``stats``; `bench.view_open` lays it out.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from bench.cases.case import Case
from bench.cases.notations import CLOSED, OPEN, Load
from bench.results.summary import CaseRow, Summary, manager_order, paired_ratio
from bench.statistics.effects import Effect
from bench.statistics.rounds import ratio

MOSTLY: Final = 0.5
"""From this share of its slices on, a load counts as overloaded: it is no steady state."""


@dataclass(frozen=True, slots=True)
class Point:
    """One open load. Ratios are taken round by round, and None where a side is not known.

    ``share``: the load as a share of the closed loop's throughput. ``hidden_p50`` and
    ``hidden_p99``: latency from the intended start to that from the call, of the same redos.
    ``to_closed_p50`` and ``to_closed_p99``: the same latency to that of the closed loop.
    ``overloaded``: share of the slices of all runs.
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
        return self.row.further["redo_open_offered_per_s"].median

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
        """The greatest load that every manager was measured at and none is overloaded by, or the
        least load if there is none."""
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


def as_closed(case: Case) -> Case:
    """The case with a closed loop."""
    return replace(case, load=CLOSED)


def is_open(case: Case) -> bool:
    return case.load != CLOSED


def panels(summary: Summary) -> list[Panel]:
    """Every panel that has an open load with a result, in the order of the summary's groups."""
    rows = [row for group in summary.groups() for row in group.rows]
    closed = {row.case: row for row in rows if not is_open(row.case) and row.rounds}
    found: dict[Case, dict[str, list[CaseRow]]] = {}
    for row in rows:
        if is_open(row.case) and row.rounds:
            place = replace(as_closed(row.case), manager="any")
            found.setdefault(place, {}).setdefault(row.case.manager, []).append(row)
    return [
        Panel(
            _title(place),
            tuple(
                _curve(manager, by_manager[manager], closed)
                for manager in sorted(by_manager, key=manager_order)
            ),
        )
        for place, by_manager in found.items()
    ]


def _title(place: Case) -> str:
    extra = (f"{key}={value}" for key, value in place.extra.items())
    return ", ".join((place.workload, f"N = {place.clients}", *extra))


def _curve(manager: str, rows: Iterable[CaseRow], closed: dict[Case, CaseRow]) -> Curve:
    points = [_point(row, closed.get(as_closed(row.case))) for row in rows]
    return Curve(
        manager,
        closed.get(as_closed(points[0].row.case)),
        tuple(sorted(points, key=lambda point: point.offered_per_s)),
    )


def _point(row: CaseRow, closed: CaseRow | None) -> Point:
    further = row.further
    overloaded = [value for _, value in further["redo_open_overloaded"].by_round]
    return Point(
        row,
        _share(row, closed),
        hidden_p50=ratio(row.latency_p50_s, further.get("redo_open_from_call_p50")),
        hidden_p99=ratio(row.latency_p99_s, further.get("redo_open_from_call_p99")),
        to_closed_p50=None if closed is None else ratio(row.latency_p50_s, closed.latency_p50_s),
        to_closed_p99=None if closed is None else ratio(row.latency_p99_s, closed.latency_p99_s),
        overloaded=statistics.fmean(overloaded),
    )


def _share(row: CaseRow, closed: CaseRow | None) -> float | None:
    """What was asked for, where it was asked for as a share, else what it came to."""
    percent = Load.parse(row.case.load).percent
    if percent is not None:
        return percent / 100
    reached = None if closed is None else closed.throughput_per_s
    share = paired_ratio(row.further["redo_open_offered_per_s"], reached)
    return None if share is None else share.median
