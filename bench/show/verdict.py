"""The answer of a result to "sync or async?": a sentence per kind of child, and a table.

`verdict_of` gives plain data, of which the terminal, the HTML page and `show --json` each make
their own form:

- `Verdict.sentences`: the answer, one sentence for each kind of child, for the manager that the
  suite is about (async; without it the one that does best).
- `Verdict.rows`: a `Row` for each manager, workload and kind of child. Its cells are the text
  `Row.faster_from` and the `Amount` of each of `AMOUNTS` at the greatest N: a ratio to sync with
  its 95 % CI, and a `Mark` that says whether it is significantly better or worse.
- `Verdict.headings`: the headings of those cells, in the same order.

Which manager leads at an N, and from which N on, is told by ``crossover.leads`` and
``crossover.crossover`` alone. The ordinary cases only: an experiment's answer is its view's job.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from bench.cases.managers.registry import is_rival
from bench.cases.names import BASE, CHALLENGER
from bench.results.row import Measure
from bench.results.summary import Group, Summary
from bench.show import units
from bench.show.findings import Reach, better_from, bounds, only_at, reach, span
from bench.statistics.crossover import Crossover, Lead, crossover, leads
from bench.statistics.effects import Effect, side
from bench.statistics.rounds import ratio

AMOUNTS: Final = (Measure.THROUGHPUT, Measure.CPU_TOTAL, Measure.LATENCY_P99)
"""What a row says at the greatest N, in the order of its cells."""

HEADINGS: Final = ("faster from N", "throughput", "CPU per redo", "p99 turn latency")
"""Of a row's cells: `Row.faster_from`, then `AMOUNTS`."""

_WITHOUT_TURNS: Final = (*HEADINGS[:-1], "p99 call latency")
"""The same of a result of a version that did not measure turns."""

_ONE_ROUND: Final = "one round, so no 95 % CI: measure more rounds"


