"""The percentile spectrum of latency: how long the slowest redo of so many takes, a panel per N.

As plotters of HdrHistogram draw it: the x axis stretches the high percentiles, so that each further
nine has the same width. Lines end where the samples do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from bench.cases.case import Case
from bench.cases.names import BASE, CHALLENGER, FLOOR
from bench.errors import PictureError
from bench.results.histogram import Distributions
from bench.results.summary import Group, Summary
from bench.show import units
from bench.show.findings import Measure
from bench.show.pictures import figures, style
from bench.statistics.tails import ONE_IN, Tails, percent, percentile_name, tail_ratios, tails

_GRID: Final = (
    2,
    3,
    5,
    7,
    *(step * 10**nines for nines in (1, 2, 3) for step in (1, 2, 3, 5, 7)),
    10_000,
)
"""Where the lines have points: one in so many redos is slower."""

_TICKS: Final = (2, 10, 100, 1000, 10_000)


def pictures(
    summary: Summary, distributions: Distributions
) -> Iterator[tuple[str, figures.MakeFigure]]:
    """The name of each figure, and how to make it: one per group. Raises PictureError if there is
    nothing to draw."""
    of_case = {case: tails(runs, _GRID) for case, runs in distributions.items()}
    groups = [group for group in summary.groups() if _clients(group, of_case)]
    if not groups:
        raise PictureError(
            f"{summary.source}: no case has samples enough for a percentile: run it for longer"
        )
    for group in groups:
        suffix = "".join(f"-{key}-{value}" for key, value in group.extra)
        name = f"tails-{group.workload}{suffix}"
        yield name, partial(_figure, group, of_case, distributions, summary)


def _clients(group: Group, of_case: Mapping[Case, Tails]) -> list[int]:
    """The N at which a manager has a percentile."""
    known = {
        row.case.clients
        for row in group.rows
        if row.case in of_case
        and any(one.value_s is not None for one in of_case[row.case].percentiles)
    }
    return sorted(known)


def _figure(
    group: Group, of_case: Mapping[Case, Tails], distributions: Distributions, summary: Summary
) -> Figure:
    all_clients = _clients(group, of_case)
    figure, panels, columns = figures.panels(len(all_clients))
    for panel, clients in zip(panels, all_clients, strict=True):
        _axes(panel)
        for manager in reversed(group.managers):  # so that the first one lies on top
            row = group.row(manager, clients)
            if row is not None and row.case in of_case:
                _curve(panel, manager, of_case[row.case])
        figures.title(panel, _title(group, clients, distributions), columns)
    for index in range(0, len(panels), columns):
        panels[index].set_ylabel(style.Y_LABELS[Measure.LATENCY])
    managers = [
        manager
        for manager in group.managers
        if any(row.case.manager == manager and row.case in of_case for row in group.rows)
    ]
    figures.frame(figure, _legend(managers), figures.footer(summary))
    return figure


def _axes(panel: Axes) -> None:
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlim(_GRID[0], _GRID[-1])
    panel.xaxis.set_major_locator(FixedLocator(list(_TICKS)))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{percent(round(x)):g} %"))
    panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(FuncFormatter(style.Y_FORMATS[Measure.LATENCY]))
    panel.set_xlabel("redos that take no longer")


def _curve(panel: Axes, manager: str, of_case: Tails) -> None:
    look = replace(style.look(manager), marker="", marker_size=0.0)
    by_run = [(one.one_in, one.by_run) for one in of_case.percentiles if one.by_run is not None]
    if by_run:
        figures.line(panel, by_run, look)
        if manager != FLOOR:  # a yardstick: one thin line is enough
            figures.band(panel, by_run, look.color)
    pooled = [
        (one.one_in, one.pooled_s)
        for one in of_case.percentiles
        if one.is_pooled and one.pooled_s is not None
    ]
    if pooled:
        xs, ys = zip(*pooled, strict=True)
        figures.curve(panel, xs, ys, replace(look, **style.TAIL))


def _title(group: Group, clients: int, distributions: Distributions) -> str:
    """As ``short, N = 8: p99.9 of async is 1.31x that of sync``, the highest that all runs have."""
    head = f"{group.title}, N = {clients}"
    rows = [group.row(manager, clients) for manager in (CHALLENGER, BASE)]
    sides = [
        tails(distributions[row.case], ONE_IN)
        for row in rows
        if row is not None and row.case in distributions
    ]
    if len(sides) == 2:
        known = [
            (percentile_name(one.one_in), one.value)
            for one in tail_ratios(*sides)
            if one.value is not None and not one.is_pooled
        ]
        if known:
            name, ratio = known[-1]
            return f"{head}: {name} of {CHALLENGER} is {units.factor(ratio)} that of {BASE}"
    return head


def _legend(managers: list[str]) -> list[Line2D]:
    plain = style.Look(style.FAINT, "-", style.LINE_WIDTH, "", 0.0)
    return [
        *(
            figures.legend_entry(name, replace(style.look(name), marker="", marker_size=0.0))
            for name in managers
        ),
        figures.legend_entry("median of runs", plain),
        figures.legend_entry("runs pooled", replace(plain, **style.TAIL)),
        figures.band_entry(),
    ]
