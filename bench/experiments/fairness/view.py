"""How evenly clients are served over equal time, by manager, pause and executor.

Every run that has samples has these measures; this view shows them where the pause varies, which is
what they depend on most.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any, Final

from matplotlib.figure import Figure
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bench.cases.case import Case
from bench.cases.notations import PER_CLIENT, YIELD
from bench.results.summary import CaseRow, Estimate, Summary
from bench.show import columns, fields
from bench.show.families import (
    Family,
    families,
    kin,
    median,
)
from bench.show.pictures import style
from bench.show.pictures.panels import Panel, figure

PICTURE: Final = "fairness"
JAIN: Final = "redo_fairness_jain"
SLOWEST: Final = "redo_fairness_slowest_share"

_VARIED: Final = ("executor", "pause")
_LEGEND: Final = (
    "Medians over the runs, with their spread. Jain: (sum x)^2 / (n sum x^2) of the redos"
    " x that each client did in a slice: 1 if all did the same, 1 / N if one did everything."
    " slowest: redos of the client that did least / mean. Both say how evenly clients were served,"
    " not how well: look at redo/s and at p99, which is of the call alone."
)
_KEEPS: Final = (0, (1, 1.2))
_SHARED_COLORS: Final = {"sync": "#E69F00"}
"""That of 4 threads in the executor's picture."""


class FairnessView:
    """See the module."""

    name = "fairness"
    pictures: tuple[str, ...] = (PICTURE,)

    def covered(self, cases: Collection[Case]) -> frozenset[Case]:
        there = frozenset(cases)

        def varies(case: Case) -> bool:
            return case.pause != YIELD and replace(case, pause=YIELD) in there

        return kin(cases, _VARIED, varies)

    def tables(self, summary: Summary) -> Iterable[RenderableType]:
        found = self._families(summary)
        for family in found:
            yield Text(finding(family), style="bold")
            yield _table(family)
        if found:
            yield Text(_LEGEND, style="dim")

    def data(self, summary: Summary) -> Any:
        """Of each family the medians by manager, pause, executor and N."""
        return [
            {
                "group": family.title,
                "cases": [
                    {
                        "manager": row.case.manager,
                        "pause": row.case.pause,
                        "executor": row.case.executor,
                        "clients": row.case.clients,
                        "jain": median(jain(row)),
                        "slowest_share": median(slowest(row)),
                        "throughput_per_s": median(row.throughput_per_s),
                    }
                    for row in family.rows
                ],
            }
            for family in self._families(summary)
        ]

    def figure(self, picture: str, summary: Summary) -> Figure:
        """Jain's index and the slowest client's share against N."""
        assert picture == PICTURE
        panels = [panel for family in self._families(summary) for panel in _panels(family)]
        goes_on = style.Look(style.FAINT, _KEEPS, style.LINE_WIDTH, "", 0.0)
        return figure(
            panels,
            lambda case: label_of(case) if case.pause == YIELD else "",
            _look_of,
            summary,
            {"goes on": goes_on},
        )

    def _families(self, summary: Summary) -> list[Family]:
        cases = [row.case for row in summary.rows]
        return list(families(summary, _VARIED, self.covered(cases)))


def jain(row: CaseRow) -> Estimate | None:
    """Jain's index."""
    return row.further.get(JAIN)


def slowest(row: CaseRow) -> Estimate | None:
    """The slowest client's share of the mean."""
    return row.further.get(SLOWEST)


def label_of(case: Case) -> str:
    """As ``async``, ``sync, goes on``, ``sync on 4 threads, goes on``."""
    shared = "" if case.executor == PER_CLIENT else f" on {case.executor} threads"
    return f"{case.manager}{shared}{'' if case.pause == YIELD else ', goes on'}"


def finding(family: Family) -> str:
    """Who serves most and least evenly at the greatest N."""
    last = family.clients[-1]
    known = [
        (one.median, label_of(row.case)) for row in family.of(clients=last) if (one := jain(row))
    ]
    if not known:
        return f"{family.title}: how evenly clients were served is not known"
    (least, unfairest), (most, _) = min(known), max(known)
    return (
        f"{_evenness(family)}; least with {unfairest}"
        if least < most
        else f"{family.title}: all clients are served alike at N = {last}"
    )


def _table(family: Family) -> Table:
    shown: list[fields.Field[CaseRow]] = [
        fields.clients(lambda row: row.case.clients),
        fields.words("manager, executor, pause", lambda row: label_of(row.case)),
        fields.measure("Jain", jain, columns.plain(3)),
        fields.texts("(spread)", lambda row: _spread(jain(row))),
        fields.measure("slowest", slowest, columns.plain(3)),
        fields.texts("(spread)", lambda row: _spread(slowest(row))),
        fields.measure("redo/s", lambda row: row.throughput_per_s, columns.rates),
        fields.measure("t/redo", lambda row: row.time_per_redo_s),
        fields.measure("p99", lambda row: row.latency_p99_s),
    ]
    return fields.field_table(family.rows, shown)


def _spread(estimate: Estimate | None) -> str:
    """In thousandths, as the median: near 1 hundredths hide what there is."""
    return "" if estimate is None else f"{estimate.low:.3f}-{estimate.high:.3f}"


def _look_of(case: Case) -> style.Look:
    """The manager's look, dotted where clients go on, in a colour of its own on shared threads."""
    look = style.look(case.manager)
    if case.executor != PER_CLIENT:
        look = replace(look, color=_SHARED_COLORS.get(case.manager, look.color))
    return look if case.pause == YIELD else replace(look, linestyle=_KEEPS)


def _panels(family: Family) -> tuple[Panel, Panel]:
    last = family.clients[-1]
    known = sorted(
        (one.median, label_of(row.case)) for row in family.of(clients=last) if (one := slowest(row))
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
    """How far apart those that yield and those that go on are at the greatest N."""
    last = family.clients[-1]
    rows = family.of(clients=last)
    known = {
        pause: [one.median for row in rows if row.case.pause == pause and (one := jain(row))]
        for pause in dict.fromkeys(row.case.pause for row in rows)
    }
    said = [
        f"{'yielding' if pause == YIELD else 'going on'} {min(values):.2f} to {max(values):.2f}"
        for pause, values in known.items()
        if values
    ]
    return f"{family.title}: Jain's index at N = {last}: {', '.join(said) or 'not known'}"
