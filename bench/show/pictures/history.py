"""The history of cases as a figure: a panel per case, a place per result, the oldest code first.

The x axis has places and not dates: many commits of a day and a month without any would be
unreadable. A line joins results of the same conditions only; a dashed vertical line stands where
the conditions changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from bench.errors import PictureError
from bench.results.environment import short_commit
from bench.results.row import Measure
from bench.show import units
from bench.show.pictures import figures, style
from bench.show.pictures.sheet import Sheet
from bench.statistics.comparison import condition
from bench.statistics.history import Dated, Point, Series, results_of

MOST_CASES: Final = 24
"""Panels of a figure: nobody reads more."""

_LEAST_Y_SPAN: Final = 0.4
"""Share of the greatest median: a scatter of a few per cent must look small."""

_LABEL_ROOM: Final = 0.45
"""Share of the span, above the points: for the labels of the dashed lines."""

_SHORT: Final = {
    "CPU governor": "CPU",
    "number of CPUs": "CPU",
    "interpreter's version": "interpreter",
    "compiler of the child": "compiler",
    "flags of the child": "flags",
    "sandbox of the child": "sandbox",
}
_LABEL_CONDITIONS: Final = 2
"""Conditions that a dashed line names; it gives the number of the others."""

_CHANGE: Final[Mapping[str, Any]] = {
    "color": style.FAINT,
    "linestyle": (0, (4, 3)),
    "linewidth": 1.0,
}


def draw(series: Sequence[Series], measure: str, stem: Path, *, force: bool = False) -> list[Path]:
    """Draws one figure as ``STEM-MEASURE.svg`` and ``.png`` and returns the files.

    ``measure`` is the field of a row that the series are of. Raises PictureError for more than
    MOST_CASES series and, unless ``force`` is given, when a file is there already.
    """
    if len(series) > MOST_CASES:
        raise PictureError(
            f"{len(series)} cases are too many for a figure, {MOST_CASES} the most: narrow --case"
        )
    drawn = Measure.of_field(measure)
    make = partial(_figure, series, drawn)
    name = f"{stem.name}-{drawn.name}"
    plan = [(stem.with_name(f"{name}.{extension}"), make) for extension in figures.FORMATS]
    return figures.write_plan(plan, force=force)


def _figure(series: Sequence[Series], measure: Measure) -> Figure:
    results = results_of(series)
    place = {result: x for x, result in enumerate(results)}
    looks = style.looks(one.case.manager for one in series)
    draw = partial(_panel, place=place, looks=looks)
    sheet = Sheet.of(series, draw, lambda case: case.case.name)
    for panel, case in zip(sheet.panels, series, strict=True):
        _axes(panel, results, measure, sheet.columns)
        if any(point.differences for point in case.points):
            low, high = panel.get_ylim()
            panel.set_ylim(low, high + _LABEL_ROOM * (high - low))
    sheet.label_left(measure.name.replace("-", " "))
    # No managers: the titles have them.
    plain = style.PLAIN_POINTS
    legend = [figures.legend_entry("median over the runs", plain), figures.band_entry()]
    points = [point for case in series for point in case.points]
    if any(map(_is_dirty, points)):
        legend.append(Line2D([], [], label="uncommitted changes", **_hollow(plain)))
    if any(point.differences for point in points):
        legend.append(Line2D([], [], label="other conditions", **_CHANGE))
    environment = results[-1].summary.environment
    by_suite = sum(not result.by_commit for result in results)
    return sheet.framed(
        legend,
        f"{units.counted(len(results), 'result')} by date of the commit"
        + (f" ({by_suite} by that of the suite)" if by_suite else "")
        + f"  |  the last one on {environment.cpu_model}, {environment.kernel}",
    )


def _panel(
    panel: Axes, series: Series, place: Mapping[Dated, int], looks: Mapping[str, style.Look]
) -> None:
    look = looks[series.case.manager]
    if not look.marker:  # each point is a result
        look = replace(look, marker="o", marker_size=3.5)
    # Cut where the conditions changed.
    starts = [0, *(at for at, point in enumerate(series.points) if point.differences)]
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        points = [(place[point.result], point.estimate) for point in series.points[start:end]]
        figures.band(panel, points, look.color)
        figures.line(panel, points, look)
    for point in series.points:
        if _is_dirty(point):
            panel.plot([place[point.result]], [point.estimate.median], **_hollow(look), zorder=3)
    for before, point in zip(series.points, series.points[1:], strict=False):
        if point.differences:
            x = (place[before.result] + place[point.result]) / 2
            _change(panel, x, point.differences)


def _is_dirty(point: Point) -> bool:
    return bool(point.result.summary.environment.git_dirty)


def _hollow(look: style.Look) -> dict[str, Any]:
    return {
        "linestyle": "",
        "marker": look.marker,
        "markersize": look.marker_size + 1,
        "markeredgecolor": look.color,
        "markeredgewidth": 1.3,
        "markerfacecolor": "white",
    }


def _change(panel: Axes, x: float, differences: Sequence[str]) -> None:
    """A dashed line that names what changed there."""
    panel.axvline(x, **_CHANGE)
    names = list(dict.fromkeys(_SHORT.get(name, name) for name in map(condition, differences)))
    text = ", ".join(names[:_LABEL_CONDITIONS])
    if len(names) > _LABEL_CONDITIONS:
        text += f" +{len(names) - _LABEL_CONDITIONS}"
    panel.annotate(
        text,
        (x, 1.0),
        xycoords=panel.get_xaxis_transform(),
        xytext=(-2.5, -1.0),
        textcoords="offset points",
        rotation=90,
        ha="right",
        va="top",
        color=style.FAINT,
        fontsize=style.FOOTER_SIZE,
    )


def _axes(panel: Axes, results: Sequence[Dated], measure: Measure, columns: int) -> None:
    panel.set_xlim(-0.5, len(results) - 0.5)
    # Ten in a row of panels, counted from the end: the latest result is always named.
    step = -(-len(results) // max(1, 10 // columns))

    def name(x: float, _position: int | None) -> str:
        result = results[round(x)]
        commit = short_commit(result.summary.environment.git_commit, dirty=None)
        return f"{commit}\n{result.date:%Y-%m-%d}"

    named = [x for x in range(len(results)) if (len(results) - 1 - x) % step == 0]
    panel.xaxis.set_major_locator(FixedLocator(named))
    panel.xaxis.set_major_formatter(FuncFormatter(name))
    panel.xaxis.grid(False)
    panel.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    panel.yaxis.set_major_formatter(FuncFormatter(style.Y_FORMATS[measure]))
    low, high = panel.get_ylim()
    room = max(0.0, _LEAST_Y_SPAN * high - (high - low)) / 2
    panel.set_ylim(max(0.0, low - room), high + room)
