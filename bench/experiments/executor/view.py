"""Clients that share K threads, beside a thread each and beside async: redos in flight, what the
limit does to throughput and latency, and what memory the clients hold.

Shows the cases with an executor and those that are alike but for it. Where the pause varies,
too, the question is who is served at all: that is the view of fairness.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from matplotlib.figure import Figure
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bench.cases.case import Case
from bench.cases.names import BASE, CHALLENGER, FLOOR
from bench.cases.notations import PER_CLIENT
from bench.experiments.fairness.view import FairnessView
from bench.results.summary import CaseRow, Estimate, Summary
from bench.show import columns, fields, units
from bench.show.families import (
    Family,
    Line,
    effect_data,
    families,
    interval,
    kin,
    lines,
    median,
)
from bench.show.findings import Measure
from bench.show.pictures import style
from bench.show.pictures.panels import Panel, figure
from bench.statistics.effects import Effect
from bench.statistics.rounds import ratio

PICTURE: Final = "executor"
IN_FLIGHT: Final = "redo_counter_in_flight_peak"
MEMORY: Final = "redo_worker_peak_rss_bytes"

_LEGEND: Final = (
    "Medians over the runs. in flight: most requests at once, with the pings that a manager sends"
    " between redos whose pages begin alike, so a little above K at times. t/redo: a client's whole"
    " turn, N / throughput, its wait for a thread included; p99 is of the call alone. memory: peak"
    " of the manager's process; added: above that of the same line at the least N. to async:"
    " throughput to that of async at the same N, paired by rounds, 95 % interval."
)
_EXECUTOR_LOOKS: Final = (
    ("#8C3B00", (0, (5, 1.5))),
    ("#E69F00", (0, (1, 1.2))),
    ("#CC79A7", (0, (4, 1.5, 1, 1.5))),
    ("#56B4E9", (0, (3, 1, 1, 1, 1, 1))),
)


class ExecutorView:
    """See the module."""

    name = "executor"
    pictures: tuple[str, ...] = (PICTURE,)

    def covered(self, cases: Collection[Case]) -> frozenset[Case]:
        others = FairnessView().covered(cases)
        ours = [case for case in cases if case not in others]
        return kin(ours, ("executor",), lambda case: case.executor != PER_CLIENT)

    def tables(self, summary: Summary) -> Iterable[RenderableType]:
        found = self._families(summary)
        for family in found:
            yield Text(finding(family), style="bold")
            yield _table(family)
        if found:
            yield Text(_LEGEND, style="dim")

    def data(self, summary: Summary) -> Any:
        """Of each family the medians by manager, executor and N, and sync's throughput to
        async's."""
        return [
            {"group": family.title, "cases": [_case_data(family, line, row) for line, row in rows]}
            for family in self._families(summary)
            if (rows := [(line, row) for line in lines(family) for row in line.rows])
        ]

    def figure(self, picture: str, summary: Summary) -> Figure:
        """In flight, throughput and p99 against N: a row of panels for each family."""
        assert picture == PICTURE
        found = self._families(summary)
        executors = [
            one
            for one in dict.fromkeys(line.case.executor for fam in found for line in lines(fam))
            if one != PER_CLIENT
        ]

        def look_of(case: Case) -> style.Look:
            look = style.look(case.manager)
            if case.executor == PER_CLIENT:
                return look
            color, dashes = _EXECUTOR_LOOKS[executors.index(case.executor) % len(_EXECUTOR_LOOKS)]
            return replace(look, color=color, linestyle=dashes)

        panels = [panel for family in found for panel in _panels(family)]
        return figure(panels, label_of, look_of, summary)

    def _families(self, summary: Summary) -> list[Family]:
        cases = [row.case for row in summary.rows]
        return list(families(summary, ("executor",), self.covered(cases)))


def label_of(case: Case) -> str:
    """As ``async``, ``sync, a thread each``, ``sync on 4 threads``, ``sync on ncpus threads``."""
    if case.manager != BASE:
        return case.manager
    if case.executor == PER_CLIENT:
        return f"{BASE}, a thread each"
    noun = "thread" if case.executor == "1" else "threads"
    return f"{BASE} on {case.executor} {noun}"


def finding(family: Family) -> str:
    """What the limit is and what it costs, at the greatest N."""
    last = family.clients[-1]
    peaks = ", ".join(f"{name} {value:.0f}" for name, value in _at_last(family, in_flight))
    said = f"{family.title}: at N = {last} most in flight: {peaks or 'not known'}"
    effects = [
        (row, effect) for row in family.of(clients=last) if (effect := _to_async(family, row))
    ]
    if not effects:
        return said
    told = [
        f"{label_of(row.case)} {interval(effect)}"
        for row, effect in effects
        if effect.low is not None and effect.high is not None and not effect.low <= 1 <= effect.high
    ]
    return (
        f"{said}; throughput to that of async: {', '.join(told) or 'not told apart by the rounds'}"
    )


