"""Admissions to a read path side by side: a table per load, its sentences, and a figure of bars.

Shows the cases that have a read path. What is said of them is in ``admissions``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bench.cases.case import Case
from bench.cases.notations import OVER_BUDGET
from bench.experiments.admission.findings import (
    CHILD_IDLE,
    COLLECTING,
    HELD,
    REDO_P50,
    REDO_P99,
    REDOING,
    WORKER_RSS,
    Line,
    Panel,
    finding,
    panels,
    verdict,
    with_read_path,
)
from bench.results.summary import Estimate, Summary
from bench.show import columns, fields, units
from bench.show.families import effect_data
from bench.show.findings import Measure
from bench.show.layout import hanging
from bench.show.pictures import figures, style

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
        return with_read_path(cases)

    def tables(self, summary: Summary) -> Iterable[RenderableType]:
        found = panels(summary)
        for panel in found:
            for manager in panel.managers:
                yield hanging("- ", verdict(panel, manager), "")
        for panel in found:
            yield _table(panel)
        yield Text(_LEGEND, style="dim")

    def data(self, summary: Summary) -> Any:
        """A list of loads. Peaks in bytes and counts, times in seconds, shares of 1."""
        return [
            {
                "group": panel.title,
                "clients": panel.clients,
                "budget_bytes": panel.budget_bytes or None,
                "verdicts": {name: verdict(panel, name) for name in panel.managers},
                "cases": [_line_data(line) for line in panel.lines],
            }
            for panel in panels(summary)
        ]

    def figure(self, picture: str, summary: Summary) -> Figure:  # noqa: ARG002 - there is one
        found = panels(summary)
        whole, axes, columns = figures.panels(len(found))
        for panel, ax in zip(found, axes, strict=True):
            _draw(ax, panel, columns)
        for index in range(0, len(found), columns):
            axes[index].set_ylabel("reads per second")
        managers = dict.fromkeys(name for panel in found for name in panel.managers)
        legend = [
            figures.legend_entry(name, replace(style.look(name), width=style.BAND_WIDTH, marker=""))
            for name in managers
        ]
        figures.frame(whole, legend, figures.footer(summary))
        return whole


def _table(panel: Panel) -> Table:
    shown: list[fields.Field[Line]] = [
        fields.words("manager", lambda line: line.row.case.manager, is_group=True),
        fields.words("admission", lambda line: line.admission),
        fields.measure("reads/s", lambda line: line.row.throughput_per_s, columns.rates),
        fields.spread(lambda line: line.row.throughput_per_s),
        fields.ratio("/unlim", lambda line: line.to_unlimited),
        fields.measure("p50", lambda line: line.row.latency_p50_s),
        fields.measure("p99", lambda line: line.row.latency_p99_s),
        fields.measure("redo p99", lambda line: line.measure(REDO_P99)),
        fields.measure(
            "held", lambda line: line.measure(HELD), columns.sizes, _over_budget, _style
        ),
        fields.measure("in redo", lambda line: line.measure(REDOING), columns.plain(0)),
        fields.measure("idle", lambda line: line.measure(CHILD_IDLE), columns.shares),
    ]
    lines = [line for manager in panel.managers for line in panel.of(manager)]
    return fields.field_table(lines, shown, f"{panel.title}, N = {panel.clients}")


def _over_budget(line: Line) -> str:
    return OVER_BUDGET if line.over_budget else ""


def _style(line: Line) -> str:
    return "yellow" if line.over_budget else ""


def _line_data(line: Line) -> dict[str, Any]:
    row = line.row
    measures: Mapping[str, Estimate | None] = {
        "throughput_per_s": row.throughput_per_s,
        "latency_p50_s": row.latency_p50_s,
        "latency_p99_s": row.latency_p99_s,
        "redo_p50_s": line.measure(REDO_P50),
        "redo_p99_s": line.measure(REDO_P99),
        "held_peak_bytes": line.measure(HELD),
        "collecting_peak": line.measure(COLLECTING),
        "redoing_peak": line.measure(REDOING),
        "child_idle_share": line.measure(CHILD_IDLE),
        "worker_peak_rss_bytes": line.measure(WORKER_RSS),
    }
    return {
        "name": row.case.name,
        "throughput_to_unlimited": effect_data(line.to_unlimited),
        "over_budget_runs": line.over_budget,
        "bounds_memory": line.bounds_memory,
        "bounds_redos": line.bounds_redos,
        **{key: None if one is None else one.median for key, one in measures.items()},
    }


def _draw(ax: Axes, panel: Panel, columns: int) -> None:
    """Bars of throughput, by admission; above each how idle its child was, below what was held."""
    places = {admission: at for at, admission in enumerate(panel.admissions)}
    width = _BARS / len(panel.managers)
    marks: list[tuple[float, float, str]] = []
    for number, manager in enumerate(panel.managers):
        for line in panel.of(manager):
            x = places[line.admission] + (number + 0.5) * width - _BARS / 2
            _bar(ax, x, width, line, style.look(manager).color)
            if (reads := line.row.throughput_per_s) is not None:
                marks.append((x, reads.median, _told(line, reads)))
    figures.tell(ax, marks)
    ax.set_xticks(list(places.values()), [_label(panel, admission) for admission in places])
    ax.set_xlim(-0.6, len(places) - 0.4)
    ax.set_ylim(0, ax.get_ylim()[1] * 1.1)  # room for what stands above the bars
    ax.grid(visible=False, axis="x")
    ax.yaxis.set_major_formatter(FuncFormatter(style.Y_FORMATS[Measure.THROUGHPUT]))
    ax.set_xlabel(f"admission, and the most data held ({panel.title})")
    figures.title(ax, finding(panel), columns)


def _bar(ax: Axes, x: float, width: float, line: Line, color: str) -> None:
    throughput, idle = line.row.throughput_per_s, line.measure(CHILD_IDLE)
    if throughput is None:
        why = OVER_BUDGET if line.over_budget else "no result"
        at = ax.get_xaxis_transform()
        ax.text(x, 0.03, why, transform=at, rotation=90, ha="center", color=color)
        return
    ax.bar(x, throughput.median, width * 0.92, color=color)
    ax.vlines(x, throughput.low, throughput.high, color=style.FAINT, linewidth=1.2)
    if idle is not None:
        text = f"idle\n{idle.median:.0%}"
        ax.text(x, throughput.high, text, ha="center", va="bottom", fontsize=style.FOOTER_SIZE)


def _told(line: Line, reads: Estimate) -> str:
    held, idle = line.measure(HELD), line.measure(CHILD_IDLE)
    beside = [] if held is None else [f"{units.size(held.median)} held"]
    beside += [] if idle is None else [f"child idle {idle.median:.0%}"]
    said = (
        f"{line.row.case.manager}, {line.admission}: reads {figures.described(reads, units.rate)}"
    )
    return ", ".join([said, *beside])


def _label(panel: Panel, admission: str) -> str:
    held = [
        one.median
        for line in panel.lines
        if line.admission == admission and (one := line.measure(HELD)) is not None
    ]
    return f"{admission}\n{units.size(max(held)) if held else columns.ABSENT}"
