"""How late a heartbeat beside the clients is: the tables, the data and the figure.

What the rows show is computed in `findings`.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from rich.console import RenderableType
from rich.text import Text

from bench.cases.case import Case
from bench.experiments.stall.findings import (
    SYNC_ON_LOOP,
    SYNC_ON_THREADS,
    SYNC_TO_THREAD,
    Panel,
    clients_call,
    headline,
    late_p50,
    late_p99,
    panels,
    verdict,
)
from bench.results.measures.stall import (
    IDLE_LATE_P50,
    LATE_MAX,
    LATE_P50,
    LATE_P99,
    LATE_P99_9,
    LATE_SHARE,
)
from bench.results.summary import CaseRow, Summary
from bench.show import columns, fields
from bench.show.families import further, with_default
from bench.show.fields import field_data, field_table, in_full
from bench.show.findings import Measure
from bench.show.layout import hanging
from bench.show.pictures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LATENESS: Final = {"p50": LATE_P50, "p99": LATE_P99, "p99_9": LATE_P99_9, "max": LATE_MAX}
_HOW_TO_READ: Final = (
    "Medians over the runs. p50 to max: how late a beat is that is due every millisecond, on the"
    " clients' loop or on a thread of their process; - where too few beats are later. >1 ms: share"
    " of beats later than that. idle p50: of the beats just before the clients began. redo/s:"
    " throughput beside the heartbeat; /alone: to that without one."
)

_LOOKS: Final = {
    # Sync on its own threads is sync as in every other figure; the other two look different.
    SYNC_ON_THREADS: style.look("sync"),
    SYNC_ON_LOOP: replace(style.look("sync"), color="#8C3B00", linestyle="-."),
    SYNC_TO_THREAD: style.look("streams"),
}
"""Calls of sync; another manager has its own look."""

_IDLE_LOOK: Final = style.DASHED


class StallView:
    """`View` of every case with a heartbeat, and of the same without one."""

    name = "stall"
    pictures: tuple[str, ...] = ("stall",)

    def covered(self, cases: Collection[Case]) -> frozenset[Case]:
        return with_default(cases, "heartbeat")

    def tables(self, summary: Summary) -> Iterable[RenderableType]:
        for panel in panels(summary):
            yield hanging("", verdict(panel), "")
            yield field_table(panel.group.rows, _fields(panel))
        yield Text(_HOW_TO_READ, style="dim")

    def data(self, summary: Summary) -> Any:
        """A list of panels; lateness in seconds."""
        return [
            {
                "group": panel.group.title,
                "heartbeat": panel.heartbeat,
                "verdict": verdict(panel),
                "cases": field_data(panel.group.rows, _fields(panel)),
            }
            for panel in panels(summary)
        ]

    def figure(self, picture: str, summary: Summary) -> Figure:  # noqa: ARG002 - there is one
        from bench.show.pictures import figures
        from bench.show.pictures.sheet import Sheet, footer

        found = panels(summary)
        sheet = Sheet.of(found, _draw, headline)
        sheet.share_y()
        sheet.label_left("lateness of a beat")
        lines = dict.fromkeys(line for panel in found for line in panel.lines)
        legend = [
            *(figures.legend_entry(line, _look(line)) for line in lines),
            *figures.percentile_entries(),
            figures.legend_entry("idle", _IDLE_LOOK),
        ]
        return sheet.framed(legend, footer(summary))


def _fields(panel: Panel) -> list[fields.Field[CaseRow]]:
    in_seconds = partial(fields.measure, data=in_full)
    return [
        fields.only_data("name", lambda row: row.case.name),
        fields.words("clients call", lambda row: clients_call(row.case), key="clients_call"),
        fields.clients(lambda row: row.case.clients, key="clients"),
        *(
            in_seconds(name.replace("_", "."), further(key), key=f"late_{name}_s")
            for name, key in _LATENESS.items()
        ),
        fields.measure(
            ">1 ms",
            further(LATE_SHARE),
            partial(columns.shares, decimals=1),
            key="late_share",
            data=in_full,
        ),
        in_seconds("idle p50", further(IDLE_LATE_P50), key="idle_late_p50_s"),
        fields.measure(
            "redo/s", Measure.THROUGHPUT.of, columns.rates, key="throughput_per_s", data=in_full
        ),
        fields.ratio("/alone", panel.to_alone, key="throughput_to_alone"),
    ]


def _draw(axes: Axes, panel: Panel) -> None:
    from bench.show.pictures import figures

    figures.clients_axis(axes, panel.group.clients)
    figures.log_axis(axes, style.Y_FORMATS[Measure.LATENCY])
    idle = figures.points(panel.group.rows, further(IDLE_LATE_P50))
    if idle:
        before = statistics.median(estimate.median for _, estimate in idle)
        axes.axhline(before, color=_IDLE_LOOK.color, ls=_IDLE_LOOK.linestyle)
    for line in reversed(panel.lines):  # so that the first one lies on top
        rows = panel.rows(line)
        median, tail = figures.points(rows, late_p50), figures.points(rows, late_p99)
        figures.percentiles(axes, median, tail, _look(line), f"{line},")


def _look(line: str) -> style.Look:
    return _LOOKS.get(line) or style.look(line)
