"""A result and the published benchmark as figures: the ratio of sync to async against N, and how
time per redo grows with N.

The ratios come from `shapes`; which groups are drawn is decided by the view.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.cases.names import SYNC
from bench.experiments.published.reference import Published
from bench.experiments.published.shapes import (
    ASYNC,
    Beside,
    Ratio,
    beside,
    exceptions,
    own_growth,
    own_ratios,
    published_growth,
)
from bench.results.summary import Group, Summary
from bench.show.pictures import figures, style
from bench.show.pictures.sheet import Sheet, footer

_ROOM: Final = 1.3
_WIDE: Final = 20.0
"""A wider scale has fewer ticks."""

_OWN_LOOK: Final = style.Look("#0072B2", "-", style.LINE_WIDTH, "s", 4.0)
_THEIR_LOOKS: Final = (
    replace(style.DASHED, marker="o", marker_size=3.0),
    style.Look(style.FAINT, (0, (1, 1.3)), 1.3, "D", 3.0),
)


def shapes_figure(groups: Sequence[Group], published: Published, summary: Summary) -> Figure:
    """A panel per group, at least one; a line per machine of which both managers were published."""
    machines: dict[str, style.Look] = {}

    def draw(panel: Axes, group: Group) -> None:
        compared = beside(group, published)
        for found in compared:
            _look_of(machines, found.table.label)
        _panel(panel, group, compared, machines)

    sheet = Sheet.of(groups, draw, lambda group: _panel_title(group, beside(group, published)))
    low, high = sheet.share_y(_ROOM)
    subs = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0) if high / low < _WIDE else (1.0, 2.0, 5.0)
    for panel in sheet.panels:
        figures.log_ticks(panel.yaxis, _times, subs)
    sheet.panels[0].set_ylabel("time per redo, sync / async")
    legend = [
        figures.legend_entry("here", _OWN_LOOK),
        *(figures.legend_entry(f"published: {name}", look) for name, look in machines.items()),
        figures.band_entry("95 % interval over rounds"),
    ]
    return sheet.framed(legend, footer(summary))


def growth_figure(groups: Sequence[Group], published: Published, summary: Summary) -> Figure:
    """Time per redo as a multiple of that at N = 1: a panel per group, at least one; a line per
    manager, and one in the same colour per machine and manager that was published."""
    machines: dict[str, style.Look] = {}
    managers: dict[str, style.Look] = {}

    def draw(panel: Axes, group: Group) -> None:
        figures.clients_axis(panel, group.clients)
        figures.log_axis(panel, _times)
        for manager in (SYNC, ASYNC):
            look = style.look(manager)
            for table in published.tables:
                growth = published_growth(table, manager, group.workload)
                points = [(n, ratio) for n, ratio in growth.items() if n in group.clients]
                if points:
                    machine = table.machine.partition(" (")[0]  # the legend has one line
                    theirs = replace(_look_of(machines, machine), color=look.color)
                    _published_line(panel, points, theirs, f"{manager} published, {table.label}")
            if own := own_growth(group, manager):
                managers[manager] = look
                figures.ratios(panel, own.items(), look, f"{manager} here")

    sheet = Sheet.of(groups, draw, _growth_title)
    sheet.panels[0].set_ylabel("time per redo, to that at N = 1")
    legend = [figures.legend_entry(f"{name} here", look) for name, look in managers.items()]
    legend += [figures.legend_entry(f"published: {name}", look) for name, look in machines.items()]
    return sheet.framed(legend, footer(summary))


def _look_of(machines: dict[str, style.Look], name: str) -> style.Look:
    """The look of a published machine, which is added if it is new."""
    return machines.setdefault(name, _THEIR_LOOKS[len(machines) % len(_THEIR_LOOKS)])


def _times(value: float, _position: int | None) -> str:
    return f"{value:g}x"


def _published_line(
    panel: Axes, points: Sequence[tuple[int, Ratio]], look: style.Look, name: str
) -> None:
    """A line whose descriptions have no intervals, which come from other statistics."""
    figures.curve(panel, [n for n, _ in points], [r.value for _, r in points], look, name)


def _panel(
    panel: Axes, group: Group, compared: Sequence[Beside], machines: Mapping[str, style.Look]
) -> None:
    own = own_ratios(group).items()
    figures.clients_axis(panel, group.clients)
    panel.set_yscale("log")
    panel.axhline(1.0, color=style.FAINT, linewidth=0.8)
    figures.ratios(panel, own, _OWN_LOOK, "here")
    for found in compared:
        label = found.table.label
        points = list(found.published.items())
        _published_line(panel, points, machines[label], f"published, {label}")
    # Only the lines decide what is in sight: an interval may be very wide.
    seen = panel.get_ylim()
    figures.intervals(panel, own, _OWN_LOOK.color)
    panel.set_ylim(seen)


def _growth_title(group: Group) -> str:
    steepest = []
    for manager in (SYNC, ASYNC):
        if own := own_growth(group, manager):
            last = max(own)
            steepest.append(f"{manager} {own[last].value:.3g}x at N = {last}")
    growth = f"here {', '.join(steepest)}" if steepest else "N = 1 was not measured here"
    return f"{group.workload}: {growth}"


def _panel_title(group: Group, compared: Sequence[Beside]) -> str:
    parts = "; ".join(
        f"points as published at {len(found.same_way)} of {len(found.own)} N{exceptions(found)}"
        for found in compared
    )
    return f"{group.workload}: {parts or 'no ratio beside a published one'}"
