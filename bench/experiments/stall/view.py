"""How late a heartbeat is beside the clients: of sync on the loop, on threads, and of async."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from rich.console import RenderableType
from rich.text import Text

from bench.cases.case import Case
from bench.cases.names import SYNC
from bench.cases.notations import HEARTBEAT_THREAD, ON_LOOP, OWN, TO_THREAD
from bench.results.measures import stall
from bench.results.summary import CaseRow, Estimate, Group, Summary
from bench.show import columns, families, fields, units
from bench.show.fields import field_data, field_table, in_full
from bench.show.findings import Measure
from bench.show.layout import hanging
from bench.show.pictures import style
from bench.statistics.effects import Effect, side
from bench.statistics.rounds import ratio

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SYNC_ON_LOOP: Final = "sync on the loop"
_CALLERS: Final[Mapping[str, str]] = {
    ON_LOOP: SYNC_ON_LOOP,
    OWN: "sync on own threads",
    TO_THREAD: "sync by to_thread",
}
"""In the order of rows and lines: the base of the comparison first."""

# Sync on its own threads is sync as in every other figure; the other two look different.
_LOOKS: Final = {
    _CALLERS[ON_LOOP]: replace(style.look("sync"), color="#8C3B00", linestyle="-."),
    _CALLERS[OWN]: style.look("sync"),
    _CALLERS[TO_THREAD]: style.look("streams"),
}
"""Calls of sync; another manager has its own look."""

_HOW_TO_READ: Final = (
    "Medians over the runs. p50 to max: how late a beat is that is due every millisecond, on the"
    " clients' loop or on a thread of their process; - where too few beats are later. >1 ms: share"
    " of beats later than that. idle p50: of the beats just before the clients began. redo/s:"
    " throughput beside the heartbeat; /alone: divided by that without a heartbeat."
)

late_p50: Final = families.further(stall.LATE_P50)
late_p99: Final = families.further(stall.LATE_P99)
idle_p50: Final = families.further(stall.IDLE_LATE_P50)


def clients_call(case: Case) -> str:
    """What the clients call, and from where."""
    return _CALLERS[case.caller] if case.manager == SYNC else case.manager


@dataclass(frozen=True, slots=True)
class Panel:
    """Rows beside one kind of heartbeat that differ in N and in who calls what only.

    ``alone`` has the throughput of the same cases without a heartbeat, where it was measured.
    """

    group: Group
    heartbeat: str
    alone: Mapping[Case, Estimate | None]

    @property
    def title(self) -> str:
        place = "a thread" if self.heartbeat == HEARTBEAT_THREAD else "the loop"
        return f"{self.group.title}, a beat on {place}"

    @property
    def lines(self) -> tuple[str, ...]:
        """Every `clients_call` of the panel, the base first."""
        return tuple(dict.fromkeys(clients_call(row.case) for row in self.group.rows))

    def to_alone(self, row: CaseRow) -> Effect | None:
        """The ratio of throughput to that without a heartbeat."""
        return ratio(
            row.throughput_per_s, self.alone.get(families.at_default(row.case, "heartbeat"))
        )

    def at_most_clients(self) -> list[tuple[CaseRow, Effect | None]]:
        """The rows of the greatest N at which a beat is known, the base first, each with the ratio
        of its median lateness to that of the base; None for the base, and where it is not known."""
        known = [row for row in self.group.rows if late_p50(row) is not None]
        last = max((row.case.clients for row in known), default=0)
        rows = [row for row in known if row.case.clients == last]
        base = next((row for row in rows if clients_call(row.case) == SYNC_ON_LOOP), None)
        return [(row, families.to_base(row, base, late_p50)) for row in rows]


def panels(summary: Summary) -> list[Panel]:
    """A panel for each kind of heartbeat and value of the other dimensions, callers aside."""
    beating = families.differing((row.case for row in summary.rows), "heartbeat")
    alone = {row.case: row.throughput_per_s for row in summary.rows if row.case not in beating}
    rows = [row for group in summary.groups() for row in group.rows if row.case in beating]
    found = []
    for common, members in families.alike(rows, "manager", "clients", "caller").items():
        extra = tuple(families.at_default(common, "heartbeat").extra.items())
        group = Group(common.workload, extra, tuple(sorted(members, key=_row_order)))
        found.append(Panel(group, common.heartbeat, alone))
    return found


def _row_order(row: CaseRow) -> tuple[int, int, str]:
    name, callers = clients_call(row.case), [*_CALLERS.values()]
    return row.case.clients, callers.index(name) if name in callers else len(callers), name


def verdict(panel: Panel) -> str:
    """One sentence: how late a beat is beside each at the greatest N, next to sync on the loop."""
    found = panel.at_most_clients()
    if not found:
        return f"{panel.title}: no beat was measured."
    medians = "; ".join(_lateness(row, effect) for row, effect in found)
    return f"{panel.title}: at N = {found[0][0].case.clients} it is late by a median of {medians}."


def headline(panel: Panel) -> str:
    """The finding as a title: sync on the loop against the manager that is not sync."""
    for row, effect in panel.at_most_clients():
        name, at_most = row.case.manager, f"at N = {row.case.clients}"
        if name == SYNC or effect is None:
            continue
        if not _is_told_apart(effect):
            pair = f"{SYNC_ON_LOOP} and {name}"
            return f"{panel.title}: no significant difference between {pair} {at_most}"
        later, sooner = (SYNC_ON_LOOP, name) if effect.ratio < 1 else (name, SYNC_ON_LOOP)
        times = units.factor(max(effect.ratio, 1 / effect.ratio))
        return f"{panel.title}: {times} later beside {later} than beside {sooner} {at_most}"
    return panel.title


def _lateness(row: CaseRow, to_base: Effect | None) -> str:
    """As ``5.10 ms beside async (p99 9.80 ms, median 0.35x (0.30-0.41) of the first's)``."""
    median, p99 = late_p50(row), late_p99(row)
    assert median is not None
    notes = [] if p99 is None else [f"p99 {units.seconds(p99.median)}"]
    if to_base is not None:
        apart = "" if _is_told_apart(to_base) else ", not significant"
        notes.append(f"median {families.interval(to_base)} of the first{apart}")
    text = f"{units.seconds(median.median)} beside {clients_call(row.case)}"
    return f"{text} ({', '.join(notes)})" if notes else text


def _is_told_apart(effect: Effect) -> bool:
    """Whether the rounds, at least two, show which is later."""
    return effect.low is not None and side(effect) != 0


class StallView:
    """`View` of every case with a heartbeat, and of the same without one."""

    name = "stall"
    pictures: tuple[str, ...] = ("stall",)

    def covered(self, cases: Collection[Case]) -> frozenset[Case]:
        return families.with_default(cases, "heartbeat")

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

    def figure(self, picture: str, summary: Summary) -> Figure:
        from bench.show.pictures import figures
        from bench.show.pictures.sheet import Sheet, footer

        assert picture in self.pictures
        found = panels(summary)
        looks = _looks(line for panel in found for line in panel.lines)
        sheet = Sheet.of(found, partial(_draw, looks=looks), headline)
        sheet.share_y()
        sheet.label_left("lateness of a beat")
        legend = [
            *(figures.legend_entry(line, look) for line, look in looks.items()),
            *figures.percentile_entries(),
            figures.legend_entry("idle", style.DASHED),
        ]
        return sheet.framed(legend, footer(summary))


def _fields(panel: Panel) -> list[fields.Field[CaseRow]]:
    measure = partial(fields.measure, data=in_full)
    percentile = partial(fields.percentile, beside=late_p50, data=in_full)
    shares = partial(columns.shares, decimals=1)
    return [
        fields.only_data("name", lambda row: row.case.name),
        fields.words("clients call", lambda row: clients_call(row.case), key="clients_call"),
        fields.clients(lambda row: row.case.clients, key="clients"),
        measure("p50", late_p50, key="late_p50_s"),
        percentile("p99", late_p99, key="late_p99_s"),
        percentile("p99.9", families.further(stall.LATE_P99_9), key="late_p99_9_s"),
        percentile("max", families.further(stall.LATE_MAX), key="late_max_s"),
        measure(">1 ms", families.further(stall.LATE_SHARE), shares, key="late_share"),
        measure("idle p50", idle_p50, key="idle_late_p50_s"),
        measure("redo/s", Measure.THROUGHPUT.of, columns.rates, key="throughput_per_s"),
        fields.ratio("/alone", panel.to_alone, key="throughput_to_alone"),
    ]


def _draw(axes: Axes, panel: Panel, looks: Mapping[str, style.Look]) -> None:
    from bench.show.pictures import figures

    figures.clients_axis(axes, panel.group.clients)
    figures.log_axis(axes, style.Y_FORMATS[Measure.LATENCY])
    if idle := [estimate.median for _, estimate in figures.points(panel.group.rows, idle_p50)]:
        look = style.DASHED
        axes.axhline(statistics.median(idle), color=look.color, ls=look.linestyle)
    for line in reversed(panel.lines):  # so that the first one lies on top
        rows = [row for row in panel.group.rows if clients_call(row.case) == line]
        median, tail = figures.points(rows, late_p50), figures.points(rows, late_p99)
        figures.percentiles(axes, median, tail, looks[line], f"{line},")


def _looks(lines: Iterable[str]) -> dict[str, style.Look]:
    """Of the lines of a figure, in their order."""
    in_order = tuple(dict.fromkeys(lines))
    # The calls of sync take the looks of these two.
    others = style.looks(["sync", "streams", *(line for line in in_order if line not in _LOOKS)])
    return {line: _LOOKS.get(line) or others[line] for line in in_order}
