"""Clients that share K threads, beside a thread each and beside async: redos in flight, what the
limit does to throughput and latency, and what memory the clients hold.

Shows the cases with an executor and those that are alike but for it. Where the pause varies as
well, the view of fairness shows them: there the question is who is served at all.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from bench.cases.case import Case
from bench.cases.names import BASE, CHALLENGER, FLOOR
from bench.cases.notations import PER_CLIENT
from bench.experiments.fairness.view import FairnessView
from bench.experiments.family_view import FamilyView, as_number, manager_look, ranked
from bench.results.keys import WORKER_PEAK_RSS
from bench.results.summary import CaseRow, Estimate
from bench.show import columns, fields, units
from bench.show.families import Family, Panel, further, interval, kin, lines, to_base
from bench.show.findings import Measure
from bench.show.pictures import style
from bench.statistics.effects import Effect, side

in_flight: Final = further("redo_counter_in_flight_peak")
memory: Final = further(WORKER_PEAK_RSS)

_LOOKS: Final = (
    ("#8C3B00", (0, (5, 1.5))),
    ("#E69F00", (0, (1, 1.2))),
    ("#CC79A7", (0, (4, 1.5, 1, 1.5))),
    ("#56B4E9", (0, (3, 1, 1, 1, 1, 1))),
)
"""Colour and dashes of each executor."""


class ExecutorView(FamilyView):
    """`View` of the cases with an executor, and of those alike but for it."""

    name = "executor"
    pictures: tuple[str, ...] = ("executor",)
    dimensions = ("executor",)
    legend = (
        "Medians over the runs. in flight: most requests at once, with the pings that a manager"
        " sends between redos whose pages begin alike, so a little above K at times. t/redo: a"
        " client's whole turn, N / throughput, its wait for a thread included; p99 is of the call"
        " only. memory: peak of the manager's process; added: above that of the same line at the"
        " smallest N. to async: throughput divided by that of async at the same N, paired by"
        " rounds, with its 95 % CI."
    )

    def covered(self, cases: Collection[Case]) -> frozenset[Case]:
        others = FairnessView().covered(cases)
        own = [case for case in cases if case not in others]
        return kin(own, self.dimensions, lambda case: case.executor != PER_CLIENT)

    def finding(self, family: Family) -> str:
        """What the limit is and what it costs, at the greatest N."""
        peaks = ", ".join(
            f"{self.label(row.case)} {peak.median:.0f}"
            for row in family.at_most_clients
            if row.case.manager != FLOOR and (peak := in_flight(row)) is not None
        )
        text = f"{family.title}: at N = {family.clients[-1]} most in flight: {peaks or 'not known'}"
        found = [
            (row, effect) for row in family.at_most_clients if (effect := _to_async(family, row))
        ]
        if not found:
            return text
        ratios = ", ".join(
            f"{self.label(row.case)} {interval(effect)}"
            for row, effect in found
            if effect.low is not None and side(effect)
        )
        return f"{text}; throughput to that of async: {ratios or 'no significant difference'}"

    def data_rows(self, family: Family) -> Sequence[CaseRow]:
        """Line by line, each by ascending N."""
        return [row for line in lines(family) for row in line.rows]

    def fields_of(self, family: Family) -> list[fields.Field[CaseRow]]:
        added, to_async = partial(_added, family), partial(_to_async, family)
        return [
            fields.only_data("manager", lambda row: row.case.manager),
            fields.only_data("executor", lambda row: row.case.executor),
            fields.clients(lambda row: row.case.clients, key="clients"),
            fields.words("manager", lambda row: self.label(row.case)),
            fields.measure("in flight", in_flight, columns.plain(0), key="in_flight_peak"),
            fields.measure("redo/s", Measure.THROUGHPUT.of, columns.rates, key="throughput_per_s"),
            fields.measure("t/redo", Measure.TIME_PER_REDO.of, key="time_per_redo_s"),
            fields.measure("p99", Measure.of_field("latency_p99_s").of, key="latency_p99_s"),
            fields.measure("memory", memory, columns.mebibytes(1), key="peak_rss_bytes"),
            fields.measure("added", added, columns.mebibytes(1), key="peak_rss_added_bytes"),
            fields.ratio_interval("to async", to_async, key="throughput_to_async"),
        ]

    def label(self, case: Case) -> str:
        """As ``async``, ``sync, a thread each`` or ``sync on 4 threads``."""
        if case.manager != BASE:
            return case.manager
        if case.executor == PER_CLIENT:
            return f"{BASE}, a thread each"
        return f"{BASE} on {case.executor} {'thread' if case.executor == '1' else 'threads'}"

    def look(self, case: Case, found: Sequence[Family]) -> style.Look:
        look = manager_look(case, found)
        if case.executor == PER_CLIENT:
            return look
        in_order = [line.case.executor for family in found for line in lines(family)]
        executors = [name for name in dict.fromkeys(in_order) if name != PER_CLIENT]
        color, dashes = _LOOKS[executors.index(case.executor) % len(_LOOKS)]
        return replace(look, color=color, linestyle=dashes)

    def panels(self, family: Family) -> tuple[Panel, ...]:
        """In flight, throughput and p99 against N."""
        peaks = [
            (row.case.executor == PER_CLIENT, f"{peak.median:.0f}")
            for row in family.at_most_clients
            if (peak := in_flight(row)) is not None
        ]
        shared = ", ".join(text for is_own, text in peaks if not is_own)
        others = ", ".join(text for is_own, text in peaks if is_own)
        at_last = f"{family.title}, N = {family.clients[-1]}"
        titles = (
            f"{at_last}: {shared} on shared threads, else {others}",
            f"{at_last}: {self._range_to_async(family)}",
            f"{family.title}: p99 leaves out what a client waits for a thread",
        )
        label, show = Measure.THROUGHPUT.label, style.Y_FORMATS
        rate, p99 = Measure.THROUGHPUT.of, Measure.of_field("latency_p99_s").of
        in_seconds = show[Measure.LATENCY]
        return (
            Panel(family, in_flight, "most redos in flight", titles[0], as_number),
            Panel(family, rate, label, titles[1], show[Measure.THROUGHPUT]),
            Panel(family, p99, "p99 of a redo, from its call", titles[2], in_seconds),
        )

    def _range_to_async(self, family: Family) -> str:
        """The least and the greatest throughput of sync to async at the greatest N."""
        found = ranked(family, partial(_to_async, family), self.label)
        if not found:
            return "no result to lay beside another"
        (least, slowest), (most, fastest) = found[0], found[-1]
        if len(found) == 1:
            return f"{fastest} does {units.factor(most)} of {CHALLENGER}"
        low, high = units.factor(least), units.factor(most)
        return f"{low} ({slowest}) to {high} ({fastest}) of {CHALLENGER}"


def _added(family: Family, row: CaseRow) -> Estimate | None:
    """Peak memory above that at the line's least N, round by round; None there."""
    case = row.case
    first = family.of(manager=case.manager, executor=case.executor)[0]
    own, least = memory(row), memory(first)
    if row is first or own is None or least is None:
        return None
    by_round = dict(least.by_round)
    return Estimate.of((n, value - by_round[n]) for n, value in own.by_round if n in by_round)


def _to_async(family: Family, row: CaseRow) -> Effect | None:
    """The ratio of sync's throughput to async's at the same N."""
    if row.case.manager != BASE:
        return None
    base = family.first(manager=CHALLENGER, clients=row.case.clients)
    return to_base(row, base, Measure.THROUGHPUT.of)