def in_flight(row: CaseRow) -> Estimate | None:
    """Most requests at once."""
    return row.further.get(IN_FLIGHT)


def _at_last(
    family: Family, measure_of: Callable[[CaseRow], Estimate | None]
) -> list[tuple[str, float]]:
    """What is known of each line at the greatest N."""
    return [
        (label_of(row.case), one.median)
        for line in lines(family)
        if line.case.manager != FLOOR
        and (row := line.row(family.clients[-1])) is not None
        and (one := measure_of(row)) is not None
    ]


@dataclass(frozen=True, slots=True)
class _Shown:
    line: Line
    row: CaseRow


def _table(family: Family) -> Table:
    shown: list[fields.Field[_Shown]] = [
        fields.clients(lambda one: one.row.case.clients),
        fields.words("manager", lambda one: label_of(one.row.case)),
        fields.measure("in flight", lambda one: in_flight(one.row), columns.plain(0)),
        fields.measure("redo/s", lambda one: one.row.throughput_per_s, columns.rates),
        fields.measure("t/redo", lambda one: one.row.time_per_redo_s),
        fields.measure("p99", lambda one: one.row.latency_p99_s),
        fields.measure("memory", lambda one: one.row.further.get(MEMORY), columns.mebibytes(1)),
        fields.measure("added", lambda one: _added(one.line, one.row), columns.mebibytes(1)),
        fields.ratio_interval("to async", lambda one: _to_async(family, one.row)),
    ]
    rows = [
        _Shown(line, row)
        for clients in family.clients
        for line in lines(family)
        if (row := line.row(clients)) is not None
    ]
    return fields.field_table(rows, shown)


def _case_data(family: Family, line: Line, row: CaseRow) -> dict[str, Any]:
    return {
        "manager": row.case.manager,
        "executor": row.case.executor,
        "clients": row.case.clients,
        "in_flight_peak": median(in_flight(row)),
        "throughput_per_s": median(row.throughput_per_s),
        "time_per_redo_s": median(row.time_per_redo_s),
        "latency_p99_s": median(row.latency_p99_s),
        "peak_rss_bytes": median(row.further.get(MEMORY)),
        "peak_rss_added_bytes": median(_added(line, row)),
        "throughput_to_async": effect_data(_to_async(family, row)),
    }


def _added(line: Line, row: CaseRow) -> Estimate | None:
    """Peak memory above that at the line's least N, round by round; None there."""
    own, least = row.further.get(MEMORY), line.rows[0].further.get(MEMORY)
    if row is line.rows[0] or own is None or least is None:
        return None
    by_round = dict(least.by_round)
    return Estimate.of((n, value - by_round[n]) for n, value in own.by_round if n in by_round)


def _to_async(family: Family, row: CaseRow) -> Effect | None:
    others = family.of(manager=CHALLENGER, clients=row.case.clients)
    if row.case.manager != BASE or not others:
        return None
    return ratio(row.throughput_per_s, others[0].throughput_per_s)


def _range_to_async(family: Family) -> str:
    """The least and the greatest throughput of sync to async at the greatest N, for a title."""
    found = sorted(
        (effect.ratio, label_of(row.case))
        for row in family.of(clients=family.clients[-1])
        if (effect := _to_async(family, row)) is not None
    )
    if not found:
        return "no result to lay beside another"
    (least, slowest), (most, fastest) = found[0], found[-1]
    if len(found) == 1:
        return f"{fastest} does {units.factor(most)} of {CHALLENGER}"
    return f"{units.factor(least)} ({slowest}) to {units.factor(most)} ({fastest}) of {CHALLENGER}"


def _panels(family: Family) -> tuple[Panel, ...]:
    last = family.clients[-1]
    peaks = [
        (row.case.executor, one.median)
        for row in family.of(clients=last)
        if (one := in_flight(row)) is not None
    ]
    shared = ", ".join(f"{n:.0f}" for executor, n in peaks if executor != PER_CLIENT)
    others = ", ".join(f"{n:.0f}" for executor, n in peaks if executor == PER_CLIENT)
    return (
        Panel(
            family=family,
            measure_of=in_flight,
            label="most redos in flight",
            title=f"{family.title}, N = {last}: {shared} on shared threads, else {others}",
            show=lambda value, _: f"{value:g}",
        ),
        Panel(
            family=family,
            measure_of=lambda row: row.throughput_per_s,
            label=style.Y_LABELS[Measure.THROUGHPUT],
            title=f"{family.title}, N = {last}: {_range_to_async(family)}",
            show=style.Y_FORMATS[Measure.THROUGHPUT],
        ),
        Panel(
            family=family,
            measure_of=lambda row: row.latency_p99_s,
            label="p99 of a redo, from its call",
            title=f"{family.title}: p99 leaves out what a client waits for a thread",
            show=style.Y_FORMATS[Measure.LATENCY],
        ),
    )
