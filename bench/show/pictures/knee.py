"""Time per redo over throughput as N grows: a line per manager, with N at its points and a ring
at the knee.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.results.summary import Estimate, Group, Summary
from bench.show import units
from bench.show.findings import Measure, knee_title
from bench.show.pictures import figures, style
from bench.show.pictures.sheet import Sheet, footer
from bench.statistics.knee import knees

_SHARED: Final[Mapping[str, Any]] = {"linestyle": (0, (4, 2)), "width": 1.0, "marker_size": 2.0}
"""How the line of one manager shared by all clients differs."""


def knee_figure(groups: Sequence[Group], summary: Summary) -> Figure:
    """A panel per group, at least one."""
    return figure_beside([(group, None) for group in groups], summary)


def figure_beside(pairs: Sequence[tuple[Group, Group | None]], summary: Summary) -> Figure:
    """The same for groups of many tenants, each beside the group of one shared manager if that was
    measured, in thinner lines."""
    looks = style.looks(summary.managers)
    sheet = Sheet.of(
        pairs, lambda panel, pair: _panel(panel, *pair, looks), lambda pair: knee_title(pair[0])
    )
    managers = dict.fromkeys(
        name for group, _ in pairs for name in group.managers if _points(group, name)
    )
    legend = [figures.legend_entry(manager, looks[manager]) for manager in managers]
    if any(shared is not None for _, shared in pairs):
        look = replace(style.PLAIN, **_SHARED)
        legend.append(figures.legend_entry("one manager for all", look))
    legend.append(Line2D([], [], label="knee", linestyle="", **_ring(style.FAINT)))
    return sheet.framed(legend, footer(summary))


def has_knee_curves(group: Group) -> bool:
    """Whether there is anything to draw."""
    points = (point for manager in group.managers for point in _points(group, manager))
    return figures.is_range(clients for clients, _, _ in points)


def _panel(
    panel: Axes, group: Group, shared: Group | None, looks: Mapping[str, style.Look]
) -> None:
    panel.set_xscale("log")
    figures.log_ticks(panel.xaxis, style.Y_FORMATS[Measure.THROUGHPUT])
    figures.log_axis(panel, style.Y_FORMATS[Measure.LATENCY])
    panel.set_xlabel(Measure.THROUGHPUT.label)
    panel.set_ylabel(Measure.TIME_PER_REDO.label)
    if shared is not None:
        _curves(panel, shared, looks, is_shared=True)
    _curves(panel, group, looks, is_shared=False)
    panel.set_xlim(*figures.roomy(*panel.get_xlim()))
    _label(panel, group, looks)


def _curves(panel: Axes, group: Group, looks: Mapping[str, style.Look], *, is_shared: bool) -> None:
    knee_of = {knee.manager: knee.clients for knee in knees(group)}
    for manager in reversed(group.managers):  # so that the first one lies on top
        points = _points(group, manager)
        look = replace(looks[manager], **_SHARED) if is_shared else looks[manager]
        figures.line(
            panel,
            [(x, y) for _, x, y in points],
            look,
            f"{manager} shared by all" if is_shared else manager,
            at=[f"N = {clients}, {units.rate(x)}" for clients, x, _ in points],
        )
        for clients, x, y in points:
            if clients == knee_of.get(manager):
                panel.plot([x], [y.median], linestyle="", **_ring(look.color))


def _label(panel: Axes, group: Group, looks: Mapping[str, style.Look]) -> None:
    """Writes N at the points, where there is room: at knees first, then at ends, then elsewhere."""
    knee_of = {knee.manager: knee.clients for knee in knees(group)}
    labels: list[tuple[int, int, tuple[float, float], int, str]] = []
    for index, manager in enumerate(group.managers):
        points = _points(group, manager)
        # Below on the right or above on the left: lines of neighbours are often close.
        side = -1 if index % 2 else 1
        for number, (clients, x, y) in enumerate(points):
            is_end = number in (0, len(points) - 1)
            rank = 0 if clients == knee_of.get(manager) else 1 if is_end else 2
            labels.append((rank, clients, (x, y.median), side, looks[manager].color))
    to_share = panel.transData + panel.transAxes.inverted()
    width, height = 0.035, 0.045  # shares of the panel's that the N of a point takes
    taken: list[tuple[float, float]] = []
    for _, clients, at, side, color in sorted(labels, key=lambda label: label[0]):
        right, up = (float(share) for share in to_share.transform(at))
        right, up = right + side * width / 2, up - side * height / 2
        if all(abs(right - x) > width or abs(up - y) > height for x, y in taken):
            taken.append((right, up))
            panel.annotate(
                str(clients),
                at,
                (side * 5, -side * 5),
                textcoords="offset points",
                ha="left" if side > 0 else "right",
                va="center",
                color=color,
                fontsize=style.FOOTER_SIZE,
            )


def _points(group: Group, manager: str) -> list[tuple[int, float, Estimate]]:
    """N, throughput and time per redo where both are known."""
    return [
        (row.case.clients, row.throughput_per_s.median, row.time_per_redo_s)
        for row in group.rows
        if row.case.manager == manager
        and row.throughput_per_s is not None
        and row.time_per_redo_s is not None
    ]


def _ring(color: str) -> dict[str, Any]:
    return {
        "marker": "o",
        "markersize": 11.0,
        "markerfacecolor": "none",
        "markeredgecolor": color,
        "markeredgewidth": 1.5,
    }