class Mark(StrEnum):
    """How a manager compares with sync in one measure, as a sign that needs no colour."""

    BETTER = "+"
    WORSE = "-"
    SAME = "="
    """No statistically significant difference."""
    UNKNOWN = "?"
    """A single round has no confidence interval."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A measure of a manager divided by that of sync at the same N; ``effect`` has the ratio with
    its 95 % CI (``low`` and ``high`` are None for a single round)."""

    measure: Measure
    effect: Effect

    @property
    def mark(self) -> Mark:
        if self.effect.low is None:
            return Mark.UNKNOWN
        is_above = side(self.effect)
        if is_above == 0:
            return Mark.SAME
        return Mark.WORSE if (is_above > 0) == self.measure.less_is_better else Mark.BETTER


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of a result: is this manager faster than sync, for one workload and one kind of
    child? ``child``: as ``free`` or ``pg14``; ``conditions``: further dimensions, as
    ``wait=spin:20``, mostly empty."""

    manager: str
    workload: str
    child: str
    conditions: str

    @property
    def asked(self) -> Asked:
        """The question alone, whatever has answered it."""
        return Asked(
            manager=self.manager,
            workload=self.workload,
            child=self.child,
            conditions=self.conditions,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Asked):
    """One manager beside sync, for one workload and one kind of child.

    ``leads`` has every N at which both have a round in common, ascending; it is empty
    where there is none, and then ``amounts`` is, too. ``start``: from which N on the manager is
    faster; None where fewer than two N are known. ``amounts``: in the order of `AMOUNTS`, at the
    greatest N; None where a result lacks the measure.
    """

    leads: tuple[Lead, ...]
    start: Crossover | None
    amounts: tuple[Amount | None, ...]

    @property
    def clients(self) -> int | None:
        """The N of ``amounts``."""
        return self.leads[-1].clients if self.leads else None

    @property
    def has_interval(self) -> bool:
        """Whether there are enough rounds for confidence intervals."""
        return any(lead.effect.low is not None for lead in self.leads)

    @property
    def faster_at(self) -> tuple[int, ...]:
        """Every N at which the manager is significantly faster than sync."""
        return self._at(1)

    @property
    def slower_at(self) -> tuple[int, ...]:
        return self._at(-1)

    @property
    def reach(self) -> Reach:
        """At which N the manager is faster than sync."""
        return reach(self.leads, self.start)

    @property
    def from_clients(self) -> int | None:
        """The N from which on the manager is faster, up to the greatest N; None where it is not."""
        start = self.reach.start
        return None if start is None else start.clients

    @property
    def faster_from(self) -> str:
        """As ``4 (2 to 8)``, ``every N``, ``8 only`` or ``no N`` (``findings.better_from``)."""
        return better_from(self.leads, self.start) if self.leads else "not comparable"

    def _at(self, wanted: int) -> tuple[int, ...]:
        return tuple(lead.clients for lead in self.leads if lead.side == wanted)

    def _span(self, clients: Sequence[int]) -> str:
        return span(clients, [lead.clients for lead in self.leads])

    @property
    def answer(self) -> str:
        """As ``async is faster than sync from N = 2 on (95 % CI: 2 to 4)``, or that there is no
        significant difference, with the MDE."""
        found, said = self.reach, []
        if found.start is not None:
            where = _every(found.start) if found.is_every else _from(found.start)
            said.append(f"faster than {BASE} {where}")
        elif found.only:
            said.append(f"faster than {BASE} at N = {only_at(found, self.leads)}")
        if self.slower_at:
            than = "" if said else f" than {BASE}"
            said.append(f"slower{than} at N = {self._span(self.slower_at)}")
        if not said:
            return self._no_difference()
        if self.has_interval:
            return f"{self.manager} is {' and '.join(said)}"
        return f"{self.manager} was {' and '.join(said)} ({_ONE_ROUND})"

    def _no_difference(self) -> str:
        at = self._span([lead.clients for lead in self.leads])
        between = f"difference between {BASE} and {self.manager} at N = {at}"
        if not self.has_interval:
            return f"there was no {between} ({_ONE_ROUND})"
        shares = (lead.effect.smallest_shown for lead in self.leads)
        known = sorted(share for share in shares if share is not None)
        low, high = units.percent(known[0]), units.percent(known[-1])
        detectable = low if low == high else f"{low} to {high}"
        return (
            f"there is no significant {between}; the smallest difference that this result could"
            f" detect (MDE) is {detectable} %"
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """All of it. Without any manager to compare, ``rows`` is empty and the sentences say why."""

    sentences: tuple[str, ...]
    rows: tuple[Row, ...]
    headings: tuple[str, ...]


def verdict_of(summary: Summary) -> Verdict:
    """The verdict of a summary's cases; at least one sentence for each kind of child."""
    by_child: dict[tuple[tuple[str, str | int], ...], list[Group]] = {}
    for group in summary.groups():
        by_child.setdefault(group.extra, []).append(group)
    rows: list[Row] = []
    sentences: list[str] = []
    for extra, groups in by_child.items():
        found = {group: tuple(rows_of(group)) for group in groups}
        rows += (row for of_group in found.values() for row in of_group)
        sentences += _sentences(found, conditions_text(dict(extra)))
    has_turns = any(row.turn_p99_s is not None for row in summary.rows)
    headings = HEADINGS if has_turns else _WITHOUT_TURNS
    return Verdict(tuple(sentences), tuple(rows), headings)


def compares(group: Group) -> bool:
    """Whether there is another manager to compare with sync."""
    known = _known(group)
    return BASE in known and any(map(is_rival, known))


def verdict_data(verdict: Verdict) -> dict[str, Any]:
    """The same as plain data for `show --json`."""
    return {
        "sentences": list(verdict.sentences),
        "rows": [row_data(row) for row in verdict.rows],
    }


def row_data(row: Row) -> dict[str, Any]:
    return {
        "manager": row.manager,
        "workload": row.workload,
        "child": row.child,
        "conditions": row.conditions,
        "clients": row.clients,
        "from_clients": row.from_clients,
        "faster_from": row.faster_from,
        "faster_at": list(row.faster_at),
        "slower_at": list(row.slower_at),
        "amounts": amounts_data(row.amounts),
    }


def amounts_data(amounts: Sequence[Amount | None]) -> dict[str, Any]:
    """By field of a row; empty where nothing could be compared."""
    return {
        measure.field: None
        if amount is None
        else {
            "ratio": amount.effect.ratio,
            "low": amount.effect.low,
            "high": amount.effect.high,
            "mark": amount.mark.name.lower(),
        }
        for measure, amount in zip(AMOUNTS, amounts, strict=False)
    }


