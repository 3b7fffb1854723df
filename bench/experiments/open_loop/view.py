"""Open loads beside the closed loop of the same case, and what coordinated omission hides."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from rich.console import RenderableType
from rich.text import Text

from bench.cases.case import Case
from bench.cases.notations import CLOSED, OPEN, Load
from bench.results.measures import open_loop
from bench.results.summary import CaseRow, Estimate, Summary, manager_order, paired_ratio
from bench.show import columns, fields, units
from bench.show.families import alike, at_default, further, interval, to_base, with_default
from bench.show.fields import field_data, field_table
from bench.show.findings import Measure
from bench.show.layout import hanging
from bench.show.pictures import style
from bench.statistics.effects import Effect
from bench.statistics.rounds import ratio

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOSTLY: Final = 0.5
"""A load with at least this share of overloaded slices is overloaded: not a steady state."""

_HOW_TO_READ: Final = (
    "Medians over the runs, ratios the geometric means over the rounds. p50, p99: latency, of an"
    " open load from the intended start, of the closed loop from the call. p99 call: of the same"
    " redos, from the call. hidden: p99 / p99 call, what coordinated omission hides. /closed: p99"
    " to that of the closed loop. waited: the most arrivals that were due and had no client. over:"
    " share of slices that ended early for it; latencies of such a load say how long it was"
    " measured, too. late: by how much a free client called too late, p99; this is in the latency,"
    " whoever is to blame."
)
_CLOSED: Final[Any] = {"color": style.FAINT, "linestyle": (0, (5, 2)), "linewidth": 1.3}
_OVERLOADED: Final[Any] = {"marker": "o", "ms": 8, "mfc": "none", "linestyle": ""}

offered: Final = further(open_loop.OFFERED_PER_S)
p50_from_call: Final = further(open_loop.FROM_CALL_P50)
p99_from_call: Final = further(open_loop.FROM_CALL_P99)


@dataclass(frozen=True, slots=True)
class Point:
    """An open load, or the closed loop itself. Ratios are taken round by round; what only an open
    load has is None of the closed loop. ``closed``: the closed loop, if it was measured."""

    row: CaseRow
    closed: CaseRow | None

    @property
    def label(self) -> str:
        """As ``80 %``, ``5000/s`` or ``closed``."""
        if self.row.case.load == CLOSED:
            return CLOSED
        text = self.row.case.load.removeprefix(OPEN)
        return text.replace("%", " %") if text.endswith("%") else f"{text}/s"

    @property
    def share(self) -> float | None:
        """The load as a share of the closed loop's throughput, as it was asked for. If a rate was
        asked for, the share that it came to."""
        percent = Load.parse(self.row.case.load).percent
        if percent is not None:
            return percent / 100
        share = paired_ratio(offered(self.row), Measure.THROUGHPUT.of(self.closed))
        return None if share is None else share.median

    @property
    def hidden_p99(self) -> Effect | None:
        """The latency from the intended start to that from the call, of the same redos."""
        return ratio(self.row.latency_p99_s, p99_from_call(self.row))

    @property
    def to_closed_p99(self) -> Effect | None:
        """The latency from the intended start to that of the closed loop."""
        return to_base(self.row, self.closed, Measure.LATENCY_P99.of)

    @property
    def overloaded(self) -> float | None:
        """The share of overloaded slices, of all runs."""
        found = self.row.further.get(open_loop.OVERLOADED)
        return None if found is None else statistics.fmean(value for _, value in found.by_round)

    @property
    def is_overloaded(self) -> bool:
        return (self.overloaded or 0) >= MOSTLY


@dataclass(frozen=True, slots=True)
class Curve:
    """One manager: its open loads, ascending, and its closed loop if that was measured."""

    manager: str
    closed: CaseRow | None
    points: tuple[Point, ...]

    @classmethod
    def of(cls, rows: Sequence[CaseRow], closed: Mapping[Case, CaseRow]) -> Curve:
        """The curve of a manager's open loads; ``closed`` has the closed loops of all cases."""
        base = closed.get(at_default(rows[0].case, "load"))
        points = sorted((Point(row, base) for row in rows), key=_offered_per_s)
        return cls(rows[0].case.manager, base, tuple(points))

    def at(self, label: str) -> Point | None:
        return next((point for point in self.points if point.label == label), None)


@dataclass(frozen=True, slots=True)
class Panel:
    """All managers with open loads at one point of all other dimensions."""

    title: str
    curves: tuple[Curve, ...]

    def telling(self) -> str:
        """The greatest load that every manager was measured at and that overloads none of them; the
        least load if there is no such load."""
        labels = [point.label for point in self.curves[0].points]
        steady = [
            label
            for label in labels
            if all((at := c.at(label)) is not None and not at.is_overloaded for c in self.curves)
        ]
        return steady[-1] if steady else labels[0]


