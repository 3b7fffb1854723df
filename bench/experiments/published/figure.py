"""A result and the published benchmark as figures: the ratio of sync to async against N, and how
time per redo grows with N.

The ratios come from `shapes`; which groups are drawn is decided by the view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.cases.names import SYNC
from bench.experiments.published import shapes
from bench.experiments.published.reference import Published
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


def ratio_figure(groups: Sequence[Group], published: Published, summary: Summary) -> Figure:
    """A panel per group, at least one; a line per machine of which both managers were published."""
    machines: dict[str, style.Look] = {}

    def draw(panel: Axes, group: Group) -> None:
        own = shapes.own_ratios(group).items()
        figures.clients_axis(panel, group.clients)
        panel.set_yscale("log")
        panel.axhline(1.0, color=style.FAINT, linewidth=0.8)
        figures.ratios(panel, own, _OWN_LOOK, "here")
        for found in shapes.beside(group, published):
            machine = found.table.label
            look = _look_of(machines, machine)
            _published_line(panel, found.published, look, f"published, {machine}")
        # Only the lines decide what is in sight: an interval may be very wide.
        seen = panel.get_ylim()
        figures.intervals(panel, own, _OWN_LOOK.color)
        panel.set_ylim(seen)

    def title(group: Group) -> str:
        parts = "; ".join(
            f"points as published at {found.counted} N{found.exceptions}"
            for found in shapes.beside(group, published)
        )
        return f"{group.workload}: {parts or 'no ratio beside a published one'}"

    sheet = Sheet.of(groups, draw, title)
    low, high = sheet.share_y(_ROOM)
    subs = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0) if high / low < _WIDE else (1.0, 2.0, 5.0)
    for panel in sheet.panels:
        figures.log_ticks(panel.yaxis, _times, subs)
    sheet.panels[0].set_ylabel("time per redo, sync / async")
    legend = [
        figures.legend_entry("here", _OWN_LOOK),
        *(figures.legend_entry(f"published: {name}", look) for name, look in machines.items()),
        figures.band_entry("95 % CI"),
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
        for manager in (SYNC, shapes.ASYNC):
            look = style.look(manager)
            for table in published.tables:
                growth = shapes.published_growth(table, manager, group.workload)
                if seen := {n: ratio for n, ratio in growth.items() if n in group.clients}:
                    machine = table.machine.partition(" (")[0]  # the legend has one line
                    theirs = replace(_look_of(machines, machine), color=look.color)
                    _published_line(panel, seen, theirs, f"{manager} published, {table.label}")
            if own := shapes.own_growth(group, manager):
                managers[manager] = look
                figures.ratios(panel, own.items(), look, f"{manager} here")

    def title(group: Group) -> str:
        growths = {name: shapes.own_growth(group, name) for name in (SYNC, shapes.ASYNC)}
        last = ", ".join(
            f"{name} {growth[max(growth)].value:.3g}x at N = {max(growth)}"
            for name, growth in growths.items()
            if growth
        )
        return f"{group.workload}: {f'here {last}' if last else 'N = 1 was not measured here'}"

    sheet = Sheet.of(groups, draw, title)
    sheet.panels[0].set_ylabel("time per redo, to that at N = 1")
    legend = [figures.legend_entry(f"{name} here", look) for name, look in managers.items()]
    legend += [figures.legend_entry(f"published: {name}", look) for name, look in machines.items()]
    return sheet.framed(legend, footer(summary))


def _look_of(machines: dict[str, style.Look], name: str) -> style.Look:
    """The look of a published machine, which is added if it is new."""
    return machines.setdefault(name, _THEIR_LOOKS[len(machines) % len(_THEIR_LOOKS)])


def _times(value: float, _position: int | None) -> str:
    return f"{value:g}x"


def _published_line(panel: Axes, found: shapes.ByClients, look: style.Look, name: str) -> None:
    """A line whose descriptions have no intervals, which come from other statistics."""
    figures.curve(panel, list(found), [ratio.value for ratio in found.values()], look, name)
