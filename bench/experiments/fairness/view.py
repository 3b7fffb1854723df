"""How evenly clients are served over equal time, by manager, pause and executor.

Every run with samples has these measures. This view shows them where the pause varies, which they
depend on most.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from bench.cases.case import Case
from bench.cases.notations import PER_CLIENT, YIELD
from bench.experiments.family_view import FamilyView, manager_look, ranked
from bench.results.measures.fairness import JAIN, SLOWEST_SHARE
from bench.results.summary import CaseRow, Estimate
from bench.show import columns, fields
from bench.show.families import Family, Panel, at_default, further, kin
from bench.show.findings import Measure
from bench.show.pictures import style

jain: Final = further(JAIN)
slowest: Final = further(SLOWEST_SHARE)

_GOES_ON: Final = (0, (1, 1.2))
_SHARED_COLORS: Final = {"sync": "#E69F00"}
"""The colour of 4 threads in the figure of executors."""


class FairnessView(FamilyView):
    """`View` of the cases in which the pause varies, and of those alike but for it."""

    name = "fairness"
    pictures: tuple[str, ...] = ("fairness",)
    dimensions = ("executor", "pause")
    variants = {"goes on": replace(style.PLAIN, linestyle=_GOES_ON)}  # noqa: RUF012
    legend = (
        "Medians over the runs, with their spread. Jain: (sum x)^2 / (n sum x^2) of the redos"
        " x that each client did in a slice: 1 if all did the same, 1 / N if one did everything."
        " slowest: redos of the slowest client / mean. Both say how evenly clients were"
        " served, not how well: look at redo/s and at p99, which is of the call only."
    )

    def covered(self, cases: Collection[Case]) -> frozenset[Case]:
        there = frozenset(cases)

        def varies(case: Case) -> bool:
            return case.pause != YIELD and at_default(case, "pause") in there

        return kin(cases, self.dimensions, varies)

    def finding(self, family: Family) -> str:
        """Who serves most and least evenly at the greatest N."""
        known = ranked(family, jain, label_of)
        if not known:
            return f"{family.title}: how evenly clients were served is not known"
        (least, unfairest), (most, _) = known[0], known[-1]
        if least == most:
            return f"{family.title}: all clients are served alike at N = {family.clients[-1]}"
        return f"{_evenness(family)}; lowest with {unfairest}"

    def fields_of(self, family: Family) -> list[fields.Field[CaseRow]]:  # noqa: ARG002
        return _FIELDS

    def label(self, case: Case) -> str:
        return label_of(case) if case.pause == YIELD else ""

    def look(self, case: Case, found: Sequence[Family]) -> style.Look:
        """The manager's look, dotted where clients go on, in another colour on shared threads."""
        look = manager_look(case, found)
        if case.executor != PER_CLIENT:
            look = replace(look, color=_SHARED_COLORS.get(case.manager, look.color))
        return look if case.pause == YIELD else replace(look, linestyle=_GOES_ON)

    def panels(self, family: Family) -> tuple[Panel, ...]:
        """Jain's index and the slowest client's share against N."""
        known = ranked(family, slowest, label_of)
        least = f": lowest with {known[0][1]}, {known[0][0]:.2f}" if known else " is not known"
        title = f"{family.title}: share of the slowest client at N = {family.clients[-1]}{least}"
        return (
            Panel(family, jain, "Jain's index", _evenness(family)),
            Panel(family, slowest, "slowest client / mean client", title),
        )


def label_of(case: Case) -> str:
    """As ``async``, ``sync, goes on``, ``sync on 4 threads, goes on``."""
    shared = "" if case.executor == PER_CLIENT else f" on {case.executor} threads"
    return f"{case.manager}{shared}{'' if case.pause == YIELD else ', goes on'}"


def _spread(estimate: Estimate | None) -> str:
    """In thousandths, as the median: near 1 hundredths hide what there is."""
    return "" if estimate is None else f"{estimate.low:.3f}-{estimate.high:.3f}"


_FIELDS: Final[list[fields.Field[CaseRow]]] = [
    fields.only_data("manager", lambda row: row.case.manager),
    fields.only_data("pause", lambda row: row.case.pause),
    fields.only_data("executor", lambda row: row.case.executor),
    fields.clients(lambda row: row.case.clients, key="clients"),
    fields.words("manager, executor, pause", lambda row: label_of(row.case)),
    fields.measure("Jain", jain, columns.plain(3), key="jain"),
    fields.texts("(spread)", lambda row: _spread(jain(row))),
    fields.measure("slowest", slowest, columns.plain(3), key="slowest_share"),
    fields.texts("(spread)", lambda row: _spread(slowest(row))),
    fields.measure("redo/s", Measure.THROUGHPUT.of, columns.rates, key="throughput_per_s"),
    fields.measure("t/redo", Measure.TIME_PER_REDO.of),
    fields.measure("p99", Measure.LATENCY_P99.of),
]


def _evenness(family: Family) -> str:
    """How far apart the clients that yield are at the greatest N, and those that go on."""
    parts = []
    for pause in dict.fromkeys(row.case.pause for row in family.at_most_clients):
        rows = family.of(clients=family.clients[-1], pause=pause)
        if indices := [index.median for row in rows if (index := jain(row)) is not None]:
            kind = "yielding" if pause == YIELD else "going on"
            parts.append(f"{kind} {min(indices):.2f} to {max(indices):.2f}")
    at = f"{family.title}: Jain's index at N = {family.clients[-1]}"
    return f"{at}: {', '.join(parts) or 'not known'}"
