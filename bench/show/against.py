"""Every case beside one that differs from it in a single dimension: ``show --against``.

``peer:async`` or ``floor``: beside that manager; ``wait=park`` or ``transport=pipe``: beside the
same case with that value; ``clients=1``: how a measure grows with N. Ratios are geometric means
over the rounds that both have, with their 95 % intervals (``rounds.ratio``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.cases.case import DEFAULTS, Case, shared_extra, without
from bench.cases.names import unknown
from bench.errors import BenchError
from bench.results.summary import CaseRow, Summary, manager_order, measure_of
from bench.show import fields
from bench.show.families import named
from bench.show.findings import HEADINGS
from bench.show.layout import broken
from bench.statistics.effects import Effect
from bench.statistics.rounds import ratio

_MANAGER: Final = "manager"
_CLIENTS: Final = "clients"


@dataclass(frozen=True, slots=True)
class Against:
    """What cases are compared with: those that have ``value`` in ``dimension``."""

    dimension: str
    value: str | int

    @classmethod
    def parse(cls, text: str) -> Against:
        """``MANAGER`` or ``DIMENSION=VALUE``. Raises BenchError."""
        name, equals, value = text.partition("=")
        name = _CLIENTS if name == "n" else name  # as in the names of cases
        if not equals:
            return cls(_MANAGER, text)
        known = [item.name for item in dataclasses.fields(Case)]
        if name not in known:
            raise BenchError(f"--against {text}: {unknown('dimension', name, known)}")
        if name != _CLIENTS and not isinstance(DEFAULTS.get(name), int):
            return cls(name, value)
        if not value.isdecimal():
            raise BenchError(f"--against {text}: {name} is a whole number")
        return cls(name, int(value))

    def __str__(self) -> str:
        return str(self.value) if self.dimension == _MANAGER else f"{self.dimension}={self.value}"

    def has(self, case: Case) -> bool:
        return bool(getattr(case, self.dimension) == self.value)


@dataclass(frozen=True, slots=True)
class Pair:
    """A case and what it is compared with."""

    row: CaseRow
    base: CaseRow

    def ratio(self, measure: str) -> Effect | None:
        """Of this field of both rows."""
        return ratio(measure_of(self.row, measure), measure_of(self.base, measure))


def pairs(summary: Summary, against: Against, pattern: str = "*") -> list[Pair]:
    """Each case whose name matches and that has such a one. Raises BenchError where no case has."""
    bases = [row for row in summary.rows if against.has(row.case)]
    if not bases:
        values = map(str, sorted({getattr(row.case, against.dimension) for row in summary.rows}))
        raise BenchError(
            f"--against {against}: {summary.source} has no such case; {against.dimension} there is"
            f" {', '.join(values) or 'nothing'}"
        )
    chosen = [row for row in summary.rows if fnmatchcase(row.case.name, pattern)]
    if not chosen:
        raise BenchError(
            f"--case {pattern!r}: none of the {len(summary.rows)} cases of {summary.source} is"
            f" called so; one is {summary.rows[0].case.name}"
        )
    found = [
        Pair(row, base)
        for row in chosen
        if not against.has(row.case) and (base := _base(row.case, bases, against))
    ]
    if not any(pair.ratio("throughput_per_s") for pair in found):
        raise BenchError(
            f"--against {against}: none of {len(chosen)} cases has a counterpart that differs in"
            f" {against.dimension} only and has a round in common with it"
        )

    def order(pair: Pair) -> tuple[int, tuple[int, str], str]:
        case = pair.row.case
        return case.clients, manager_order(case.manager), named(case)

    return sorted(found, key=order)


def print_against(
    summary: Summary, found: Sequence[Pair], against: Against, console: Console
) -> None:
    for workload in dict.fromkeys(group.workload for group in summary.groups()):
        of_workload = [pair for pair in found if pair.row.case.workload == workload]
        if of_workload:
            console.print()
            console.print(_table(workload, against, of_workload), crop=False)
    console.print()
    how_to_read = (
        f"Each value divided by that of {against}: the geometric mean over the rounds that both"
        " have, with its 95 % CI. Of redo/s more is better, of all others less."
    )
    console.print(Text(how_to_read, style="dim"))


def against_data(found: Sequence[Pair]) -> list[dict[str, Any]]:
    """The same as plain data: of each case and its base the ratios of these measures."""
    return [
        {
            "name": pair.row.case.name,
            "base": pair.base.case.name,
            **{measure: fields.effect_data(pair.ratio(measure)) for measure in HEADINGS},
        }
        for pair in found
    ]


def _base(case: Case, bases: Sequence[CaseRow], against: Against) -> CaseRow | None:
    """The case that differs in that dimension only. A manager that takes no notice of what others
    have in these dimensions, as a peer, stands beside all of those."""
    changes: dict[str, Any] = {against.dimension: against.value}
    if against.dimension == _MANAGER:
        # Transport first: the floor spins over shared memory only.
        for name in ("transport", "wait", "executor", "caller", "python", "build"):
            if all(getattr(row.case, name) == DEFAULTS[name] for row in bases):
                changes[name] = DEFAULTS[name]
            value = changes.get(name, getattr(case, name))
            bases = [row for row in bases if getattr(row.case, name) == value]
    wanted = replace(case, **changes)
    return next((row for row in bases if row.case == wanted), None)


def _table(workload: str, against: Against, rows: Sequence[Pair]) -> Table:
    """What all cases share stands in the title; names that leave too little room are broken."""
    shared = shared_extra([pair.row.case for pair in rows])
    title = ", ".join((workload, *(f"{key}={value}" for key, value in shared.items())))
    clients: fields.Field[Pair] = fields.clients(lambda pair: pair.row.case.clients)
    ratios = [
        fields.ratio_interval(heading, partial(Pair.ratio, measure=measure))
        for measure, heading in HEADINGS.items()
        # Of a closed loop it says what throughput does, and no table has room for both.
        if measure != "time_per_redo_s"
    ]
    room = fields.room_beside(rows, [clients, *ratios], gap=1)
    name: fields.Field[Pair] = fields.words(
        "case", lambda pair: broken(named(without(pair.row.case, shared)), room, ", ")
    )
    shown = [clients, name, *ratios]
    return fields.field_table(rows, shown, f"{title}: ratio to {against} (95 % CI)", gap=1)
