"""Heartbeats beside clients, case by case: which belong side by side, and what they say.

Arithmetic over the rows of a summary; laid out by ``view_stall``. The measures are those of
``stall_measures``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from bench.cases.case import Case
from bench.cases.names import SYNC
from bench.cases.notations import HEARTBEAT_THREAD, NO_HEARTBEAT, ON_LOOP, OWN, TO_THREAD
from bench.results.summary import CaseRow, Estimate, Group, Summary
from bench.show import units
from bench.show.families import interval
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
"""In the order of rows and lines: first what the others are compared with."""


def clients_call(case: Case) -> str:
    """What the clients call, and from where."""
    return _CALLERS[case.caller] if case.manager == SYNC else case.manager


def has_heartbeat(case: Case) -> bool:
    return case.heartbeat != NO_HEARTBEAT


def without_heartbeat(case: Case) -> Case:
    return replace(case, heartbeat=NO_HEARTBEAT)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A case at the greatest N of its panel. ``to_base``: the ratio of its median lateness to that
    beside sync on the loop; None for that one, and where it was not measured."""

    row: CaseRow
    to_base: Effect | None

    @property
    def is_told_apart(self) -> bool:
        """Whether the rounds, at least two, tell which is later."""
        effect = self.to_base
        return effect is not None and effect.low is not None and side(effect) != 0


@dataclass(frozen=True, slots=True)
class Panel:
    """All that was measured beside one kind of heartbeat and is alike in all but who calls what.

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
        """Every ``clients_call`` of the panel, that of the base first."""
        return tuple(dict.fromkeys(clients_call(row.case) for row in self.group.rows))

    def rows(self, line: str) -> tuple[CaseRow, ...]:
        """The rows of a line, N ascending."""
        return tuple(row for row in self.group.rows if clients_call(row.case) == line)

    def to_alone(self, row: CaseRow) -> Effect | None:
        """Throughput to that without a heartbeat."""
        return ratio(row.throughput_per_s, self.alone.get(without_heartbeat(row.case)))

    def at_most_clients(self) -> tuple[Comparison, ...]:
        """The rows of the greatest N at which a beat is known, the base first."""
        known = [row for row in self.group.rows if late(row, "p50") is not None]
        most = max((row.case.clients for row in known), default=0)
        rows = [row for row in known if row.case.clients == most]
        base = next((row for row in rows if clients_call(row.case) == SYNC_ON_LOOP), None)
        return tuple(
            Comparison(
                row,
                None if base is None or row is base else ratio(late(row, "p50"), late(base, "p50")),
            )
            for row in rows
        )


def late(row: CaseRow, what: str) -> Estimate | None:
    """A measure of lateness by the end of its key: ``p50`` to ``max``, ``share``."""
    return row.further.get(f"redo_heartbeat_late_{what}")


def idle(row: CaseRow) -> Estimate | None:
    """The median lateness just before the clients began."""
    return row.further.get("redo_heartbeat_idle_late_p50")


def covered(cases: Collection[Case]) -> frozenset[Case]:
    """The cases with a heartbeat, and the same without."""
    beating = {case for case in cases if has_heartbeat(case)}
    return frozenset(beating | ({without_heartbeat(case) for case in beating} & set(cases)))


def panels(summary: Summary) -> tuple[Panel, ...]:
    """A panel for each kind of heartbeat and value of the other dimensions, callers aside."""
    alone = {
        row.case: row.throughput_per_s
        for row in summary.rows
        if not has_heartbeat(row.case) and row.throughput_per_s is not None
    }
    found: dict[tuple[str, str, tuple[tuple[str, str | int], ...]], list[CaseRow]] = {}
    for group in summary.groups():
        for row in group.rows:
            if has_heartbeat(row.case):
                shared = replace(row.case, caller=OWN, heartbeat=NO_HEARTBEAT)
                key = (row.case.heartbeat, row.case.workload, tuple(shared.extra.items()))
                found.setdefault(key, []).append(row)
    return tuple(
        Panel(Group(workload, extra, tuple(sorted(rows, key=_row_order))), heartbeat, alone)
        for (heartbeat, workload, extra), rows in found.items()
    )


def verdict(panel: Panel) -> str:
    """One sentence: how late a beat is beside each at the greatest N, next to sync on the loop."""
    found = panel.at_most_clients()
    if not found:
        return f"{panel.title}: no beat was measured."
    said = "; ".join(_said(one) for one in found)
    return f"{panel.title}: at N = {found[0].row.case.clients} it is late by a median of {said}."


def headline(panel: Panel) -> str:
    """The finding in a title's words: sync on the loop against the manager that is not sync."""
    found = panel.at_most_clients()
    other = next((one for one in found if one.row.case.manager != SYNC and one.to_base), None)
    if other is None or other.to_base is None:
        return panel.title
    name, at_most = other.row.case.manager, f"at N = {other.row.case.clients}"
    if not other.is_told_apart:
        return f"{panel.title}: {SYNC_ON_LOOP} and {name} not told apart {at_most}"
    to_base = other.to_base.ratio
    later, sooner = (SYNC_ON_LOOP, name) if to_base < 1 else (name, SYNC_ON_LOOP)
    times = units.factor(max(to_base, 1 / to_base))
    return f"{panel.title}: {times} later beside {later} than beside {sooner} {at_most}"


def _said(one: Comparison) -> str:
    """As ``5.10 ms beside async (p99 9.80 ms, median 0.35x (0.30-0.41) of the first's)``."""
    median, p99 = late(one.row, "p50"), late(one.row, "p99")
    assert median is not None
    notes = [] if p99 is None else [f"p99 {units.seconds(p99.median)}"]
    if one.to_base is not None:
        apart = "" if one.is_told_apart else ", not told apart"
        notes.append(f"median {interval(one.to_base)} of the first's{apart}")
    text = f"{units.seconds(median.median)} beside {clients_call(one.row.case)}"
    return f"{text} ({', '.join(notes)})" if notes else text


def _row_order(row: CaseRow) -> tuple[int, int, str]:
    name = clients_call(row.case)
    callers = tuple(_CALLERS.values())
    return row.case.clients, callers.index(name) if name in callers else len(callers), name
