"""What the admissions of a read path bound, and at which price: rows side by side, and sentences.

Pure: from a summary to plain data. How it is laid out is in ``view_admission``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from bench.cases.case import Case
from bench.cases.notations import NO_ADMISSION, UNLIMITED, Admission
from bench.results.summary import CaseRow, Estimate, Summary, manager_order
from bench.show import units
from bench.statistics.effects import Effect
from bench.statistics.rounds import ratio

HELD: Final = "redo_admission_held_peak"
COLLECTING: Final = "redo_admission_collecting_peak"
REDOING: Final = "redo_admission_redoing_peak"
CHILD_IDLE: Final = "redo_admission_child_idle"
REDO_P50: Final = "redo_admission_redo_p50"
REDO_P99: Final = "redo_admission_redo_p99"
WORKER_RSS: Final = "redo_worker_peak_rss_bytes"


@dataclass(frozen=True, slots=True)
class Line:
    """One admission of one manager. ``to_unlimited``: its throughput to that of no limit, round by
    round; None for that itself, and where it has no result. ``over_budget``: in how many rounds."""

    row: CaseRow
    to_unlimited: Effect | None
    over_budget: int

    @property
    def admission(self) -> str:
        return self.row.case.admission

    @property
    def bounds_memory(self) -> bool | None:
        """Whether fewer clients than there are held data at once, in every run; None if unknown."""
        return self._stays_below_all(COLLECTING)

    @property
    def bounds_redos(self) -> bool | None:
        """Whether fewer redos than there are clients were in flight at once, in every run."""
        return self._stays_below_all(REDOING)

    def measure(self, key: str) -> Estimate | None:
        return self.row.further.get(key)

    def _stays_below_all(self, key: str) -> bool | None:
        peaks = self.measure(key)
        if peaks is None:
            return None
        return max(value for _, value in peaks.by_round) < self.row.case.clients


@dataclass(frozen=True, slots=True)
class Panel:
    """The admissions at one load: lines by manager, then by what they limit."""

    title: str
    clients: int
    budget_bytes: int
    lines: tuple[Line, ...]

    @property
    def managers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(line.row.case.manager for line in self.lines))

    @property
    def admissions(self) -> tuple[str, ...]:
        return tuple(sorted({line.admission for line in self.lines}, key=_by_limit))

    def of(self, manager: str) -> list[Line]:
        return [line for line in self.lines if line.row.case.manager == manager]


def with_read_path(cases: Iterable[Case]) -> frozenset[Case]:
    return frozenset(case for case in cases if case.admission != NO_ADMISSION)


def panels(summary: Summary) -> list[Panel]:
    """One per workload, further dimensions and N."""
    config = json.loads(summary.environment.config_json)
    budget_bytes = int(config.get("read_path", {}).get("budget_bytes", 0))
    found: dict[tuple[str, int], list[CaseRow]] = {}
    for group in summary.groups():
        for row in group.rows:
            if row.case.admission != NO_ADMISSION:
                found.setdefault((_title(row.case), row.case.clients), []).append(row)
    return [
        Panel(title, clients, budget_bytes, _lines(rows, summary))
        for (title, clients), rows in sorted(found.items())
    ]


def verdict(panel: Panel, manager: str) -> str:
    """What each admission bounds and what that costs, as one sentence."""
    parts = []
    over = [line.admission for line in panel.of(manager) if line.over_budget]
    if over:
        parts.append(f"{_and(over)} run over the budget of {units.size(panel.budget_bytes)}")
    parts += [text for line in panel.of(manager) if (text := _said_of(line)) is not None]
    return f"{manager}, N = {panel.clients}: {'; '.join(parts) or 'no result'}."


def finding(panel: Panel) -> str:
    """The title of a figure: who runs out of memory, and the fastest of those that bound it."""
    over = {line.admission for line in panel.lines if line.over_budget}
    fastest: dict[str, list[str]] = {}
    for manager in panel.managers:
        bounded = [
            (line.row.throughput_per_s.median, line)
            for line in panel.of(manager)
            if line.bounds_memory and line.row.throughput_per_s is not None
        ]
        if bounded:
            _, best = max(bounded, key=lambda pair: pair[0])
            effect = best.to_unlimited
            price = "" if effect is None else f" {units.factor(effect.ratio)} of {UNLIMITED}"
            fastest.setdefault(best.admission, []).append(f"{manager}{price}")
    parts = [f"{_and(sorted(over, key=_by_limit))} over budget"] if over else []
    said = [f"{admission} ({', '.join(who)})" for admission, who in fastest.items()]
    parts.append(f"memory bounded fastest by {_and(said)}" if said else "memory not bounded")
    return f"N = {panel.clients}: {'; '.join(parts)}"


def _lines(rows: Collection[CaseRow], summary: Summary) -> tuple[Line, ...]:
    unlimited = {row.case.manager: row for row in rows if row.case.admission == UNLIMITED}

    def line(row: CaseRow) -> Line:
        base = unlimited.get(row.case.manager)
        effect = None
        if base is not None and base is not row:
            effect = ratio(row.throughput_per_s, base.throughput_per_s)
        over = sum(one.case == row.case and one.over_budget is not None for one in summary.failures)
        return Line(row, effect, over)

    def order(row: CaseRow) -> tuple[object, ...]:
        return manager_order(row.case.manager), _by_limit(row.case.admission)

    return tuple(map(line, sorted(rows, key=order)))


def _by_limit(admission: str) -> tuple[bool, bool, int, int, int]:
    """Sort key: without a limit first, then those on the data, on the redo, on both."""
    limit = Admission.parse(admission)
    data, redo = limit.data or 0, limit.redo or 0
    return bool(data and redo), bool(redo), data + redo, data, redo


def _title(case: Case) -> str:
    others = (f"{key}={value}" for key, value in case.extra.items() if key != "admission")
    return ", ".join((case.workload, *others))


def _said_of(line: Line) -> str | None:
    memory, redos = line.bounds_memory, line.bounds_redos
    held, idle = line.measure(HELD), line.measure(CHILD_IDLE)
    if memory is None or redos is None or held is None or idle is None:
        return None
    what = {
        (True, True): "bounds memory and redos in flight",
        (True, False): "bounds memory",
        (False, True): "bounds redos in flight only",
        (False, False): "bounds neither",
    }[memory, redos]
    effect = line.to_unlimited
    price = ""
    if effect is not None:
        bounds = ""
        if effect.low is not None and effect.high is not None:
            bounds = f" ({effect.low:.2f}-{effect.high:.2f})"
        price = f", {units.factor(effect.ratio)}{bounds} of {UNLIMITED}'s throughput"
    return (
        f"{line.admission} {what}: {units.size(held.median)} held{price}, child idle"
        f" {idle.median:.0%}"
    )


def _and(names: Collection[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
