"""The ratio of async to sync against N, and from which N on async is ahead.

A panel per group; per async manager a line with its interval over the rounds, and at the foot of
the panel a mark at its crossover with the bar of the interval of that. The numbers are those of
``rounds`` and ``crossover``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.cases.managers.registry import is_rival
from bench.cases.names import BASE
from bench.results.summary import Group, Summary
from bench.show.findings import Measure, title
from bench.show.pictures import figures, style
from bench.statistics.crossover import Crossover, crossovers
from bench.statistics.effects import Effect
from bench.statistics.rounds import ratio

_MEASURE: Final = Measure.THROUGHPUT
_FOOT: Final = 0.06
"""Where the first mark stands, and how far each is above the one before: shares of the height."""

_MARK: Final = 7.0
_ROOM: Final = 1.25


@dataclass(frozen=True, slots=True)
class Ratios:
    """The throughput of an async manager to that of sync, by N ascending; at least one."""

    manager: str
    by_clients: tuple[tuple[int, Effect], ...]


def ratios(group: Group) -> list[Ratios]:
    """Those of each rival that has an N in common with sync."""
    found = (
        Ratios(manager, tuple(_by_clients(group, manager)))
        for manager in group.managers
        if is_rival(manager)
    )
    return [one for one in found if one.by_clients]


def ratio_figure(groups: Sequence[Group], summary: Summary) -> Figure:
    """A panel per group that has `ratios`, at least one."""
    figure, panels, columns = figures.panels(len(groups))
    for panel, group in zip(panels, groups, strict=True):
        _panel(panel, group)
        figures.title(panel, finding(group), columns)
    for index in range(0, len(groups), columns):
        panels[index].set_ylabel(f"redos per second, to those of {BASE}")
    managers = dict.fromkeys(one.manager for group in groups for one in ratios(group))
    legend = [figures.legend_entry(manager, style.look(manager)) for manager in managers]
    legend.append(figures.band_entry("95 % interval over rounds"))
    legend.append(Line2D([], [], label="ahead from here on (bar: 95 %)", **_mark(style.FAINT)))
    figures.frame(figure, legend, figures.footer(summary))
    return figure


def finding(group: Group) -> str:
    """As ``short: ahead of sync: async from N = 4 on (2 to 8), async-uvloop at every N``; where
    only one N was measured, what `title` says."""
    said = ", ".join(f"{one.manager} {_from(one)}" for one in _crossovers(group))
    return f"{group.title}: ahead of {BASE}: {said}" if said else title(group, _MEASURE)


def _by_clients(group: Group, manager: str) -> list[tuple[int, Effect]]:
    pairs = ((n, group.row(manager, n), group.row(BASE, n)) for n in group.clients)
    effects = ((n, ratio(_MEASURE.of(own), _MEASURE.of(base))) for n, own, base in pairs)
    return [(n, effect) for n, effect in effects if effect is not None]


def _crossovers(group: Group) -> list[Crossover]:
    return [one for one in crossovers(group) if one.measure == _MEASURE.field]


def _from(one: Crossover) -> str:
    """Where it is ahead, with the interval of the crossover if that is wider than a point."""
    if one.clients is None:
        where = f"not at N = {one.measured[-1]}"
    elif one.clients == one.measured[0]:
        where = "at every N"
    else:
        where = f"from N = {one.clients} on"
    if not one.known:
        return f"{where} (?)"
    low, high = ("none" if n is None else str(n) for n in (one.low, one.high))
    return where if one.low == one.high == one.clients else f"{where} ({low} to {high})"


def _panel(panel: Axes, group: Group) -> None:
    figures.clients_axis(panel, group.clients)
    figures.log_axis(panel, lambda value, _: f"{value:g}x")
    panel.axhline(1.0, color=style.FAINT, linewidth=0.8)
    for one in reversed(ratios(group)):  # so that the first one lies on top
        look = style.look(one.manager)
        xs = [n for n, _ in one.by_clients]
        figures.curve(
            panel,
            xs,
            [effect.ratio for _, effect in one.by_clients],
            look,
            f"{one.manager} to {BASE}",
            around=[figures.Around.interval(r.low, r.high) for _, r in one.by_clients],
        )
    low, high = panel.get_ylim()  # an interval of two rounds may be very wide
    for one in ratios(group):
        known = [(n, r.low, r.high) for n, r in one.by_clients if r.low and r.high]
        if known:
            at, least, most = zip(*known, strict=True)
            figures.area(panel, at, least, most, style.look(one.manager).color)
    room = max(_ROOM, math.sqrt(style.LEAST_Y_SPAN / (high / low)))
    panel.set_ylim(low / room, high * room)
    for place, crossover in enumerate(_crossovers(group)):
        _crossover(panel, crossover, _FOOT * (place + 1))


def _crossover(panel: Axes, one: Crossover, height: float) -> None:
    """A diamond at the crossover, a bar over its interval; to the edge where that is open."""
    color = style.look(one.manager).color
    beyond = panel.get_xlim()[1]
    across = panel.get_xaxis_transform()  # x: N, y: a share of the height
    if one.known and one.low is not None:
        ends = [one.low, beyond if one.high is None else one.high]
        panel.plot(ends, [height] * 2, color=color, linewidth=2.5, alpha=0.5, transform=across)
    if one.clients is not None:
        panel.plot([one.clients], [height], transform=across, **_mark(color))


def _mark(color: str) -> dict[str, Any]:
    return {"color": color, "linestyle": "", "marker": "d", "markersize": _MARK}