def panels(summary: Summary) -> list[Panel]:
    """Every panel that has an open load with a result, in the order of the summary's groups."""
    rows = [row for group in summary.groups() for row in group.rows if row.rounds]
    closed = {row.case: row for row in rows if row.case.load == CLOSED}
    found = []
    loaded = (row for row in rows if row.case.load != CLOSED)
    for place, members in alike(loaded, "manager", "load").items():
        by_manager: dict[str, list[CaseRow]] = {}
        for row in sorted(members, key=lambda row: manager_order(row.case.manager)):
            by_manager.setdefault(row.case.manager, []).append(row)
        extra = (f"{key}={value}" for key, value in place.extra.items())
        title = ", ".join((place.workload, f"N = {place.clients}", *extra))
        found.append(Panel(title, tuple(Curve.of(of, closed) for of in by_manager.values())))
    return found


def _offered_per_s(point: Point) -> float:
    return point.row.further[open_loop.OFFERED_PER_S].median


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
            rows: list[Point] = []
            for curve in panel.curves:
                rows += [Point(curve.closed, curve.closed)] if curve.closed else []
                rows += curve.points
            yield field_table(rows, _FIELDS)
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
                        "loads": field_data(curve.points, _FIELDS),
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
        looks = style.looks(curve.manager for _, curve in curves)
        sheet = Sheet.of(
            curves, lambda axes, part: _draw(axes, part[1], looks[part[1].manager]), _title
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
    points = [point for curve in panel.curves if (point := curve.at(label)) is not None]
    unsteady = any(point.is_overloaded for point in points)
    but = " (overloaded, not a steady state)" if unsteady else ""
    parts = "; ".join(filter(None, map(_hides, points)))
    return f"{panel.title}: at a load of {label}{but} {parts}."


def _hides(point: Point) -> str | None:
    """As ``sync has a p99 of 5.22 ms (coordinated omission hides a factor of 4.58; ...)``."""
    p99, to_closed = point.row.latency_p99_s, point.to_closed_p99
    if p99 is None or point.hidden_p99 is None:
        return None
    beside = "" if to_closed is None else f"; {interval(to_closed)} that of the closed loop"
    return (
        f"{point.row.case.manager} has a p99 of {units.seconds(p99.median)} (coordinated omission"
        f" hides {interval(point.hidden_p99)}{beside})"
    )


def _ratio_alone(effect: Effect | None) -> float | None:
    return None if effect is None else effect.ratio


def _p50(point: Point) -> Estimate | None:
    return point.row.latency_p50_s


_FIELDS: Final[list[fields.Field[Point]]] = [
    fields.words("manager", lambda point: point.row.case.manager, is_group=True),
    fields.only_data("case", lambda point: point.row.case.name),
    fields.only_data("share_of_capacity", lambda point: point.share),
    fields.texts("load", lambda point: point.label),
    fields.measure("redo/s", lambda point: point.row.throughput_per_s, columns.rates),
    fields.measure("p50", _p50),
    fields.percentile("p99", lambda point: point.row.latency_p99_s, beside=_p50),
    fields.percentile("p99 call", lambda point: p99_from_call(point.row), beside=_p50),
    fields.only_data(
        "hidden_p50",
        lambda point: ratio(point.row.latency_p50_s, p50_from_call(point.row)),
        _ratio_alone,
    ),
    fields.ratio("hidden", lambda point: point.hidden_p99, key="hidden_p99", data=_ratio_alone),
    fields.only_data(
        "to_closed_p50",
        lambda point: to_base(point.row, point.closed, Measure.LATENCY.of),
        _ratio_alone,
    ),
    fields.ratio(
        "/closed", lambda point: point.to_closed_p99, key="to_closed_p99", data=_ratio_alone
    ),
    fields.measure(
        "waited", lambda point: point.row.further.get(open_loop.BACKLOG_PEAK), columns.plain(0)
    ),
    fields.numbers(
        "over",
        lambda point: point.overloaded,
        columns.shares,
        key="overloaded",
        style_of=lambda point: "yellow" if point.is_overloaded else "",
    ),
    fields.measure("late", lambda point: point.row.further.get(open_loop.PACER_LATE_P99)),
]


def _draw(axes: Axes, curve: Curve, look: style.Look) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter

    from bench.show.pictures import figures

    placed, x_label = _placed(curve)
    p50, p99, called = (
        [(x, value) for x, point in placed if (value := measure_of(point.row)) is not None]
        for measure_of in (Measure.LATENCY.of, Measure.LATENCY_P99.of, p99_from_call)
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
    return [(_offered_per_s(point), point) for point in curve.points], "load, redos per second"


def _title(part: tuple[Panel, Curve]) -> str:
    """As ``sync, short, N = 32: at 80 % p99 is 60x that of the closed loop``."""
    panel, curve = part
    label = panel.telling()
    point = curve.at(label)
    if point is None or point.to_closed_p99 is None:
        return f"{curve.manager}, {panel.title}"
    finding = f"p99 is {units.factor(point.to_closed_p99.ratio)} that of the closed loop"
    if point.hidden_p99 is not None:
        finding += f"; coordinated omission hides {units.factor(point.hidden_p99.ratio)}"
    return f"{curve.manager}, {panel.title}: at {label} {finding}"
