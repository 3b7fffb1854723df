"""One measure against the number of clients: a panel per group, a line per manager.

Everything drawn is in the rows of ``stats``, everything said in a title is computed in
``findings``. Which measures are drawn for whom is decided in ``plots``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from bench.cases.names import FLOOR
from bench.results.summary import Estimate, Group, Summary
from bench.show.findings import Measure, title
from bench.show.pictures import figures, style


def clients_figure(
    groups: Sequence[Group], summary: Summary, measure: Measure, *, tail: bool = False
) -> Figure:
    """A panel per group, at least one; ``tail``: with the p99 beside the measure, dotted."""
    figure, panels, columns = figures.panels(len(groups))
    for panel, group in zip(panels, groups, strict=True):
        draw_panel(panel, group, measure, tail=tail)
        figures.title(panel, title(group, measure), columns)
    for index in range(0, len(groups), columns):
        panels[index].set_ylabel(style.Y_LABELS[measure])
    figures.frame(figure, legend(groups, measure, tail=tail), figures.footer(summary))
    return figure


def draw_panel(panel: Axes, group: Group, measure: Measure, *, tail: bool) -> None:
    """The curves of all managers, with their axes; neither a title nor a label of the y axis."""
    figures.clients_axis(panel, group.clients)
    estimates = [one for row in group.rows if (one := measure.of(row)) is not None]
    # A logarithm has no place for a CPU time below what the kernel counts.
    is_log = all(one.low > 0 for one in estimates)
    if is_log:
        figures.log_axis(panel, style.Y_FORMATS[measure])
    for manager in reversed(group.managers):  # so that the first one lies on top
        _curve(panel, group, manager, measure, tail=tail)
    if is_log:
        figures.give_room(panel)
    else:
        panel.set_ylim(bottom=0)
        panel.yaxis.set_major_formatter(FuncFormatter(style.Y_FORMATS[measure]))


def _curve(panel: Axes, group: Group, manager: str, measure: Measure, *, tail: bool) -> None:
    main = points(group, manager, measure)
    look = style.look(manager)
    figures.line(panel, main, look)
    if manager == FLOOR:
        return  # a yardstick: one thin line is enough
    figures.band(panel, main, look.color)
    if tail:
        of_p99 = points(group, manager, Measure.LATENCY_P99)
        figures.line(panel, of_p99, replace(look, **style.TAIL))


def points(group: Group, manager: str, measure: Measure) -> list[tuple[int, Estimate]]:
    """By number of clients, what is known of the manager; empty where nothing is."""
    rows = [row for row in group.rows if row.case.manager == manager]
    return [(row.case.clients, one) for row in rows if (one := measure.of(row)) is not None]


def legend(groups: Iterable[Group], measure: Measure, *, tail: bool) -> list[Line2D]:
    """An entry for each line of panels of these groups, and for the band."""
    # Whoever has no line (of a peer no latency is known) needs no entry.
    managers = dict.fromkeys(
        name for group in groups for name in group.managers if points(group, name, measure)
    )
    entries = [figures.legend_entry(manager, style.look(manager)) for manager in managers]
    if tail:
        plain = style.Look(style.FAINT, "-", style.LINE_WIDTH, "", 0.0)
        entries.append(figures.legend_entry("p50", plain))
        entries.append(figures.legend_entry("p99", replace(plain, **style.TAIL)))
    return [*entries, figures.band_entry()]
