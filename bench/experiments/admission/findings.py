"""What each admission to a read path bounds, and at which price.

Computes from the rows of a summary. Tables and the figure are in `view`.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from bench.cases.notations import UNLIMITED, Admission
from bench.results.measures.admission import CHILD_IDLE, COLLECTING_PEAK, HELD_PEAK, REDOING_PEAK
from bench.results.summary import CaseRow, Estimate, Summary, manager_order
from bench.show import units
from bench.show.families import alike, differing, title, to_base
from bench.show.findings import Measure
from bench.statistics.effects import Effect


@dataclass(frozen=True, slots=True)
class Line:
    """One admission of one manager. ``to_unlimited``: the ratio of its throughput to that without a
    limit; None for the latter, and where one has no result. ``over_budget``: in how many rounds it
    exceeded the budget."""

    row: CaseRow
    to_unlimited: Effect | None
    over_budget: int

    @property
    def admission(self) -> str:
        return self.row.case.admission

    @property
    def bounds_memory(self) -> bool | None:
        """Whether fewer clients than there are held data at once, in every run; None if unknown."""
        return self._stays_below_all(COLLECTING_PEAK)

    @property
    def bounds_redos(self) -> bool | None:
        """Whether fewer redos than there are clients were in flight at once, in every run."""
        return self._stays_below_all(REDOING_PEAK)

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


def panels(summary: Summary) -> list[Panel]:
    """One per workload, further dimensions and N."""
    config = json.loads(summary.environment.config_json)
    budget_bytes = int(config.get("read_path", {}).get("budget_bytes", 0))
    with_read_path = differing((row.case for row in summary.rows), "admission")
    rows = [row for group in summary.groups() for row in group.rows if row.case in with_read_path]
    found = [
        Panel(title(load), load.clients, budget_bytes, _lines(members, summary))
        for load, members in alike(rows, "manager", "admission").items()
    ]
    return sorted(found, key=lambda panel: (panel.title, panel.clients))


def verdict(panel: Panel, manager: str) -> str:
    """What each admission bounds and what that costs, as one sentence."""
    parts = []
    over = [line.admission for line in panel.of(manager) if line.over_budget]
    if over:
        parts.append(f"{_and(over)} run over the budget of {units.size(panel.budget_bytes)}")
    parts += [text for line in panel.of(manager) if (text := _bounds(line)) is not None]
    return f"{manager}, N = {panel.clients}: {'; '.join(parts) or 'no result'}."


def finding(panel: Panel) -> str:
    """A title: which admissions exceed the budget, and the fastest of those that bound memory."""
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
    best_of = [f"{admission} ({', '.join(who)})" for admission, who in fastest.items()]
    parts.append(f"memory bounded fastest by {_and(best_of)}" if best_of else "memory not bounded")
    return f"N = {panel.clients}: {'; '.join(parts)}"


def _lines(rows: Collection[CaseRow], summary: Summary) -> tuple[Line, ...]:
    unlimited = {row.case.manager: row for row in rows if row.case.admission == UNLIMITED}

    def line(row: CaseRow) -> Line:
        over = sum(
            failure.case == row.case and failure.over_budget is not None
            for failure in summary.failures
        )
        base = unlimited.get(row.case.manager)
        return Line(row, to_base(row, base, Measure.THROUGHPUT.of), over)

    def order(row: CaseRow) -> tuple[object, ...]:
        return manager_order(row.case.manager), _by_limit(row.case.admission)

    return tuple(map(line, sorted(rows, key=order)))


def _by_limit(admission: str) -> tuple[bool, bool, int, int, int]:
    """Sort key: without a limit first, then those on the data, on the redo, on both."""
    limit = Admission.parse(admission)
    data, redo = limit.data or 0, limit.redo or 0
    return bool(data and redo), bool(redo), data + redo, data, redo


def _bounds(line: Line) -> str | None:
    memory, redos = line.bounds_memory, line.bounds_redos
    held, idle = line.measure(HELD_PEAK), line.measure(CHILD_IDLE)
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
