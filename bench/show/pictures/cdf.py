"""The cumulative distribution of latency, a panel per N: which share of redos took no longer.

A line is the median over the runs. It has markers where it reaches 10, 50, 90 and 99 %, so that
managers differ without colour as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from bench.cases.names import BASE, CHALLENGER, FLOOR
from bench.errors import PictureError
from bench.results.histogram import Distributions
from bench.results.summary import Group, Summary
from bench.show import units
from bench.show.findings import Measure
from bench.show.pictures import figures, style
from bench.show.pictures.sheet import Sheet, footer
from bench.statistics.cumulative import Cumulative, cumulative
from bench.statistics.rounds import ratio

_MARKED: Final = (0.1, 0.5, 0.9, 0.99)
_TICKS: Final = (0, 25, 50, 75, 100)
_SUBS: Final = {20: (1.0, 2.0, 5.0), 300: (1.0, 3.0), math.inf: (1.0,)}
"""Below each span of the x axis the ticks of a decade, for which a third of a row has the room."""


def pictures(
    summary: Summary, distributions: Distributions
) -> Iterator[tuple[str, figures.MakeFigure]]:
    """The name of each figure and how to make it, one per group. Raises PictureError if there is
    nothing to draw."""
    groups = [group for group in summary.groups() if clients_of(group, distributions)]
    if not groups:
        raise PictureError(f"{summary.source}: no case has a histogram of its latency")
    for group in groups:
        name = f"cdf-{group.workload}{figures.suffix(group.extra)}"
        clients = clients_of(group, distributions)
        yield name, partial(cdf_figure, group, clients, distributions, summary)


def clients_of(group: Group, distributions: Distributions) -> list[int]:
    """Every N at which a manager has a distribution, ascending."""
    return sorted({row.case.clients for row in group.rows if row.case in distributions})


def cdf_figure(
    group: Group, clients: Sequence[int], distributions: Distributions, summary: Summary
) -> Figure:
    """A panel for each of these N."""
    looks = style.looks(summary.managers)

    def draw(panel: Axes, clients: int) -> None:
        _axes(panel)
        for manager in reversed(group.managers):  # so that the first one lies on top
            row = group.row(manager, clients)
            if row is not None and row.case in distributions:
                found = cumulative(distributions[row.case])
                _curve(panel, manager, found, looks[manager])
        low, high = panel.get_xlim()
        subs = next(subs for span, subs in _SUBS.items() if high / low < span)
        figures.log_ticks(panel.xaxis, style.Y_FORMATS[Measure.LATENCY], subs)

    sheet = Sheet.of(clients, draw, partial(_title, group))
    sheet.label_left("redos that take no longer")
    drawn = {row.case.manager for row in group.rows if row.case in distributions}
    legend = [figures.legend_entry(m, looks[m]) for m in group.managers if m in drawn]
    return sheet.framed([*legend, figures.band_entry()], footer(summary))


def _axes(panel: Axes) -> None:
    panel.set_xscale("log")
    panel.set_xlabel(Measure.LATENCY.label)
    panel.set_ylim(0, 102)
    panel.yaxis.set_major_locator(FixedLocator(list(_TICKS)))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g} %"))


def _curve(panel: Axes, manager: str, found: Cumulative, look: style.Look) -> None:
    median = found.median * 100
    figures.curve(panel, found.latency_s.tolist(), median.tolist(), look.bare)
    if manager != FLOOR:  # what the others are compared with: a line is enough
        panel.fill_between(
            found.latency_s,
            found.low * 100,
            found.high * 100,
            color=look.color,
            alpha=style.BAND_ALPHA,
            linewidth=0,
        )
    places = [found.latency_at(share) for share in _MARKED]
    figures.curve(
        panel,
        places,
        [share * 100 for share in _MARKED],
        replace(look, linestyle=""),
        manager,
        at=[f"{Measure.LATENCY.noun} {units.seconds(place)}" for place in places],
    )


def _title(group: Group, clients: int) -> str:
    """As ``short, N = 8: p50 of async is 1.31x that of sync``."""
    head = f"{group.title}, N = {clients}"
    found = ratio(*(Measure.LATENCY.of(group.row(name, clients)) for name in (CHALLENGER, BASE)))
    if found is None:
        return head
    return f"{head}: p50 of {CHALLENGER} is {units.factor(found.ratio)} that of {BASE}"
