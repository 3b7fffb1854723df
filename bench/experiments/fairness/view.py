"""How evenly clients are served over equal time, by manager, pause and executor.

Every run with samples has these measures. This view shows them where the pause varies, which they
depend on most.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from rich.console import RenderableType
from rich.text import Text

from bench.cases.case import Case
from bench.cases.notations import PER_CLIENT, YIELD
from bench.results.measures.fairness import JAIN, SLOWEST_SHARE
from bench.results.summary import CaseRow, Estimate, Summary
from bench.show import columns, fields
from bench.show.families import Family, at_default, families, further, kin
from bench.show.fields import field_data, field_table
from bench.show.findings import Measure
from bench.show.pictures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench.show.pictures.panels import Panel

PICTURE: Final = "fairness"
jain: Final = further(JAIN)
slowest: Final = further(SLOWEST_SHARE)

_VARIED: Final = ("executor", "pause")
_LEGEND: Final = (
    "Medians over the runs, with their spread. Jain: (sum x)^2 / (n sum x^2) of the redos"
    " x that each client did in a slice: 1 if all did the same, 1 / N if one did everything."
    " slowest: redos of the client that did least / mean. Both say how evenly clients were served,"
    " not how well: look at redo/s and at p99, which is of the call alone."
)
_KEEPS: Final = (0, (1, 1.2))
_SHARED_COLORS: Final = {"sync": "#E69F00"}
"""The colour of 4 threads in the figure of executors."""


class FairnessView:
    """`View` of the cases in which the pause varies, and of those alike but for it."""

    name = "fairness"
    pictures: tuple[str, ...] = (PICTURE,)

    def covered(self, cases: Collection[Case]) -> frozenset[Case]:
        there = frozenset(cases)

        def varies(case: Case) -> bool:
            return case.pause != YIELD and at_default(case, "pause") in there

        return kin(cases, _VARIED, varies)

    def tables(self, summary: Summary) -> Iterable[RenderableType]:
        found = self._families(summary)
        for family in found:
            yield Text(finding(family), style="bold")
            yield field_table(family.rows, _FIELDS)
        if found:
            yield Text(_LEGEND, style="dim")

    def data(self, summary: Summary) -> Any:
        """Of each family the medians by manager, pause, executor and N."""
        return [
            {"group": family.title, "cases": field_data(family.rows, _FIELDS)}
            for family in self._families(summary)
        ]

    def figure(self, picture: str, summary: Summary) -> Figure:
        """Jain's index and the slowest client's share against N."""
        from bench.show.pictures.panels import figure

        assert picture == PICTURE
        return figure(
            [panel for family in self._families(summary) for panel in _panels(family)],
            lambda case: label_of(case) if case.pause == YIELD else "",
            _look_of,
            summary,
            {"goes on": replace(style.PLAIN, linestyle=_KEEPS)},
        )

    def _families(self, summary: Summary) -> list[Family]:
        return families(summary, _VARIED, self.covered([row.case for row in summary.rows]))


def label_of(case: Case) -> str:
    """As ``async``, ``sync, goes on``, ``sync on 4 threads, goes on``."""
    shared = "" if case.executor == PER_CLIENT else f" on {case.executor} threads"
    return f"{case.manager}{shared}{'' if case.pause == YIELD else ', goes on'}"


def finding(family: Family) -> str:
    """Who serves most and least evenly at the greatest N."""
    known = [
        (index.median, label_of(row.case))
        for row in family.at_most_clients
        if (index := jain(row)) is not None
    ]
    if not known:
        return f"{family.title}: how evenly clients were served is not known"
    (least, unfairest), (most, _) = min(known), max(known)
    if least == most:
        return f"{family.title}: all clients are served alike at N = {family.clients[-1]}"
    return f"{_evenness(family)}; least with {unfairest}"


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


def _look_of(case: Case) -> style.Look:
    """The manager's look, dotted where clients go on, in a colour of its own on shared threads."""
    look = style.look(case.manager)
    if case.executor != PER_CLIENT:
        look = replace(look, color=_SHARED_COLORS.get(case.manager, look.color))
    return look if case.pause == YIELD else replace(look, linestyle=_KEEPS)


def _panels(family: Family) -> tuple[Panel, Panel]:
    from bench.show.pictures.panels import Panel

    last = family.clients[-1]
    known = sorted(
        (share.median, label_of(row.case))
        for row in family.at_most_clients
        if (share := slowest(row)) is not None
    )
    least = f": least with {known[0][1]}, {known[0][0]:.2f}" if known else " is not known"
    return (
        Panel(family=family, measure_of=jain, label="Jain's index", title=_evenness(family)),
        Panel(
            family=family,
            measure_of=slowest,
            label="slowest client / mean client",
            title=f"{family.title}: share of the slowest client at N = {last}{least}",
        ),
    )


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
