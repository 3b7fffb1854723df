"""One measure against the number of clients: a panel per group, a line per manager.

A group that was measured at a single N has bars instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bench.cases.names import FLOOR
from bench.results.summary import Estimate, Group, Summary
from bench.show.findings import Measure, title
from bench.show.pictures import bars, figures, style
from bench.show.pictures.sheet import Sheet, footer


def clients_figure(
    groups: Sequence[Group], summary: Summary, measure: Measure, *, tail: bool = False
) -> Figure:
    """A panel per group, at least one; ``tail``: with the p99 beside the measure."""
    looks = style.looks(summary.managers)
    draw = partial(draw_panel, looks=looks, measure=measure, tail=tail)
    sheet = Sheet.of(groups, draw, partial(title, measure=measure))
    curves = [has_curves(group, measure) for group in groups]
    for number, panel in enumerate(sheet.panels):
        is_first = number % sheet.columns == 0 or not curves[number - 1]
        if curves[number] and is_first:
            panel.set_ylabel(measure.label)
    return sheet.framed(legend(groups, looks, measure, tail=tail), footer(summary))


def has_curves(group: Group, measure: Measure) -> bool:
    """Whether the measure is drawn against N."""
    return figures.is_range(row.case.clients for row in group.rows if measure.of(row) is not None)


def draw_panel(
    panel: Axes, group: Group, looks: Mapping[str, style.Look], measure: Measure, *, tail: bool
) -> None:
    """The curves or bars of all managers, with their axes; neither a title nor the label of a y
    axis of the measure."""
    if not has_curves(group, measure):
        bars.draw_bars(panel, group, looks, measure, tail=tail)
        return
    figures.clients_axis(panel, group.clients)
    # A logarithmic axis has no place for a CPU time below what the kernel counts.
    is_log = all(estimate.low > 0 for _, estimate in figures.points(group.rows, measure.of))
    if is_log:
        figures.log_axis(panel, style.Y_FORMATS[measure])
    for manager in reversed(group.managers):  # so that the first one lies on top
        main, look = points(group, manager, measure), looks[manager]
        if len(bars.measures_of(manager, measure, tail=tail)) > 1:
            figures.percentiles(panel, main, points(group, manager, Measure.LATENCY_P99), look)
            continue
        figures.line(panel, main, look)
        if manager != FLOOR:  # what the others are compared with: a line is enough
            figures.band(panel, main, look.color)
    if is_log:
        figures.give_room(panel)
    else:
        panel.set_ylim(bottom=0)
        panel.yaxis.set_major_formatter(FuncFormatter(style.Y_FORMATS[measure]))


def points(group: Group, manager: str, measure: Measure) -> list[tuple[int, Estimate]]:
    """By number of clients, what is known of the manager."""
    return figures.points((row for row in group.rows if row.case.manager == manager), measure.of)


def legend(
    groups: Iterable[Group], looks: Mapping[str, style.Look], measure: Measure, *, tail: bool
) -> list[Artist]:
    """An entry for each line of panels of these groups, and for the band. Bars have their names
    beside them."""
    groups = [group for group in groups if has_curves(group, measure)]
    if not groups:
        return [*bars.legend(tail=tail)]
    # A manager without a line needs no entry: the latency of a peer is not known.
    managers = dict.fromkeys(
        name for group in groups for name in group.managers if points(group, name, measure)
    )
    entries = [figures.legend_entry(manager, looks[manager]) for manager in managers]
    return [*entries, *(figures.percentile_entries() if tail else ()), figures.band_entry()]
