"""Figures of views: measures against N, one line for each manager and value of the dimensions.

What a line is called, how it looks and what stands in the titles is the business of each view.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bench.cases.case import Case
from bench.results.summary import CaseRow, Estimate, Summary
from bench.show.families import Family, lines, named
from bench.show.pictures import figures, style
from bench.statistics.effects import Effect

_SHARE_TOP = 1.04
_SHADE = "#f1ecdc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One measure of one family. ``show`` prints a tick, None: the measure is a share from 0 to 1
    on a linear axis. ``shaded``: a range of N to point out."""

    family: Family
    measure_of: Callable[[CaseRow], Estimate | Effect | None]
    label: str
    title: str
    show: Callable[[float, int | None], str] | None = None
    shaded: tuple[float, float] | None = None


def figure(
    panels: Sequence[Panel],
    label_of: Callable[[Case], str],
    look_of: Callable[[Case], style.Look],
    summary: Summary,
    variants: Mapping[str, style.Look] = MappingProxyType({}),
) -> Figure:
    """All panels. In the legend are those lines that have a point and a label, and ``variants``:
    what a look means whatever the line."""
    whole, axes, columns = figures.panels(max(1, len(panels)))
    drawn: dict[str, style.Look] = {}
    for one, panel in zip(axes, panels, strict=False):  # where all cases failed, one is empty
        drawn |= _panel(one, panel, label_of, look_of)
        figures.title(one, panel.title, columns)
    entries = {label: look for label, look in drawn.items() if label} | dict(variants)
    legend = [figures.legend_entry(label, look) for label, look in entries.items()]
    figures.frame(whole, legend, figures.footer(summary))
    return whole


def _panel(
    axes: Axes,
    panel: Panel,
    label_of: Callable[[Case], str],
    look_of: Callable[[Case], style.Look],
) -> dict[str, style.Look]:
    figures.clients_axis(axes, panel.family.clients)
    if panel.show is not None:
        figures.log_axis(axes, panel.show)
    axes.set_ylabel(panel.label)
    if panel.shaded is not None:
        axes.axvspan(*panel.shaded, color=_SHADE, zorder=0)
    drawn = {}
    for line in lines(panel.family):
        points = [
            (row.case.clients, one)
            for row in line.rows
            if (one := panel.measure_of(row)) is not None
        ]
        if points:
            look = look_of(line.case)
            drawn[label_of(line.case)] = look
            _draw(axes, points, look, named(line.case))
    if panel.show is not None:
        figures.give_room(axes)
    else:
        axes.set_ylim(0, _SHARE_TOP)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    return drawn


def _draw(
    axes: Axes, points: Sequence[tuple[int, Estimate | Effect]], look: style.Look, name: str
) -> None:
    """A line with what lies around it: the spread between runs, or the interval of a ratio."""
    estimates = [(x, one) for x, one in points if isinstance(one, Estimate)]
    effects = [(x, one) for x, one in points if isinstance(one, Effect)]
    if estimates:
        figures.line(axes, estimates, look, name)
        figures.band(axes, estimates, look.color)
    if effects:
        xs, ys = [x for x, _ in effects], [one.ratio for _, one in effects]
        around = [figures.Around.interval(one.low, one.high) for _, one in effects]
        figures.curve(axes, xs, ys, look, name, around=around)
        known = [(x, one.low, one.high) for x, one in zip(xs, around, strict=True) if one]
        if known:
            at, low, high = zip(*known, strict=True)
            figures.area(axes, at, low, high, look.color)
