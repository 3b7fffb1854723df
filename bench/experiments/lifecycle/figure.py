"""Cold starts and relaunches over N, a line per manager; reaping and storms as bars.

Which groups are shown, and what they show, is in `findings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.cases import notations
from bench.experiments.lifecycle import findings
from bench.results.summary import Estimate, Group, Summary
from bench.show import units
from bench.show.findings import Measure
from bench.show.pictures import figures, style
from bench.show.pictures.clients import points
from bench.show.pictures.sheet import Sheet, footer

_LABELS: Final = {
    notations.STORM_BACK_OFF: "{manager},\nback-off",
    notations.STORM: "{manager},\nno back-off",
    notations.STORM_WAIT: "no manager,\nwaits",
    notations.STORM_BACKGROUND: "no manager,\nbackground",
}
_BAR_ROOM: Final = 3.0
"""A logarithmic axis of bars goes from the least / this to the greatest x this."""


def figure(summary: Summary) -> Figure:
    """A panel per group of episodes and of storms; an empty one if there is none."""
    groups = findings.episodes(summary)
    parts: list[Group | findings.Storms] = [*groups, *findings.storms(summary)]
    looks = style.looks(name for group in groups for name in group.managers)
    sheet = Sheet.of(parts, partial(_draw, looks=looks), _title, most_columns=2)
    if not parts:
        sheet.title(sheet.panels[0], "no run gave a result")
    legend = [
        *(figures.legend_entry(manager, look) for manager, look in looks.items()),
        *figures.percentile_entries(),
        figures.band_entry(),
    ]
    return sheet.framed(legend, footer(summary))


def _title(part: Group | findings.Storms) -> str:
    if isinstance(part, Group):
        return findings.finding(part)
    return f"{part.title}: {part.headline}"


def _draw(panel: Axes, part: Group | findings.Storms, looks: Mapping[str, style.Look]) -> None:
    bars: list[tuple[str, Estimate | None]]
    if isinstance(part, findings.Storms):
        labels = (_LABELS[row.case.scenario].format(manager=row.case.manager) for row in part.rows)
        bars = list(zip(labels, map(findings.launches_per_s, part.rows), strict=True))
        _bars(panel, bars, style.Y_FORMATS[Measure.THROUGHPUT], units.rate)
        panel.set_xlabel("launches per second")
    elif dict(part.extra)["scenario"] == notations.REAP:
        row = part.rows[0]
        bars = [("reap, p50", row.latency_p50_s), ("reap, p99", row.latency_p99_s)]
        bars.append(("launch, mean", findings.launch(row)))
        _bars(panel, bars, style.Y_FORMATS[Measure.LATENCY], units.seconds)
    else:
        _curves(panel, part, looks)


def _curves(panel: Axes, group: Group, looks: Mapping[str, style.Look]) -> None:
    figures.clients_axis(panel, group.clients)
    figures.log_axis(panel, style.Y_FORMATS[Measure.LATENCY])
    panel.set_ylabel("until a client has its page")
    for manager in reversed(group.managers):  # so that the first one lies on top
        median = points(group, manager, Measure.LATENCY)
        tail = points(group, manager, Measure.LATENCY_P99)
        figures.percentiles(panel, median, tail, looks[manager], manager)


def _bars(
    panel: Axes,
    named: Iterable[tuple[str, Estimate | None]],
    tick: Callable[[float, int | None], str],
    show: Callable[[float], str],
) -> None:
    """The medians that are known, each with its text at the end and the spread between runs as a
    line; the first at the top."""
    names, bars = zip(*((name, bar) for name, bar in named if bar), strict=True)
    places = range(len(bars))
    medians = [bar.median for bar in bars]
    spread = [[bar.median - bar.low for bar in bars], [bar.high - bar.median for bar in bars]]
    panel.barh(
        places, medians, xerr=spread, color=style.BAND, ecolor=style.FAINT, error_kw={"lw": 1.0}
    )
    marks = []
    for place, name, bar in zip(places, names, bars, strict=True):
        panel.annotate(
            show(bar.median),
            (bar.high, place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=style.FOOTER_SIZE,
        )
        text = f"{' '.join(name.split())}: {figures.described(bar, show)}"
        marks.append((bar.median, place, text))
    figures.describe(panel, marks)
    panel.set_yticks(places, names, fontsize=style.FOOTER_SIZE)
    panel.invert_yaxis()
    panel.grid(False, axis="y")
    panel.set_xscale("log")
    panel.set_xlim(min(bar.low for bar in bars) / _BAR_ROOM, max(medians) * _BAR_ROOM)
    figures.log_ticks(panel.xaxis, tick, subs=(1.0,))
