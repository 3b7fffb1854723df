"""The ratio of async to sync against N, and from which N on async is faster.

A panel per group. Each async manager has a line with its interval over the rounds, and a mark at
its crossover with the bar of that interval, at the foot of the panel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.cases.managers.registry import is_rival
from bench.cases.names import BASE
from bench.results.summary import Group, Summary
from bench.show.findings import Measure, ahead_from, interval, title
from bench.show.pictures import figures, style
from bench.show.pictures.sheet import Sheet, footer
from bench.statistics.crossover import Crossover, crossovers, leads
from bench.statistics.effects import Effect
from bench.statistics.rounds import ratio

_MEASURE: Final = Measure.THROUGHPUT
_FOOT: Final = 0.06
"""Height of the first mark, and the step to each further one: shares of the panel."""


def ratios(group: Group) -> dict[str, list[tuple[int, Effect]]]:
    """The throughput of each rival to that of sync, by N ascending, if they have an N in common."""
    found: dict[str, list[tuple[int, Effect]]] = {}
    for manager in filter(is_rival, group.managers):
        for n in group.clients:
            own, base = (_MEASURE.of(group.row(name, n)) for name in (manager, BASE))
            if (effect := ratio(own, base)) is not None:
                found.setdefault(manager, []).append((n, effect))
    return found


def has_ratio_curves(group: Group) -> bool:
    """Whether there is anything to draw."""
    return figures.is_range(n for points in ratios(group).values() for n, _ in points)


def ratio_figure(groups: Sequence[Group], summary: Summary) -> Figure:
    """A panel per group that has curves, at least one."""
    looks = style.looks(summary.managers)
    sheet = Sheet.of(groups, partial(_panel, looks=looks), finding)
    sheet.label_left(f"{_MEASURE.label}, relative to {BASE}")
    managers = dict.fromkeys(manager for group in groups for manager in ratios(group))
    legend = [figures.legend_entry(manager, looks[manager]) for manager in managers]
    legend.append(figures.band_entry("95 % CI"))
    legend.append(Line2D([], [], label="faster from here on (bar: 95 % CI)", **_mark(style.FAINT)))
    return sheet.framed(legend, footer(summary))


def finding(group: Group) -> str:
    """As ``short: faster than sync: async from N = 4 on (2 to 8), async-uvloop at every N``; the
    `title` of the group if only one N was measured."""
    found = ", ".join(
        f"{crossover.manager} {_from(group, crossover)}" for crossover in _crossovers(group)
    )
    return f"{group.title}: faster than {BASE}: {found}" if found else title(group, _MEASURE)


def _crossovers(group: Group) -> list[Crossover]:
    return [found for found in crossovers(group) if found.measure == _MEASURE.field]


def _from(group: Group, found: Crossover) -> str:
    """Where it is ahead, with the interval of the crossover if that has a width."""
    last = leads(group, found.manager, found.measure)[-1]
    if last.side > 0 and found.clients is not None:
        return ahead_from(found) if found.known else f"{ahead_from(found)} (?)"
    said = "no significant difference" if last.side == 0 else "not"
    where = f"{said} at N = {last.clients}"
    return where if found.is_sure else f"{where} {interval(found)}"


def _panel(panel: Axes, group: Group, looks: Mapping[str, style.Look]) -> None:
    figures.clients_axis(panel, group.clients)
    figures.log_axis(panel, lambda value, _: f"{value:g}x")
    panel.axhline(1.0, color=style.FAINT, linewidth=0.8)
    by_manager = ratios(group)
    for manager in reversed(by_manager):  # so that the first one lies on top
        figures.ratios(panel, by_manager[manager], looks[manager], f"{manager} to {BASE}")
    # Read before the intervals are drawn, of which those of two rounds may be very wide.
    low, high = panel.get_ylim()
    for manager, by_clients in by_manager.items():
        figures.intervals(panel, by_clients, looks[manager].color)
    panel.set_ylim(*figures.roomy(low, high, least=1.25))
    for place, crossover in enumerate(_crossovers(group)):
        _crossover(panel, crossover, _FOOT * (place + 1), looks[crossover.manager].color)


def _crossover(panel: Axes, found: Crossover, height: float, color: str) -> None:
    """A diamond at the crossover and a bar over its interval, to the edge if that is open."""
    across = panel.get_xaxis_transform()  # x: N, y: a share of the height
    if found.known and found.low is not None:
        ends = [found.low, panel.get_xlim()[1] if found.high is None else found.high]
        panel.plot(ends, [height] * 2, color=color, linewidth=2.5, alpha=0.5, transform=across)
    if found.clients is not None:
        panel.plot([found.clients], [height], transform=across, **_mark(color))


def _mark(color: str) -> dict[str, Any]:
    return {"color": color, "linestyle": "", "marker": "d", "markersize": 7.0}
