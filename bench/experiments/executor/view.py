"""Clients that share K threads, beside a thread each and beside async: redos in flight, what the
limit does to throughput and latency, and what memory the clients hold.

Shows the cases with an executor and those that are alike but for it. Where the pause varies as
well, the view of fairness shows them: there the question is who is served at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from rich.console import RenderableType
from rich.text import Text

from bench.cases.case import Case
from bench.cases.names import BASE, CHALLENGER, FLOOR
from bench.cases.notations import PER_CLIENT
from bench.experiments.fairness.view import FairnessView
from bench.results.keys import WORKER_PEAK_RSS
from bench.results.summary import CaseRow, Estimate, Summary
from bench.show import columns, fields, units
from bench.show.families import Family, Line, families, further, interval, kin, lines, to_base
from bench.show.fields import field_data, field_table
from bench.show.findings import Measure
from bench.show.pictures import style
from bench.statistics.effects import Effect, side

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench.show.pictures.panels import Panel

PICTURE: Final = "executor"
in_flight: Final = further("redo_counter_in_flight_peak")
memory: Final = further(WORKER_PEAK_RSS)

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
    """`View` of the cases with an executor, and of those alike but for it."""

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
            ordered = sorted(_rows(family), key=lambda shown: shown.row.case.clients)
            yield field_table(ordered, _fields(family))
        if found:
            yield Text(_LEGEND, style="dim")

    def data(self, summary: Summary) -> Any:
        """Of each family the medians by manager, executor and N, and sync's throughput to
        async's."""
        return [
            {"group": family.title, "cases": field_data(_rows(family), _fields(family))}
            for family in self._families(summary)
        ]

    def figure(self, picture: str, summary: Summary) -> Figure:
        """In flight, throughput and p99 against N: a row of panels for each family."""
        from bench.show.pictures.panels import figure

        assert picture == PICTURE
        found = self._families(summary)
        executors = [
            executor
            for executor in dict.fromkeys(
                line.case.executor for family in found for line in lines(family)
            )
            if executor != PER_CLIENT
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
        return families(summary, ("executor",), self.covered([row.case for row in summary.rows]))


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
    peaks = ", ".join(
        f"{label_of(line.case)} {peak.median:.0f}"
        for line in lines(family)
        if line.case.manager != FLOOR
        and (row := line.row(last)) is not None
        and (peak := in_flight(row)) is not None
    )
    text = f"{family.title}: at N = {last} most in flight: {peaks or 'not known'}"
    effects = [
        (row, effect) for row in family.at_most_clients if (effect := _to_async(family, row))
    ]
    if not effects:
        return text
    ratios = ", ".join(
        f"{label_of(row.case)} {interval(effect)}"
        for row, effect in effects
        if effect.low is not None and side(effect)
    )
    return f"{text}; throughput to that of async: {ratios or 'not told apart by the rounds'}"


@dataclass(frozen=True, slots=True)
class _Row:
    """A row with the line that it is on."""

    line: Line
    row: CaseRow


def _rows(family: Family) -> list[_Row]:
    """Line by line, each by ascending N."""
    return [_Row(line, row) for line in lines(family) for row in line.rows]


def _fields(family: Family) -> list[fields.Field[_Row]]:
    return [
        fields.only_data("manager", lambda shown: shown.row.case.manager),
        fields.only_data("executor", lambda shown: shown.row.case.executor),
        fields.clients(lambda shown: shown.row.case.clients, key="clients"),
        fields.words("manager", lambda shown: label_of(shown.row.case)),
        fields.measure(
            "in flight",
            lambda shown: in_flight(shown.row),
            columns.plain(0),
            key="in_flight_peak",
        ),
        fields.measure(
            "redo/s",
            lambda shown: shown.row.throughput_per_s,
            columns.rates,
            key="throughput_per_s",
        ),
        fields.measure("t/redo", lambda shown: shown.row.time_per_redo_s, key="time_per_redo_s"),
        fields.measure("p99", lambda shown: shown.row.latency_p99_s, key="latency_p99_s"),
        fields.measure(
            "memory", lambda shown: memory(shown.row), columns.mebibytes(1), key="peak_rss_bytes"
        ),
        fields.measure("added", _added, columns.mebibytes(1), key="peak_rss_added_bytes"),
        fields.ratio_interval(
            "to async", lambda shown: _to_async(family, shown.row), key="throughput_to_async"
        ),
    ]


def _added(shown: _Row) -> Estimate | None:
    """Peak memory above that at the line's least N, round by round; None there."""
    first = shown.line.rows[0]
    own, least = memory(shown.row), memory(first)
    if shown.row is first or own is None or least is None:
        return None
    by_round = dict(least.by_round)
    return Estimate.of((n, value - by_round[n]) for n, value in own.by_round if n in by_round)


def _to_async(family: Family, row: CaseRow) -> Effect | None:
    if row.case.manager != BASE:
        return None
    base = family.first(manager=CHALLENGER, clients=row.case.clients)
    return to_base(row, base, Measure.THROUGHPUT.of)


def _range_to_async(family: Family) -> str:
    """The least and the greatest throughput of sync to async at the greatest N, for a title."""
    found = sorted(
        (effect.ratio, label_of(row.case))
        for row in family.at_most_clients
        if (effect := _to_async(family, row)) is not None
    )
    if not found:
        return "no result to lay beside another"
    (least, slowest), (most, fastest) = found[0], found[-1]
    if len(found) == 1:
        return f"{fastest} does {units.factor(most)} of {CHALLENGER}"
    return f"{units.factor(least)} ({slowest}) to {units.factor(most)} ({fastest}) of {CHALLENGER}"


def _panels(family: Family) -> tuple[Panel, ...]:
    from bench.show.pictures.panels import Panel

    last = family.clients[-1]
    peaks = [
        (row.case.executor, peak.median)
        for row in family.at_most_clients
        if (peak := in_flight(row)) is not None
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
            measure_of=Measure.THROUGHPUT.of,
            label=Measure.THROUGHPUT.label,
            title=f"{family.title}, N = {last}: {_range_to_async(family)}",
            show=style.Y_FORMATS[Measure.THROUGHPUT],
        ),
        Panel(
            family=family,
            measure_of=Measure.LATENCY_P99.of,
            label="p99 of a redo, from its call",
            title=f"{family.title}: p99 leaves out what a client waits for a thread",
            show=style.Y_FORMATS[Measure.LATENCY],
        ),
    )
