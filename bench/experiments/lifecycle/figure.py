"""Cold starts and relaunches over N, a line per manager; reaping and storms as bars.

Which groups are shown is in `episodes`; what storms show is in `storms`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.cases.notations import (
    REAP,
    STORM,
    STORM_BACK_OFF,
    STORM_BACKGROUND,
    STORM_WAIT,
)
from bench.experiments.lifecycle.episodes import episodes, finding
from bench.experiments.lifecycle.storms import Storms, launches_per_s, storms
from bench.results.measures.lifecycle import LAUNCH
from bench.results.summary import Estimate, Group, Summary
from bench.show import units
from bench.show.findings import Measure
from bench.show.pictures import figures, style
from bench.show.pictures.clients import points
from bench.show.pictures.sheet import Sheet, footer

_LABELS: Final = {
    STORM_BACK_OFF: "{manager},\nback-off",
    STORM: "{manager},\nno back-off",
    STORM_WAIT: "no manager,\nwaits",
    STORM_BACKGROUND: "no manager,\nbackground",
}
_BAR_ROOM: Final = 3.0
"""A logarithmic axis of bars goes from the least / this to the greatest x this."""


def figure(summary: Summary) -> Figure:
    """A panel per group of `episodes` and of storms; an empty one if there is none."""
    groups, all_storms = episodes(summary), list(storms(summary))
    parts: list[Group | Storms] = [*groups, *all_storms]
    sheet = Sheet.of(parts, _draw, _title, most_columns=2)
    if not parts:
        sheet.title(sheet.panels[0], "no run gave a result")
    managers = dict.fromkeys(name for group in groups for name in group.managers)
    legend = [
        *(figures.legend_entry(manager, style.look(manager)) for manager in managers),
        *figures.percentile_entries(),
        figures.band_entry(),
    ]
    return sheet.framed(legend, footer(summary))


def _title(part: Group | Storms) -> str:
    return f"{part.title}: {part.headline}" if isinstance(part, Storms) else finding(part)


def _draw(panel: Axes, part: Group | Storms) -> None:
    if isinstance(part, Storms):
        _storms(panel, part)
    elif dict(part.extra)["scenario"] == REAP:
        _reaps(panel, part)
    else:
        _curves(panel, part)


def _curves(panel: Axes, group: Group) -> None:
    figures.clients_axis(panel, group.clients)
    figures.log_axis(panel, style.Y_FORMATS[Measure.LATENCY])
    panel.set_ylabel("until a client has its page")
    for manager in reversed(group.managers):  # so that the first one lies on top
        median = points(group, manager, Measure.LATENCY)
        tail = points(group, manager, Measure.LATENCY_P99)
        figures.percentiles(panel, median, tail, style.look(manager), manager)


def _reaps(panel: Axes, group: Group) -> None:
    row = group.rows[0]
    named = {
        "reap, p50": row.latency_p50_s,
        "reap, p99": row.latency_p99_s,
        "launch, mean": row.further.get(LAUNCH),
    }
    known = [(name, estimate) for name, estimate in named.items() if estimate is not None]
    _bars(panel, known, style.Y_FORMATS[Measure.LATENCY], units.seconds)


def _storms(panel: Axes, found: Storms) -> None:
    bars = [
        (_LABELS[row.case.scenario].format(manager=row.case.manager), launches_per_s(row))
        for row in found.rows
    ]
    _bars(panel, bars, style.Y_FORMATS[Measure.THROUGHPUT], units.rate)
    panel.set_xlabel("launches per second")


def _bars(
    panel: Axes,
    bars: Sequence[tuple[str, Estimate]],
    tick: Callable[[float, int | None], str],
    show: Callable[[float], str],
) -> None:
    """The medians, each with its text at the end and the spread between runs as a line; the first
    at the top."""
    places = range(len(bars))
    medians = [bar.median for _, bar in bars]
    spread = [
        [bar.median - bar.low for _, bar in bars],
        [bar.high - bar.median for _, bar in bars],
    ]
    panel.barh(
        places, medians, xerr=spread, color=style.BAND, ecolor=style.FAINT, error_kw={"lw": 1.0}
    )
    for place, (_, bar) in zip(places, bars, strict=True):
        panel.annotate(
            show(bar.median),
            (bar.high, place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=style.FOOTER_SIZE,
        )
    figures.describe(
        panel,
        [
            (bar.median, place, f"{' '.join(name.split())}: {figures.described(bar, show)}")
            for place, (name, bar) in zip(places, bars, strict=True)
        ],
    )
    panel.set_yticks(places, [name for name, _ in bars], fontsize=style.FOOTER_SIZE)
    panel.invert_yaxis()
    panel.grid(False, axis="y")
    panel.set_xscale("log")
    panel.set_xlim(min(bar.low for _, bar in bars) / _BAR_ROOM, max(medians) * _BAR_ROOM)
    figures.log_ticks(panel.xaxis, tick, subs=(1.0,))