def rows_of(group: Group) -> Iterator[Row]:
    """The rows of a group; none where there is no manager to compare with sync."""
    if not compares(group):
        return
    case = group.rows[0].case
    child = case.cost if case.cost != "none" else "free"
    if case.child != "c":
        child = case.child if case.cost == "none" else f"{case.child}, {case.cost}"
    further = [f"{key}={value}" for key, value in group.extra if key not in ("child", "cost")]
    for manager in filter(is_rival, _known(group)):
        found = tuple(leads(group, manager, Measure.THROUGHPUT.field))
        yield Row(
            manager=manager,
            workload=group.workload,
            child=child,
            conditions=", ".join(further),
            leads=found,
            start=crossover(group, manager, BASE, Measure.THROUGHPUT.field) if found else None,
            amounts=amounts_at(group, manager, found[-1].clients) if found else (),
        )


def amounts_at(group: Group, manager: str, clients: int) -> tuple[Amount | None, ...]:
    """`AMOUNTS` of a manager at an N; None where a result lacks the measure."""
    own, base = group.row(manager, clients), group.row(BASE, clients)
    effects = ((measure, ratio(measure.of(own), measure.of(base))) for measure in AMOUNTS)
    return tuple(None if effect is None else Amount(of, effect) for of, effect in effects)


def _sentences(found: Mapping[Group, Sequence[Row]], conditions: str) -> Iterator[str]:
    """The answer for one kind of child, and why a workload has none."""
    workloads: dict[str, list[str]] = {}
    for group, rows in found.items():
        comparable = [row for row in rows if row.leads]
        if comparable:
            workloads.setdefault(_chosen(comparable).answer, []).append(group.workload)
        elif rows:
            about = f"{conditions} and {group.workload} requests"
            names = listed([row.manager for row in rows])
            yield f"{names} and {BASE} have no N and round in common with {about}."
        else:
            yield _why_not(group, conditions)
    about = f" with {conditions}"
    clauses = []
    for text, of_text in workloads.items():
        clauses.append(f"{listed(of_text)} requests{about}, {text}")
        about = ""
    if clauses:
        yield f"For {'; for '.join(clauses)}."


def _chosen(rows: Sequence[Row]) -> Row:
    """The row, of at least one, that the sentence is about."""

    def rank(row: Row) -> tuple[bool, int, float]:
        last = row.leads[-1]
        return row.manager == CHALLENGER, last.clients, last.effect.ratio

    return max(rows, key=rank)


def _why_not(group: Group, conditions: str) -> str:
    """Why a group has no manager to compare with sync."""
    about = f"with {conditions} and {group.workload} requests"
    known = _known(group)
    rivals = list(filter(is_rival, known))
    if not known:
        return f"No manager has a result {about}."
    if rivals:
        return f"There is no result of {BASE} {about} to compare {listed(rivals)} with."
    if BASE in known:
        return f"There is no result of another manager {about} to compare {BASE} with."
    return f"Only yardsticks have a result {about}: there is nothing to compare."


def conditions_text(extra: dict[str, str | int]) -> str:
    """How heavy the child is, then the further dimensions, as ``a free child, wait=spin:20``."""
    said = []
    if (cost := extra.pop("cost", None)) is not None:
        heavy = f"as heavy as real redo ({cost})" if cost == "pg14" else f"that burns {cost}"
        said.append(f"a child {heavy}")
    elif "child" not in extra:
        said.append("a free child")
    return ", ".join((*said, *(f"{key}={value}" for key, value in extra.items())))


def _known(group: Group) -> tuple[str, ...]:
    """The managers of which something is known."""
    return tuple(
        manager
        for manager in group.managers
        if any(
            row.case.manager == manager and row.throughput_per_s is not None for row in group.rows
        )
    )


def _every(start: Crossover) -> str:
    """As ``at every N from 1 to 16``."""
    return f"at every N from {start.measured[0]} to {start.measured[-1]}"


def _from(start: Crossover) -> str:
    """As ``from N = 2 on (95 % CI: 2 to 4)``."""
    interval = f" (95 % CI: {bounds(start)})" if start.known else ""
    return f"from N = {start.clients} on{interval}"


def listed(names: Iterable[str]) -> str:
    """As ``short``, ``short and medium``."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
