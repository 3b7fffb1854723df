"""How late a heartbeat beside the clients is: the tables and the figure.

What is said is computed in ``stalls``; this module only lays it out.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bench.cases.case import Case
from bench.experiments.stall.findings import (
    SYNC_ON_LOOP,
    SYNC_ON_THREADS,
    SYNC_TO_THREAD,
    Panel,
    clients_call,
    covered,
    headline,
    idle,
    late,
    panels,
    verdict,
)
from bench.results.summary import CaseRow, Estimate, Summary
from bench.show import columns, fields
from bench.show.families import effect_data
from bench.show.findings import Measure
from bench.show.layout import hanging
from bench.show.pictures import figures, style

_LATENESS: Final = ("p50", "p99", "p99_9", "max")
_HEADINGS: Final = ("p50", "p99", "p99.9", "max")
_HOW_TO_READ: Final = (
    "Medians over the runs. p50 to max: how late a beat is that is due every millisecond, on the"
    " clients' loop or on a thread of their process; - where too few beats are later. >1 ms: share"
    " of beats later than that. idle p50: of the beats just before the clients began. redo/s:"
    " throughput beside the heartbeat; /alone: to that without one."
)

_LOOKS: Final = {
    # As everywhere, sync is called from threads of its own; the others have it differ.
    SYNC_ON_THREADS: style.look("sync"),
    SYNC_ON_LOOP: replace(style.look("sync"), color="#8C3B00", linestyle="-."),
    SYNC_TO_THREAD: style.look("streams"),
}
"""Of those that no manager's own look is for."""

_IDLE_LOOK: Final = style.Look(style.FAINT, (0, (5, 2)), 1.3, "", 0.0)


class StallView:
    """`View` of every case with a heartbeat, and of the same without one."""

    name = "stall"
    pictures: tuple[str, ...] = ("stall",)

    def covered(self, cases: Collection[Case]) -> frozenset[Case]:
        return covered(cases)

    def tables(self, summary: Summary) -> Iterable[RenderableType]:
        for panel in panels(summary):
            yield hanging("", verdict(panel), "")
            yield _table(panel)
        yield Text(_HOW_TO_READ, style="dim")

    def data(self, summary: Summary) -> Any:
        return [
            {
                "group": panel.group.title,
                "heartbeat": panel.heartbeat,
                "verdict": verdict(panel),
                "cases": [_row_data(panel, row) for row in panel.group.rows],
            }
            for panel in panels(summary)
        ]

    def figure(self, picture: str, summary: Summary) -> Figure:  # noqa: ARG002 - there is one
        found = panels(summary)
        figure, axes, columns = figures.panels(len(found))
        for axis, panel in zip(axes, found, strict=True):
            _draw(axis, panel, columns)
        low = min(axis.get_ylim()[0] for axis in axes)
        high = max(axis.get_ylim()[1] for axis in axes)
        for index, axis in enumerate(axes):
            axis.set_ylim(low, high)
            if index % columns == 0:
                axis.set_ylabel("lateness of a beat")
        lines = dict.fromkeys(line for panel in found for line in panel.lines)
        figures.frame(figure, _legend(lines), figures.footer(summary))
        return figure


def _table(panel: Panel) -> Table:
    shown: list[fields.Field[CaseRow]] = [
        fields.clients(lambda row: row.case.clients),
        fields.words("clients call", lambda row: clients_call(row.case)),
        *(
            fields.measure(heading, partial(late, what=what))
            for what, heading in zip(_LATENESS, _HEADINGS, strict=True)
        ),
        fields.measure(">1 ms", partial(late, what="share"), partial(columns.shares, decimals=1)),
        fields.measure("idle p50", idle),
        fields.measure("redo/s", lambda row: row.throughput_per_s, columns.rates),
        fields.ratio("/alone", panel.to_alone),
    ]
    return fields.field_table(panel.group.rows, shown)


def _row_data(panel: Panel, row: CaseRow) -> dict[str, Any]:
    """Lateness in seconds."""
    return {
        "name": row.case.name,
        "clients_call": clients_call(row.case),
        "clients": row.case.clients,
        **{f"late_{what}_s": _estimate(late(row, what)) for what in _LATENESS},
        "late_share": _estimate(late(row, "share")),
        "idle_late_p50_s": _estimate(idle(row)),
        "throughput_per_s": _estimate(row.throughput_per_s),
        "throughput_to_alone": effect_data(panel.to_alone(row)),
    }


def _estimate(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else asdict(estimate)


def _draw(axis: Axes, panel: Panel, columns: int) -> None:
    figures.clients_axis(axis, panel.group.clients)
    figures.log_axis(axis, style.Y_FORMATS[Measure.LATENCY])
    figures.title(axis, headline(panel), columns)
    before = [one.median for row in panel.group.rows if (one := idle(row)) is not None]
    if before:
        axis.axhline(statistics.median(before), color=_IDLE_LOOK.color, ls=_IDLE_LOOK.linestyle)
    for line in reversed(panel.lines):  # so that the first one lies on top
        median, tail = (
            [
                (row.case.clients, one)
                for row in panel.rows(line)
                if (one := late(row, what)) is not None
            ]
            for what in ("p50", "p99")
        )
        look = _look(line)
        figures.line(axis, median, look, f"{line}, p50")
        figures.band(axis, median, look.color)
        figures.line(axis, tail, replace(look, **style.TAIL), f"{line}, p99")


def _look(line: str) -> style.Look:
    return _LOOKS.get(line) or style.look(line)


def _legend(lines: Iterable[str]) -> list[Line2D]:
    plain = style.Look(style.FAINT, "-", style.LINE_WIDTH, "", 0.0)
    return [
        *(figures.legend_entry(line, _look(line)) for line in lines),
        figures.legend_entry("p50", plain),
        figures.legend_entry("p99", replace(plain, **style.TAIL)),
        figures.legend_entry("idle", _IDLE_LOOK),
    ]
