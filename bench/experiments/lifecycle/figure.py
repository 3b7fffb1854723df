"""Cold starts and relaunches over N, a line per manager; reaping and storms as bars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bench.cases.notations import (
    COLD_START,
    REAP,
    RELAUNCH,
    STORM,
    STORM_BACK_OFF,
    STORM_BACKGROUND,
    STORM_WAIT,
)
from bench.experiments.lifecycle.storms import Storms, launches_per_s, storms
from bench.results.summary import Estimate, Group, Summary
from bench.show import units
from bench.show.findings import Measure, title
from bench.show.pictures import figures, style

PICTURE: Final = "lifecycle"

_LABELS: Final = {
    STORM_BACK_OFF: "{manager},\nback-off",
    STORM: "{manager},\nno back-off",
    STORM_WAIT: "no manager,\nwaits",
    STORM_BACKGROUND: "no manager,\nbackground",
}
_BAR_ROOM: Final = 3.0
"""A logarithmic axis of bars begins at the least / this, and ends at the greatest x this."""


def episodes(summary: Summary) -> list[Group]:
    """The groups of cold starts, relaunches and reaps of which a result is known, in that order."""
    order = (COLD_START, RELAUNCH, REAP)
    found = [
        group
        for group in summary.groups()
        if dict(group.extra).get("scenario") in order
        and any(row.latency_p50_s is not None for row in group.rows)
    ]
    return sorted(found, key=lambda group: order.index(str(dict(group.extra)["scenario"])))


def finding(group: Group) -> str:
    """What there is to see in one of `episodes`, as ``cold-start, short: async has ...``."""
    extra = dict(group.extra)
    scenario = str(extra.pop("scenario"))
    names = (scenario, *(f"{key}={value}" for key, value in extra.items()))
    if scenario == REAP:
        return f"{', '.join(names)}: {_of_reaping(group)}"
    called = replace(group, workload=", ".join((*names, group.workload)), extra=())
    return title(called, Measure.LATENCY)


def figure(summary: Summary) -> Figure:
    """A panel per group of `episodes` and per group of storms; one without anything if there is
    none."""
    groups, all_storms = episodes(summary), list(storms(summary))
    whole, panels, columns = figures.panels(max(1, len(groups) + len(all_storms)), most_columns=2)
    for panel, group in zip(panels, groups, strict=False):
        draw = _reaps if dict(group.extra)["scenario"] == REAP else _curves
        draw(panel, group)
        _title(panel, finding(group), columns)
    for panel, one in zip(panels[len(groups) :], all_storms, strict=False):
        _storms(panel, one)
        _title(panel, f"{one.title}: {one.headline}", columns)
    if not groups and not all_storms:
        _title(panels[0], "no run gave a result", columns)
    managers = dict.fromkeys(name for group in groups for name in group.managers)
    plain = style.Look(style.FAINT, "-", style.LINE_WIDTH, "", 0.0)
    legend = [
        *(figures.legend_entry(manager, style.look(manager)) for manager in managers),
        figures.legend_entry("p50", plain),
        figures.legend_entry("p99", replace(plain, **style.TAIL)),
        figures.band_entry(),
    ]
    figures.frame(whole, legend, figures.footer(summary))
    return whole


def _of_reaping(group: Group) -> str:
    (row,) = (row for row in group.rows[:1])
    assert row.latency_p50_s is not None
    launch = row.further.get("redo_lifecycle_launch")
    said = f"a kill and its exit status take {units.seconds(row.latency_p50_s.median)}"
    return said if launch is None else f"{said}, a launch {units.seconds(launch.median)}"


def _title(panel: Axes, text: str, columns: int) -> None:
    figures.title(panel, text, columns)


def _curves(panel: Axes, group: Group) -> None:
    figures.clients_axis(panel, group.clients)
    figures.log_axis(panel, style.Y_FORMATS[Measure.LATENCY])
    panel.set_ylabel("until a client has its page")
    for manager in reversed(group.managers):  # so that the first one lies on top
        rows = [row for row in group.rows if row.case.manager == manager]
        look = style.look(manager)
        median = [(row.case.clients, one) for row in rows if (one := row.latency_p50_s)]
        tail = [(row.case.clients, one) for row in rows if (one := row.latency_p99_s)]
        figures.band(panel, median, look.color)
        figures.line(panel, median, look, f"{manager} p50")
        figures.line(panel, tail, replace(look, **style.TAIL), f"{manager} p99")


def _reaps(panel: Axes, group: Group) -> None:
    row = group.rows[0]
    named = {
        "reap, p50": row.latency_p50_s,
        "reap, p99": row.latency_p99_s,
        "launch, mean": row.further.get("redo_lifecycle_launch"),
    }
    known = [(name, one) for name, one in named.items() if one is not None]
    _bars(panel, known, style.Y_FORMATS[Measure.LATENCY], units.seconds)


def _storms(panel: Axes, one: Storms) -> None:
    bars = [
        (_LABELS[row.case.scenario].format(manager=row.case.manager), launches_per_s(row))
        for row in one.rows
    ]
    _bars(panel, bars, style.Y_FORMATS[Measure.THROUGHPUT], units.rate)
    panel.set_xlabel("launches per second")


def _bars(
    panel: Axes,
    bars: Sequence[tuple[str, Estimate]],
    tick: Callable[[float, int | None], str],
    show: Callable[[float], str],
) -> None:
    """The medians, each said at its end, with the spread between runs as a line; the first one at
    the top."""
    places = range(len(bars))
    medians = [one.median for _, one in bars]
    spread = [
        [one.median - one.low for _, one in bars],
        [one.high - one.median for _, one in bars],
    ]
    panel.barh(
        places, medians, xerr=spread, color=style.BAND, ecolor=style.FAINT, error_kw={"lw": 1.0}
    )
    for place, (_, one) in zip(places, bars, strict=True):
        panel.annotate(
            show(one.median),
            (one.high, place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=style.FOOTER_SIZE,
        )
    figures.tell(
        panel,
        [
            (one.median, place, f"{' '.join(name.split())}: {figures.described(one, show)}")
            for place, (name, one) in zip(places, bars, strict=True)
        ],
    )
    panel.set_yticks(places, [name for name, _ in bars], fontsize=style.FOOTER_SIZE)
    panel.invert_yaxis()
    panel.grid(False, axis="y")
    panel.set_xscale("log")
    panel.set_xlim(min(one.low for _, one in bars) / _BAR_ROOM, max(medians) * _BAR_ROOM)
    panel.xaxis.set_major_locator(LogLocator(subs=(1.0,)))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(tick))
