"""Admissions to a read path side by side: a table per load, its sentences, and a figure of bars.

Shows the cases that have a read path. What they show is computed in `findings`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from rich.console import RenderableType
from rich.text import Text

from bench.cases.case import Case
from bench.cases.notations import OVER_BUDGET
from bench.experiments.admission.findings import Line, Panel, finding, panels, verdict
from bench.results.keys import WORKER_PEAK_RSS
from bench.results.measures.admission import (
    CHILD_IDLE,
    COLLECTING_PEAK,
    HELD_PEAK,
    REDO_P50,
    REDO_P99,
    REDOING_PEAK,
)
from bench.results.summary import Estimate, Summary
from bench.show import columns, fields, units
from bench.show.families import differing
from bench.show.fields import field_data, field_table
from bench.show.findings import Measure
from bench.show.layout import hanging
from bench.show.pictures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEGEND: Final = (
    "A read collects data, redoes and frees it; reads/s, p50 and p99 are of whole reads, from the"
    " wish for a page to the page, waits at semaphores included; redo p99 is of the redo alone."
    " before:K is taken before the data is collected, after:K once it is there, both:D,K are one of"
    " each. Medians over the runs; +-: half of the spread. /unlim: throughput to that without a"
    f" limit, round by round. held: the most data held at once; {OVER_BUDGET}: the next read would"
    " have held more than the budget, and the run was ended. in redo: the most redos in flight."
    " idle: share of time with none, when the child had nothing to do."
)
_BARS: Final = 0.8
"""Width of all bars of one admission, where 1 is the distance to the next."""


class AdmissionView:
    """`View` of every case that has a read path."""

    name = "admission"
    pictures: tuple[str, ...] = ("admission",)

    def covered(self, cases: Collection[Case]) -> frozenset[Case]:
        return differing(cases, "admission")

    def tables(self, summary: Summary) -> Iterable[RenderableType]:
        found = panels(summary)
        for panel in found:
            for manager in panel.managers:
                yield hanging("- ", verdict(panel, manager), "")
        for panel in found:
            yield field_table(panel.lines, _FIELDS, f"{panel.title}, N = {panel.clients}")
        yield Text(_LEGEND, style="dim")

    def data(self, summary: Summary) -> Any:
        """A list of loads. Peaks in bytes and counts, times in seconds, shares of 1."""
        return [
            {
                "group": panel.title,
                "clients": panel.clients,
                "budget_bytes": panel.budget_bytes or None,
                "verdicts": {name: verdict(panel, name) for name in panel.managers},
                "cases": field_data(panel.lines, _FIELDS),
            }
            for panel in panels(summary)
        ]

    def figure(self, picture: str, summary: Summary) -> Figure:  # noqa: ARG002 - there is one
        from bench.show.pictures import figures
        from bench.show.pictures.sheet import Sheet, footer

        found = panels(summary)
        sheet = Sheet.of(found, _draw, finding)
        sheet.label_left("reads per second")
        managers = dict.fromkeys(name for panel in found for name in panel.managers)
        legend = [
            figures.legend_entry(name, replace(style.look(name).bare, width=style.BAND_WIDTH))
            for name in managers
        ]
        return sheet.framed(legend, footer(summary))


_FIELDS: Final[list[fields.Field[Line]]] = [
    fields.only_data("name", lambda line: line.row.case.name),
    fields.words("manager", lambda line: line.row.case.manager, is_group=True),
    fields.words("admission", lambda line: line.admission),
    fields.only_data("throughput_to_unlimited", lambda line: line.to_unlimited),
    fields.only_data("over_budget_runs", lambda line: line.over_budget),
    fields.only_data("bounds_memory", lambda line: line.bounds_memory),
    fields.only_data("bounds_redos", lambda line: line.bounds_redos),
    fields.measure(
        "reads/s", lambda line: line.row.throughput_per_s, columns.rates, key="throughput_per_s"
    ),
    fields.spread(lambda line: line.row.throughput_per_s),
    fields.ratio("/unlim", lambda line: line.to_unlimited),
    fields.measure("p50", lambda line: line.row.latency_p50_s, key="latency_p50_s"),
    fields.measure("p99", lambda line: line.row.latency_p99_s, key="latency_p99_s"),
    fields.only_data("redo_p50_s", lambda line: line.measure(REDO_P50)),
    fields.measure("redo p99", lambda line: line.measure(REDO_P99), key="redo_p99_s"),
    fields.measure(
        "held",
        lambda line: line.measure(HELD_PEAK),
        columns.sizes,
        instead=lambda line: OVER_BUDGET if line.over_budget else "",
        style_of=lambda line: "yellow" if line.over_budget else "",
        key="held_peak_bytes",
    ),
    fields.only_data("collecting_peak", lambda line: line.measure(COLLECTING_PEAK)),
    fields.measure(
        "in redo", lambda line: line.measure(REDOING_PEAK), columns.plain(0), key="redoing_peak"
    ),
    fields.measure(
        "idle", lambda line: line.measure(CHILD_IDLE), columns.shares, key="child_idle_share"
    ),
    fields.only_data("worker_peak_rss_bytes", lambda line: line.measure(WORKER_PEAK_RSS)),
]


def _draw(axes: Axes, panel: Panel) -> None:
    """Bars of throughput, by admission; above each how idle its child was, below what was held."""
    from matplotlib.ticker import FuncFormatter

    from bench.show.pictures import figures

    places = {admission: at for at, admission in enumerate(panel.admissions)}
    width = _BARS / len(panel.managers)
    marks: list[tuple[float, float, str]] = []
    for number, manager in enumerate(panel.managers):
        for line in panel.of(manager):
            x = places[line.admission] + (number + 0.5) * width - _BARS / 2
            _bar(axes, x, width, line, style.look(manager).color)
            if (reads := line.row.throughput_per_s) is not None:
                marks.append((x, reads.median, _description(line, reads)))
    figures.describe(axes, marks)
    axes.set_xticks(list(places.values()), [_label(panel, admission) for admission in places])
    axes.set_xlim(-0.6, len(places) - 0.4)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.1)  # room for what stands above the bars
    axes.grid(visible=False, axis="x")
    axes.yaxis.set_major_formatter(FuncFormatter(style.Y_FORMATS[Measure.THROUGHPUT]))
    axes.set_xlabel(f"admission, and the most data held ({panel.title})")


def _bar(axes: Axes, x: float, width: float, line: Line, color: str) -> None:
    throughput, idle = line.row.throughput_per_s, line.measure(CHILD_IDLE)
    if throughput is None:
        why = OVER_BUDGET if line.over_budget else "no result"
        at = axes.get_xaxis_transform()
        axes.text(x, 0.03, why, transform=at, rotation=90, ha="center", color=color)
        return
    axes.bar(x, throughput.median, width * 0.92, color=color)
    axes.vlines(x, throughput.low, throughput.high, color=style.FAINT, linewidth=1.2)
    if idle is not None:
        text = f"idle\n{idle.median:.0%}"
        axes.text(x, throughput.high, text, ha="center", va="bottom", fontsize=style.FOOTER_SIZE)


def _description(line: Line, reads: Estimate) -> str:
    from bench.show.pictures import figures

    held, idle = line.measure(HELD_PEAK), line.measure(CHILD_IDLE)
    parts = [
        f"{line.row.case.manager}, {line.admission}: reads {figures.described(reads, units.rate)}"
    ]
    parts += [] if held is None else [f"{units.size(held.median)} held"]
    parts += [] if idle is None else [f"child idle {idle.median:.0%}"]
    return ", ".join(parts)


def _label(panel: Panel, admission: str) -> str:
    held = [
        peak.median
        for line in panel.lines
        if line.admission == admission and (peak := line.measure(HELD_PEAK)) is not None
    ]
    return f"{admission}\n{units.size(max(held)) if held else columns.ABSENT}"
