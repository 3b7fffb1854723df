"""Open loads and the closed loop side by side: the tables, the data and the figure.

What the rows show is computed in `findings`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from rich.console import RenderableType
from rich.text import Text

from bench.cases.case import Case
from bench.experiments.open_loop.findings import Curve, Panel, Point, panels
from bench.results.measures.open_loop import BACKLOG_PEAK, FROM_CALL_P99, PACER_LATE_P99
from bench.results.summary import CaseRow, Estimate, Summary
from bench.show import columns, fields, units
from bench.show.families import further, interval, with_default
from bench.show.fields import field_data, field_table
from bench.show.findings import Measure
from bench.show.layout import hanging
from bench.show.pictures import style
from bench.statistics.effects import Effect

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HOW_TO_READ: Final = (
    "Medians over the runs, ratios the geometric means over the rounds. p50, p99: latency, of an"
    " open load from the intended start, of the closed loop from the call. p99 call: of the same"
    " redos, from the call. hidden: p99 / p99 call, what coordinated omission hides. /closed: p99"
    " to that of the closed loop. waited: the most arrivals that were due and had no client. over:"
    " share of slices that ended early for it; latencies of such a load say how long it was"
    " measured, too. late: by how much a free client called too late, p99; this is in the latency,"
    " whoever is to blame."
)
_CLOSED: Final[Mapping[str, Any]] = {
    "color": style.FAINT,
    "linestyle": (0, (5, 2)),
    "linewidth": 1.3,
}
_OVERLOADED: Final[Mapping[str, Any]] = {
    "marker": "o",
    "markersize": 8,
    "markerfacecolor": "none",
    "linestyle": "",
}


class OpenView:
    """`View` of every case with an open load, and of its closed loop."""

    name = "open_loop"
    pictures: tuple[str, ...] = ("open-loop",)

    def covered(self, cases: Collection[Case]) -> frozenset[Case]:
        return with_default(cases, "load")

    def tables(self, summary: Summary) -> Iterable[RenderableType]:
        found = panels(summary)
        for panel in found:
            yield hanging("", _verdict(panel), "")
            yield field_table([row for curve in panel.curves for row in _rows(curve)], _FIELDS)
        if found:
            yield Text(_HOW_TO_READ, style="dim")

    def data(self, summary: Summary) -> Any:
        """A list of panels; what needs two cases only, as measures are those of each case."""
        return [
            {
                "group": panel.title,
                "verdict": _verdict(panel),
                "managers": [
                    {
                        "manager": curve.manager,
                        "closed": curve.closed and curve.closed.case.name,
                        "loads": field_data(_rows(curve)[-len(curve.points) :], _FIELDS),
                    }
                    for curve in panel.curves
                ],
            }
            for panel in panels(summary)
        ]

    def figure(self, picture: str, summary: Summary) -> Figure:
        from matplotlib.lines import Line2D

        from bench.show.pictures import figures
        from bench.show.pictures.sheet import Sheet, footer

        assert picture in self.pictures
        curves = [(panel, curve) for panel in panels(summary) for curve in panel.curves]
        sheet = Sheet.of(
            curves, lambda axes, part: _draw(axes, part[1]), lambda part: _title(*part)
        )
        sheet.share_y()
        sheet.label_left(Measure.LATENCY.label)
        legend = [
            *figures.percentile_entries(),
            figures.legend_entry("p99 from the call", _from_call(style.PLAIN)),
            Line2D([], [], label="p99 of the closed loop", **_CLOSED),
            Line2D([], [], label="overloaded", color=style.FAINT, **_OVERLOADED),
            figures.band_entry(),
        ]
        return sheet.framed(legend, footer(summary))


def _verdict(panel: Panel) -> str:
    label = panel.telling()
    parts = [_hides(curve, label) for curve in panel.curves]
    unsteady = any(
        point is not None and point.is_overloaded
        for point in (curve.at(label) for curve in panel.curves)
    )
    but = " (overloaded, not a steady state)" if unsteady else ""
    return f"{panel.title}: at a load of {label}{but} {'; '.join(filter(None, parts))}."


def _hides(curve: Curve, label: str) -> str | None:
    """As ``sync has a p99 of 5.22 ms (coordinated omission hides a factor of 4.58; ...)``."""
    point = curve.at(label)
    if point is None or point.row.latency_p99_s is None or point.hidden_p99 is None:
        return None
    p99 = point.row.latency_p99_s.median
    beside = ""
    if point.to_closed_p99 is not None:
        beside = f"; {interval(point.to_closed_p99)} that of the closed loop"
    return (
        f"{curve.manager} has a p99 of {units.seconds(p99)} (coordinated omission hides"
        f" {interval(point.hidden_p99)}{beside})"
    )


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the table: an open load, or the closed loop, which has no ``point``."""

    manager: str
    case_row: CaseRow
    point: Point | None

    def measure(self, key: str) -> Estimate | None:
        """A measure that only open loads have."""
        return None if self.point is None else self.case_row.further.get(key)

    def ratio(self, name: str) -> Effect | None:
        """A ratio of the point, by its field."""
        return None if self.point is None else getattr(self.point, name)


