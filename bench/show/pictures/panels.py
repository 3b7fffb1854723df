"""The figure of a view with families: measures against N, a line per manager and value of the
dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bench.cases.case import Case
from bench.results.summary import Estimate, Summary
from bench.show.families import Panel, lines, named
from bench.show.pictures import figures, style
from bench.show.pictures.sheet import Sheet, footer
from bench.statistics.effects import Effect


def figure(
    panels: Sequence[Panel],
    label_of: Callable[[Case], str],
    look_of: Callable[[Case], style.Look],
    summary: Summary,
    variants: Mapping[str, style.Look] = MappingProxyType({}),
) -> Figure:
    """All panels. The legend has the lines with a point and a label, and ``variants``: what a look
    means in any line."""
    drawn: dict[str, style.Look] = {}

    def draw(axes: Axes, panel: Panel) -> None:
        drawn.update((label_of(case), look_of(case)) for case in _draw(axes, panel, look_of))

    sheet = Sheet.of(panels, draw, lambda panel: panel.title)
    entries = {label: look for label, look in drawn.items() if label} | dict(variants)
    legend = [figures.legend_entry(label, look) for label, look in entries.items()]
    return sheet.framed(legend, footer(summary))


def _draw(axes: Axes, panel: Panel, look_of: Callable[[Case], style.Look]) -> list[Case]:
    """Draws a panel; returns the cases of its lines."""
    figures.clients_axis(axes, panel.family.clients)
    if panel.show is not None:
        figures.log_axis(axes, panel.show)
    axes.set_ylabel(panel.label)
    if panel.shaded is not None:
        axes.axvspan(*panel.shaded, color="#f1ecdc", zorder=0)
    drawn = []
    for line in lines(panel.family):
        points: list[tuple[int, Estimate | Effect]] = figures.points(line.rows, panel.measure_of)
        if points:
            drawn.append(line.case)
            look, name = look_of(line.case), named(line.case)
            # The spread between runs, or the intervals of ratios.
            estimates = [(x, value) for x, value in points if isinstance(value, Estimate)]
            effects = [(x, value) for x, value in points if isinstance(value, Effect)]
            if estimates:
                figures.line(axes, estimates, look, name)
                figures.band(axes, estimates, look.color)
            if effects:
                figures.ratios(axes, effects, look, name)
                figures.intervals(axes, effects, look.color)
    if panel.show is not None:
        figures.give_room(axes)
    else:
        axes.set_ylim(0, 1.04)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    return drawn
