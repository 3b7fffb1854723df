"""Every case beside one that differs from it in a single dimension: ``show --against``.

``peer:async`` or ``floor``: beside that manager; ``wait=park`` or ``python=this``: beside the same
case with that value; ``clients=1``: how a measure grows with N. Ratios are geometric means over the
rounds that both have, with their 95 % intervals (``rounds.ratio``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench import fields
from bench.cases import DEFAULTS, Case
from bench.effects import Effect
from bench.errors import BenchError
from bench.layout import print_whole
from bench.names import unknown
from bench.rounds import ratio
from bench.stats import HEADINGS, CaseRow, Summary, manager_order, measure_of
from bench.view_parts import effect_data, named

_MANAGER: Final = "manager"
_CLIENTS: Final = "clients"
_SHORT: Final = {"n": _CLIENTS}
"""As in the names of cases."""

_INVERSE: Final = "time_per_redo_s"
"""Says of a closed loop what throughput does, and no table has room for both."""

_WIDTH: Final = 100


@dataclass(frozen=True, slots=True)
class Against:
    """What cases are laid beside: those that have ``value`` in ``dimension``."""

    dimension: str
    value: str | int

    @classmethod
    def parse(cls, text: str) -> Against:
        """``MANAGER`` or ``DIMENSION=VALUE``. Raises BenchError."""
        name, equals, value = text.partition("=")
        name = _SHORT.get(name, name)
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
    """A case and what it is laid beside."""

    row: CaseRow
    base: CaseRow

    def ratio(self, measure: str) -> Effect | None:
        """Of this field of both rows."""
        return ratio(measure_of(self.row, measure), measure_of(self.base, measure))


def pairs(summary: Summary, against: Against, whole: Summary | None = None) -> list[Pair]:
    """Each case of the summary that has such a one in ``whole`` (the summary itself unless given).
    Raises BenchError where no case has."""
    rows = (whole or summary).rows
    bases = [row for row in rows if against.has(row.case)]
    if not bases:
        values = map(str, sorted({getattr(row.case, against.dimension) for row in rows}))
        raise BenchError(
            f"--against {against}: {summary.source} has no such case; {against.dimension} there is"
            f" {', '.join(values) or 'nothing'}"
        )
    found = [
        Pair(row, base)
        for row in summary.rows
        if not against.has(row.case) and (base := _base(row.case, bases, against))
    ]
    if not any(pair.ratio("throughput_per_s") for pair in found):
        raise BenchError(f"--against {against}: no other case has a round in common with one of it")
    return sorted(found, key=_order)


def print_against(
    summary: Summary, found: Sequence[Pair], against: Against, console: Console
) -> None:
    """Prints a table per workload."""
    for workload in dict.fromkeys(group.workload for group in summary.groups()):
        of_workload = [pair for pair in found if pair.row.case.workload == workload]
        if of_workload:
            console.print()
            title = f"{workload}, to {against} (95 %)"
            print_whole(_table(title, of_workload), _WIDTH, console)
    console.print()
    console.print(Text(_HOW_TO_READ.format(against=against), style="dim"))


def against_data(found: Sequence[Pair]) -> list[dict[str, Any]]:
    """The same as plain data: of each case and its base the ratios of these measures."""
    return [
        {
            "name": pair.row.case.name,
            "base": pair.base.case.name,
            **{measure: effect_data(pair.ratio(measure)) for measure in HEADINGS},
        }
        for pair in found
    ]


def _base(case: Case, bases: Iterable[CaseRow], against: Against) -> CaseRow | None:
    """The same with that value; or, where that knows nothing of a further dimension (a peer waits
    as it likes), the one with that dimension's default."""
    wanted = replace(case, **{against.dimension: against.value})  # type: ignore[arg-type]
    rows = [row for row in bases if _is_alike(row.case, wanted)]
    return max(rows, key=lambda row: len(row.case.extra), default=None)


def _is_alike(base: Case, wanted: Case) -> bool:
    same = (base.manager, base.workload, base.clients)
    if same != (wanted.manager, wanted.workload, wanted.clients):
        return False
    return base.extra.items() <= wanted.extra.items()


def _order(pair: Pair) -> tuple[int, tuple[int, str], str]:
    case = pair.row.case
    return case.clients, manager_order(case.manager), named(case)


def _table(title: str, rows: Sequence[Pair]) -> Table:
    shown: list[fields.Field[Pair]] = [
        fields.clients(lambda pair: pair.row.case.clients),
        fields.words("case", lambda pair: named(pair.row.case)),
        *(
            fields.ratio_interval(heading, partial(Pair.ratio, measure=measure))
            for measure, heading in HEADINGS.items()
            if measure != _INVERSE
        ),
    ]
    return fields.field_table(rows, shown, title, gap=1)


_HOW_TO_READ: Final = (
    "Each value divided by that of {against}: the geometric mean over the rounds that both have,"
    " with its 95 % interval. Of redo/s more is better, of all others less."
)