def _rows(curve: Curve) -> list[_Row]:
    """The closed loop, if it was measured, then the open loads."""
    closed = [] if curve.closed is None else [_Row(curve.manager, curve.closed, None)]
    return [*closed, *(_Row(curve.manager, point.row, point) for point in curve.points)]


def _ratio_alone(effect: Effect | None) -> float | None:
    return None if effect is None else effect.ratio


def _ratio_data(name: str) -> fields.Field[_Row]:
    return fields.only_data(name, lambda row: row.ratio(name), _ratio_alone)


def _ratio_field(heading: str, name: str) -> fields.Field[_Row]:
    return fields.ratio(heading, lambda row: row.ratio(name), key=name, data=_ratio_alone)


_FIELDS: Final[list[fields.Field[_Row]]] = [
    fields.words("manager", lambda row: row.manager, is_group=True),
    fields.only_data("case", lambda row: row.case_row.case.name),
    fields.only_data("share_of_capacity", lambda row: row.point and row.point.share),
    fields.texts("load", lambda row: "closed" if row.point is None else row.point.label),
    fields.measure("redo/s", lambda row: row.case_row.throughput_per_s, columns.rates),
    fields.measure("p50", lambda row: row.case_row.latency_p50_s),
    fields.measure("p99", lambda row: row.case_row.latency_p99_s),
    fields.measure("p99 call", lambda row: row.measure(FROM_CALL_P99)),
    _ratio_data("hidden_p50"),
    _ratio_field("hidden", "hidden_p99"),
    _ratio_data("to_closed_p50"),
    _ratio_field("/closed", "to_closed_p99"),
    fields.measure("waited", lambda row: row.measure(BACKLOG_PEAK), columns.plain(0)),
    fields.numbers(
        "over",
        lambda row: None if row.point is None else row.point.overloaded,
        columns.shares,
        key="overloaded",
        style_of=lambda row: "yellow" if row.point and row.point.is_overloaded else "",
    ),
    fields.measure("late", lambda row: row.measure(PACER_LATE_P99)),
]


def _draw(axes: Axes, curve: Curve) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter

    from bench.show.pictures import figures

    look = style.look(curve.manager)
    placed, x_label = _placed(curve)
    p50, p99, called = (
        [(x, value) for x, point in placed if (value := measure_of(point.row)) is not None]
        for measure_of in (Measure.LATENCY.of, Measure.LATENCY_P99.of, further(FROM_CALL_P99))
    )
    axes.set_yscale("log")
    if curve.closed is not None and curve.closed.latency_p99_s is not None:
        axes.axhline(curve.closed.latency_p99_s.median, **_CLOSED)
    for points, name, line_look in (
        (called, "p99 from the call", _from_call(look)),
        (p50, "p50", look),
        (p99, "p99", look.tail),
    ):
        loads = [f"load {point.label}" for x, point in placed if x in dict(points)]
        figures.line(axes, points, line_look, f"{curve.manager} {name}", at=loads)
    figures.band(axes, p99, look.color)
    over = {x for x, point in placed if point.is_overloaded}
    marked = [(x, value.median) for x, value in p99 if x in over]
    axes.plot([x for x, _ in marked], [y for _, y in marked], color=look.color, **_OVERLOADED)
    figures.log_ticks(axes.yaxis, style.Y_FORMATS[Measure.LATENCY], subs=(1.0,))
    axes.xaxis.set_major_locator(FixedLocator([x for x, _ in placed]))
    axes.xaxis.set_major_formatter(FuncFormatter(style.Y_FORMATS[Measure.THROUGHPUT]))
    axes.set_xlabel(x_label)


def _from_call(look: style.Look) -> style.Look:
    return replace(look, linestyle="-.", width=1.0, marker="")


def _placed(curve: Curve) -> tuple[list[tuple[float, Point]], str]:
    """The place of each load, and the label of that axis: shares of capacity if all are known."""
    by_share = [(point.share * 100, point) for point in curve.points if point.share is not None]
    if len(by_share) == len(curve.points):
        return by_share, "load, % of capacity"
    return [(point.offered_per_s, point) for point in curve.points], "load, redos per second"


def _title(panel: Panel, curve: Curve) -> str:
    """As ``sync, short, N = 32: at 80 % p99 is 60x that of the closed loop``."""
    label = panel.telling()
    point = curve.at(label)
    if point is None or point.to_closed_p99 is None:
        return f"{curve.manager}, {panel.title}"
    times = units.factor(point.to_closed_p99.ratio)
    finding = f"at {label} p99 is {times} that of the closed loop"
    if point.hidden_p99 is not None:
        finding += f"; coordinated omission hides {units.factor(point.hidden_p99.ratio)}"
    return f"{curve.manager}, {panel.title}: {finding}"
