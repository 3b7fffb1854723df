"""The percentiles of latency, a panel per N.

As plotters of HdrHistogram draw them: the x axis stretches the high percentiles, so that each
further nine has the same width. A line ends where there are too few samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from bench.cases.case import Case
from bench.cases.names import BASE, CHALLENGER, FLOOR
from bench.errors import PictureError
from bench.results.histogram import Distributions
from bench.results.summary import Group, Summary
from bench.show import units
from bench.show.findings import Measure
from bench.show.pictures import figures, style
from bench.show.pictures.sheet import Sheet, footer
from bench.statistics.tails import ONE_IN, Tails, percent, percentile_name, tail_ratios, tails

_STEPS: Final = (1, 2, 3, 5, 7)
_GRID: Final = (*_STEPS[1:], *(step * 10**n for n in (1, 2, 3) for step in _STEPS), 10_000)
"""Points of the lines: one in so many redos is slower."""


def pictures(
    summary: Summary, distributions: Distributions
) -> Iterator[tuple[str, figures.MakeFigure]]:
    """The name of each figure and how to make it, one per group. Raises PictureError if there is
    nothing to draw."""
    of_case = {case: tails(runs, _GRID) for case, runs in distributions.items()}
    groups = [group for group in summary.groups() if _clients(group, of_case)]
    if not groups:
        raise PictureError(
            f"{summary.source}: no case has samples enough for a percentile: run it for longer"
        )
    for group in groups:
        name = f"tails-{group.workload}{figures.suffix(group.extra)}"
        yield name, partial(_figure, group, of_case, distributions, summary)


def _clients(group: Group, of_case: Mapping[Case, Tails]) -> list[int]:
    """The N at which a manager has a percentile."""
    known = {
        row.case.clients
        for row in group.rows
        if row.case in of_case
        and any(tail.value_s is not None for tail in of_case[row.case].percentiles)
    }
    return sorted(known)


def _figure(
    group: Group, of_case: Mapping[Case, Tails], distributions: Distributions, summary: Summary
) -> Figure:
    looks = style.looks(summary.managers)

    def draw(panel: Axes, clients: int) -> None:
        _axes(panel)
        for manager in reversed(group.managers):  # so that the first one lies on top
            row = group.row(manager, clients)
            if row is not None and row.case in of_case:
                _curve(panel, manager, of_case[row.case], looks[manager].bare)

    sheet = Sheet.of(
        _clients(group, of_case), draw, lambda clients: _title(group, clients, distributions)
    )
    sheet.label_left(Measure.LATENCY.label)
    drawn = {row.case.manager for row in group.rows if row.case in of_case}
    legend = [
        *(figures.legend_entry(m, looks[m].bare) for m in group.managers if m in drawn),
        figures.legend_entry("median of runs", style.PLAIN),
        figures.legend_entry("runs pooled", style.PLAIN.tail),
        figures.band_entry(),
    ]
    return sheet.framed(legend, footer(summary))


def _axes(panel: Axes) -> None:
    panel.set_xscale("log")
    panel.set_xlim(_GRID[0], _GRID[-1])
    panel.xaxis.set_major_locator(FixedLocator([2, 10, 100, 1000, 10_000]))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{percent(round(x)):g} %"))
    panel.set_xlabel("redos that take no longer")
    figures.log_axis(panel, style.Y_FORMATS[Measure.LATENCY])


def _curve(panel: Axes, manager: str, of_case: Tails, look: style.Look) -> None:
    by_run = [(tail.one_in, tail.by_run) for tail in of_case.percentiles if tail.by_run is not None]
    if by_run:
        figures.line(panel, by_run, look)
        if manager != FLOOR:  # what the others are compared with: a line is enough
            figures.band(panel, by_run, look.color)
    pooled = [
        (tail.one_in, tail.pooled_s)
        for tail in of_case.percentiles
        if tail.is_pooled and tail.pooled_s is not None
    ]
    if pooled:
        xs, ys = zip(*pooled, strict=True)
        figures.curve(panel, xs, ys, look.tail)


def _title(group: Group, clients: int, distributions: Distributions) -> str:
    """As ``short, N = 8: p99.9 of async is 1.31x that of sync``: the highest that all runs have."""
    head = f"{group.title}, N = {clients}"
    rows = [group.row(manager, clients) for manager in (CHALLENGER, BASE)]
    sides = [
        tails(distributions[row.case], ONE_IN)
        for row in rows
        if row is not None and row.case in distributions
    ]
    if len(sides) == 2:
        known = [
            (percentile_name(ratio.one_in), ratio.value)
            for ratio in tail_ratios(*sides)
            if ratio.value is not None and not ratio.is_pooled
        ]
        if known:
            name, value = known[-1]
            return f"{head}: {name} of {CHALLENGER} is {units.factor(value)} that of {BASE}"
    return head
