"""The figures of the published benchmark, here and there: the ratio of sync to async against N, and
how time per redo grows with N.

What is drawn comes from ``published_shapes``; which groups are drawn is decided by the view.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bench.cases.names import SYNC
from bench.experiments.published.reference import Published
from bench.experiments.published.shapes import (
    ASYNC,
    Beside,
    beside,
    exceptions,
    own_growth,
    own_ratios,
    published_growth,
)
from bench.results.summary import Group, Summary
from bench.show.pictures import figures, style

_ROOM: Final = 1.3
_WIDE: Final = 20.0
"""A scale that is wider has fewer ticks."""

_OWN_LOOK: Final = style.Look("#0072B2", "-", style.LINE_WIDTH, "s", 4.0)
_THEIR_LOOKS: Final = (
    style.Look(style.FAINT, (0, (5, 2)), 1.3, "o", 3.0),
    style.Look(style.FAINT, (0, (1, 1.3)), 1.3, "D", 3.0),
)


def shapes_figure(groups: Sequence[Group], published: Published, summary: Summary) -> Figure:
    """A panel per group, at least one; a line per machine of which both managers were published."""
    figure, panels, columns = figures.panels(len(groups))
    machines: dict[str, style.Look] = {}
    for panel, group in zip(panels, groups, strict=True):
        compared = beside(group, published)
        for one in compared:
            look = _THEIR_LOOKS[len(machines) % len(_THEIR_LOOKS)]
            machines.setdefault(one.table.label, look)
        _panel(panel, group, compared, machines)
        figures.title(panel, _panel_title(group, compared), columns)
    _share_y(panels)
    panels[0].set_ylabel("time per redo, sync / async")
    figures.frame(figure, _figure_legend(machines), figures.footer(summary))
    return figure


def growth_figure(groups: Sequence[Group], published: Published, summary: Summary) -> Figure:
    """Time per redo as a multiple of that at N = 1: a panel per group, at least one; a line per
    manager, and one in the same colour per machine and manager that was published."""
    figure, panels, columns = figures.panels(len(groups))
    machines: dict[str, style.Look] = {}
    managers: dict[str, style.Look] = {}
    for panel, group in zip(panels, groups, strict=True):
        figures.clients_axis(panel, group.clients)
        figures.log_axis(panel, lambda value, _: f"{value:g}x")
        steepest = []
        for manager in (SYNC, ASYNC):
            look = style.look(manager)
            for table in published.tables:
                growth = {
                    n: one
                    for n, one in published_growth(table, manager, group.workload).items()
                    if n in group.clients
                }
                if growth:
                    plain = _THEIR_LOOKS[len(machines) % len(_THEIR_LOOKS)]
                    machine = table.machine.partition(" (")[0]  # the legend has one line
                    theirs = replace(machines.setdefault(machine, plain), color=look.color)
                    values = [ratio.value for ratio in growth.values()]
                    name = f"{manager} published, {table.label}"
                    figures.curve(panel, list(growth), values, theirs, name)
            own = own_growth(group, manager)
            if own:
                managers[manager] = look
                bounds = [figures.Around.interval(one.low, one.high) for one in own.values()]
                values = [ratio.value for ratio in own.values()]
                figures.curve(panel, list(own), values, look, f"{manager} here", around=bounds)
                last = max(own)
                steepest.append(f"{manager} {own[last].value:.3g}x at N = {last}")
        said = f"here {', '.join(steepest)}" if steepest else "N = 1 was not measured here"
        figures.title(panel, f"{group.workload}: {said}", columns)
    panels[0].set_ylabel("time per redo, to that at N = 1")
    legend = [figures.legend_entry(f"{name} here", look) for name, look in managers.items()]
    legend += [figures.legend_entry(f"published: {name}", look) for name, look in machines.items()]
    figures.frame(figure, legend, figures.footer(summary))
    return figure


def _panel(
    panel: Axes, group: Group, compared: Sequence[Beside], machines: Mapping[str, style.Look]
) -> None:
    own = own_ratios(group)
    figures.clients_axis(panel, group.clients)
    panel.set_yscale("log")
    panel.axhline(1.0, color=style.FAINT, linewidth=0.8)
    known = [(n, r.low, r.high) for n, r in own.items() if r.low and r.high]
    # Below the lines, which alone decide what is in sight: an interval may be very wide.
    figures.curve(
        panel,
        list(own),
        [ratio.value for ratio in own.values()],
        _OWN_LOOK,
        "here",
        around=[figures.Around.interval(ratio.low, ratio.high) for ratio in own.values()],
    )
    for one in compared:
        values = [ratio.value for ratio in one.published.values()]
        label = one.table.label
        figures.curve(panel, list(one.published), values, machines[label], f"published, {label}")
    seen = panel.get_ylim()
    if known:
        xs, low, high = zip(*known, strict=True)
        figures.area(panel, xs, low, high, _OWN_LOOK.color)
    panel.set_ylim(seen)


def _share_y(panels: Sequence[Axes]) -> None:
    """The same scale for all, with room around the lines."""
    least = min(panel.get_ylim()[0] for panel in panels) / _ROOM
    most = max(panel.get_ylim()[1] for panel in panels) * _ROOM
    subs = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0) if most / least < _WIDE else (1.0, 2.0, 5.0)
    for panel in panels:
        panel.set_ylim(least, most)
        panel.yaxis.set_major_locator(LogLocator(subs=subs))
        panel.yaxis.set_minor_locator(NullLocator())
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))


def _panel_title(group: Group, compared: Sequence[Beside]) -> str:
    said = "; ".join(
        f"points as published at {len(one.same_way)} of {len(one.own)} N{exceptions(one)}"
        for one in compared
    )
    return f"{group.workload}: {said or 'no ratio beside a published one'}"


def _figure_legend(machines: Mapping[str, style.Look]) -> list[Line2D]:
    return [
        figures.legend_entry("here", _OWN_LOOK),
        *(figures.legend_entry(f"published: {name}", look) for name, look in machines.items()),
        figures.band_entry("95 % interval over rounds"),
    ]
