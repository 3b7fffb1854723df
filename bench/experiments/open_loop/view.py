"""Open loads and the closed loop side by side: the tables and the figure.

What is said is computed in ``open_loads``; this module only lays it out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bench.cases.case import Case
from bench.experiments.open_loop.findings import Curve, Panel, Point, as_closed, is_open, panels
from bench.results.summary import CaseRow, Estimate, Summary
from bench.show import columns, fields, units
from bench.show.families import interval
from bench.show.findings import Measure
from bench.show.layout import hanging
from bench.show.pictures import figures, style
from bench.statistics.effects import Effect

_HOW_TO_READ: Final = (
    "Medians over the runs, ratios the geometric means over the rounds. p50, p99: latency, of an"
    " open load from the intended start, of the closed loop from the call. p99 call: of the same"
    " redos, from the call. hidden: p99 / p99 call, what coordinated omission hides. /closed: p99"
    " to that of the closed loop. waited: the most arrivals that were due and had no client. over:"
    " share of slices that ended early for it; latencies of such a load say how long it was"
    " measured, too. late: by how much a free client called too late, p99; this is in the latency,"
    " whoever is to blame."
)
_FROM_CALL: Final[Mapping[str, Any]] = {"linestyle": "-.", "width": 1.0, "marker": ""}
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
        with_load = {case for case in cases if is_open(case)}
        return frozenset(with_load | ({as_closed(case) for case in with_load} & set(cases)))

    def tables(self, summary: Summary) -> Iterable[RenderableType]:
        found = panels(summary)
        for panel in found:
            yield hanging("", _verdict(panel), "")
            yield _table(panel)
        if found:
            yield Text(_HOW_TO_READ, style="dim")

    def data(self, summary: Summary) -> Any:
        return [
            {
                "group": panel.title,
                "verdict": _verdict(panel),
                "managers": [
                    {
                        "manager": curve.manager,
                        "closed": curve.closed and curve.closed.case.name,
                        "loads": [_point_data(point) for point in curve.points],
                    }
                    for curve in panel.curves
                ],
            }
            for panel in panels(summary)
        ]

    def figure(self, picture: str, summary: Summary) -> Figure:
        assert picture in self.pictures
        curves = [(panel, curve) for panel in panels(summary) for curve in panel.curves]
        figure, axes, columns = figures.panels(max(1, len(curves)))
        for axis, (panel, curve) in zip(axes, curves, strict=False):
            _draw(axis, panel, curve, columns)
        low = min((axis.get_ylim()[0] for axis in axes), default=1.0)
        high = max((axis.get_ylim()[1] for axis in axes), default=1.0)
        for index, axis in enumerate(axes):
            axis.set_ylim(low, high)
            if index % columns == 0:
                axis.set_ylabel(style.Y_LABELS[Measure.LATENCY])
        figures.frame(figure, _legend(), figures.footer(summary))
        return figure


def _verdict(panel: Panel) -> str:
    label = panel.telling()
    said = [_hides(curve, label) for curve in panel.curves]
    unsteady = any(
        point is not None and point.is_overloaded
        for point in (curve.at(label) for curve in panel.curves)
    )
    but = " (overloaded, not a steady state)" if unsteady else ""
    return f"{panel.title}: at a load of {label}{but} {'; '.join(filter(None, said))}."


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
    """A line of the table. ``point`` is None for the closed loop."""

    manager: str
    case_row: CaseRow
    point: Point | None

    def further(self, key: str) -> Estimate | None:
        return None if self.point is None else self.case_row.further.get(key)


def _rows(panel: Panel) -> Iterator[_Row]:
    for curve in panel.curves:
        if curve.closed is not None:
            yield _Row(curve.manager, curve.closed, None)
        for point in curve.points:
            yield _Row(curve.manager, point.row, point)


def _table(panel: Panel) -> Table:
    shown: list[fields.Field[_Row]] = [
        fields.words("manager", lambda one: one.manager, is_group=True),
        fields.texts("load", lambda one: "closed" if one.point is None else one.point.label),
        fields.measure("redo/s", lambda one: one.case_row.throughput_per_s, columns.rates),
        fields.measure("p50", lambda one: one.case_row.latency_p50_s),
        fields.measure("p99", lambda one: one.case_row.latency_p99_s),
        fields.measure("p99 call", lambda one: one.further("redo_open_from_call_p99")),
        fields.ratio("hidden", lambda one: None if one.point is None else one.point.hidden_p99),
        fields.ratio("/closed", lambda one: None if one.point is None else one.point.to_closed_p99),
        fields.measure(
            "waited", lambda one: one.further("redo_open_backlog_peak"), columns.plain(0)
        ),
        fields.numbers("over", _overloaded, columns.shares, style_of=_mostly_over),
        fields.measure("late", lambda one: one.further("redo_open_pacer_late_p99")),
    ]
    return fields.field_table(list(_rows(panel)), shown)


def _overloaded(one: _Row) -> float | None:
    return None if one.point is None else one.point.overloaded


def _mostly_over(one: _Row) -> str:
    return "yellow" if one.point is not None and one.point.is_overloaded else ""


def _point_data(point: Point) -> dict[str, Any]:
    """Its measures are those of the case of that name; here is what needs two of them."""

    def value(effect: Effect | None) -> float | None:
        return None if effect is None else effect.ratio

    return {
        "case": point.row.case.name,
        "share_of_capacity": point.share,
        "hidden_p50": value(point.hidden_p50),
        "hidden_p99": value(point.hidden_p99),
        "to_closed_p50": value(point.to_closed_p50),
        "to_closed_p99": value(point.to_closed_p99),
        "overloaded": point.overloaded,
    }


def _draw(axis: Axes, panel: Panel, curve: Curve, columns: int) -> None:
    look = style.look(curve.manager)
    placed, x_label = _placed(curve)
    p50, p99, called = (
        [(x, one) for x, point in placed if (one := estimate(point.row)) is not None]
        for estimate in (_p50, _p99, _p99_from_call)
    )
    axis.set_yscale("log")
    if curve.closed is not None and curve.closed.latency_p99_s is not None:
        axis.axhline(curve.closed.latency_p99_s.median, **_CLOSED)
    for points, name, how in (
        (called, "p99 from the call", _FROM_CALL),
        (p50, "p50", {}),
        (p99, "p99", style.TAIL),
    ):
        loads = [f"load {point.label}" for x, point in placed if x in dict(points)]
        figures.line(axis, points, replace(look, **how), f"{curve.manager} {name}", at=loads)
    figures.band(axis, p99, look.color)
    over = {x for x, point in placed if point.is_overloaded}
    marked = [(x, one.median) for x, one in p99 if x in over]
    axis.plot([x for x, _ in marked], [y for _, y in marked], color=look.color, **_OVERLOADED)
    axis.yaxis.set_major_locator(LogLocator())
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(style.Y_FORMATS[Measure.LATENCY]))
    axis.xaxis.set_major_locator(FixedLocator([x for x, _ in placed]))
    axis.xaxis.set_major_formatter(FuncFormatter(style.Y_FORMATS[Measure.THROUGHPUT]))
    axis.set_xlabel(x_label)
    figures.title(axis, _title(panel, curve), columns)


def _p50(row: CaseRow) -> Estimate | None:
    return row.latency_p50_s


def _p99(row: CaseRow) -> Estimate | None:
    return row.latency_p99_s


def _p99_from_call(row: CaseRow) -> Estimate | None:
    return row.further.get("redo_open_from_call_p99")


def _placed(curve: Curve) -> tuple[list[tuple[float, Point]], str]:
    """Where each load stands, and what that axis is: shares of capacity if all are known."""
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
    said = f"at {label} p99 is {times} that of the closed loop"
    if point.hidden_p99 is not None:
        said += f"; coordinated omission hides {units.factor(point.hidden_p99.ratio)}"
    return f"{curve.manager}, {panel.title}: {said}"


def _legend() -> list[Line2D]:
    plain = style.Look(style.FAINT, "-", style.LINE_WIDTH, "", 0.0)
    return [
        figures.legend_entry("p50", plain),
        figures.legend_entry("p99", replace(plain, **style.TAIL)),
        figures.legend_entry("p99 from the call", replace(plain, **_FROM_CALL)),
        Line2D([], [], label="p99 of the closed loop", **_CLOSED),
        Line2D([], [], label="overloaded", color=style.FAINT, **_OVERLOADED),
        figures.band_entry(),
    ]
