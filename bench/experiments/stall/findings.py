"""How late a heartbeat is beside the clients: which cases belong side by side, and what they show.

Computes from the rows of a summary. Tables and the figure are in `view`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bench.cases.case import Case
from bench.cases.names import SYNC
from bench.cases.notations import HEARTBEAT_THREAD, ON_LOOP, OWN, TO_THREAD
from bench.results.measures.stall import LATE_P50, LATE_P99
from bench.results.summary import CaseRow, Estimate, Group, Summary
from bench.show import units
from bench.show.families import alike, at_default, differing, further, interval, to_base
from bench.statistics.effects import Effect, side
from bench.statistics.rounds import ratio

SYNC_ON_LOOP: Final = "sync on the loop"
SYNC_ON_THREADS: Final = "sync on own threads"
SYNC_TO_THREAD: Final = "sync by to_thread"

_CALLERS: Final[Mapping[str, str]] = {
    ON_LOOP: SYNC_ON_LOOP,
    OWN: SYNC_ON_THREADS,
    TO_THREAD: SYNC_TO_THREAD,
}
"""In the order of rows and lines: the base of the comparison first."""


def clients_call(case: Case) -> str:
    """What the clients call, and from where."""
    return _CALLERS[case.caller] if case.manager == SYNC else case.manager


late_p50: Final = further(LATE_P50)
late_p99: Final = further(LATE_P99)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A case at the greatest N of its panel. ``to_base``: the ratio of its median lateness to that
    beside sync on the loop; None for sync on the loop, and where that was not measured."""

    row: CaseRow
    to_base: Effect | None

    @property
    def is_told_apart(self) -> bool:
        """Whether the rounds, at least two, show which is later."""
        effect = self.to_base
        return effect is not None and effect.low is not None and side(effect) != 0


@dataclass(frozen=True, slots=True)
class Panel:
    """Rows beside one kind of heartbeat that differ in N and in who calls what only.

    ``alone`` has the throughput of the same cases without a heartbeat, where it was measured.
    """

    group: Group
    heartbeat: str
    alone: Mapping[Case, Estimate]

    @property
    def title(self) -> str:
        return f"{self.group.title}, {self.beat}"

    @property
    def beat(self) -> str:
        return "a beat on a thread" if self.heartbeat == HEARTBEAT_THREAD else "a beat on the loop"

    @property
    def lines(self) -> tuple[str, ...]:
        """Every `clients_call` of the panel, the base first."""
        return tuple(dict.fromkeys(clients_call(row.case) for row in self.group.rows))

    def rows(self, line: str) -> tuple[CaseRow, ...]:
        """The rows of a line, N ascending."""
        return tuple(row for row in self.group.rows if clients_call(row.case) == line)

    def to_alone(self, row: CaseRow) -> Effect | None:
        """The ratio of throughput to that without a heartbeat."""
        return ratio(row.throughput_per_s, self.alone.get(at_default(row.case, "heartbeat")))

    def at_most_clients(self) -> tuple[Comparison, ...]:
        """The rows of the greatest N at which a beat is known, the base first."""
        known = [row for row in self.group.rows if late_p50(row) is not None]
        most = max((row.case.clients for row in known), default=0)
        rows = [row for row in known if row.case.clients == most]
        base = next((row for row in rows if clients_call(row.case) == SYNC_ON_LOOP), None)
        return tuple(Comparison(row, to_base(row, base, late_p50)) for row in rows)


def panels(summary: Summary) -> tuple[Panel, ...]:
    """A panel for each kind of heartbeat and value of the other dimensions, callers aside."""
    beating = differing((row.case for row in summary.rows), "heartbeat")
    alone = {
        row.case: row.throughput_per_s
        for row in summary.rows
        if row.case not in beating and row.throughput_per_s is not None
    }
    rows = [row for group in summary.groups() for row in group.rows if row.case in beating]
    found = []
    for common, members in alike(rows, "manager", "clients", "caller").items():
        extra = tuple(at_default(common, "heartbeat").extra.items())
        group = Group(common.workload, extra, tuple(sorted(members, key=_row_order)))
        found.append(Panel(group, common.heartbeat, alone))
    return tuple(found)


def verdict(panel: Panel) -> str:
    """One sentence: how late a beat is beside each at the greatest N, next to sync on the loop."""
    found = panel.at_most_clients()
    if not found:
        return f"{panel.title}: no beat was measured."
    medians = "; ".join(map(_lateness, found))
    return f"{panel.title}: at N = {found[0].row.case.clients} it is late by a median of {medians}."


def headline(panel: Panel) -> str:
    """The finding as a title: sync on the loop against the manager that is not sync."""
    found = panel.at_most_clients()
    rivals = (compared for compared in found if compared.row.case.manager != SYNC)
    other = next((compared for compared in rivals if compared.to_base), None)
    if other is None or other.to_base is None:
        return panel.title
    name, at_most = other.row.case.manager, f"at N = {other.row.case.clients}"
    if not other.is_told_apart:
        return f"{panel.title}: {SYNC_ON_LOOP} and {name} not told apart {at_most}"
    factor = other.to_base.ratio
    later, sooner = (SYNC_ON_LOOP, name) if factor < 1 else (name, SYNC_ON_LOOP)
    times = units.factor(max(factor, 1 / factor))
    return f"{panel.title}: {times} later beside {later} than beside {sooner} {at_most}"


def _lateness(compared: Comparison) -> str:
    """As ``5.10 ms beside async (p99 9.80 ms, median 0.35x (0.30-0.41) of the first's)``."""
    median, p99 = late_p50(compared.row), late_p99(compared.row)
    assert median is not None
    notes = [] if p99 is None else [f"p99 {units.seconds(p99.median)}"]
    if compared.to_base is not None:
        apart = "" if compared.is_told_apart else ", not told apart"
        notes.append(f"median {interval(compared.to_base)} of the first's{apart}")
    text = f"{units.seconds(median.median)} beside {clients_call(compared.row.case)}"
    return f"{text} ({', '.join(notes)})" if notes else text


def _row_order(row: CaseRow) -> tuple[int, int, str]:
    name = clients_call(row.case)
    callers = tuple(_CALLERS.values())
    return row.case.clients, callers.index(name) if name in callers else len(callers), name
