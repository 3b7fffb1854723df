"""Cases that belong side by side: which are alike but for some dimensions, and how they compare.

A dimension is a field of a case.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final

from bench.cases.case import DEFAULTS, Case
from bench.results.summary import CaseRow, Estimate, Summary, manager_order
from bench.show import units
from bench.show.columns import ABSENT
from bench.statistics.effects import Effect
from bench.statistics.rounds import ratio

_NEUTRAL: Final = {"manager": "any", "workload": "any", "clients": 1, **DEFAULTS}


def at_default(case: Case, *dimensions: str) -> Case:
    """The case with these dimensions at their defaults; manager, workload and N, which have none,
    at one value for all."""
    return replace(case, **{name: _NEUTRAL[name] for name in dimensions})  # type: ignore[arg-type]


def alike(rows: Iterable[CaseRow], *but_for: str) -> dict[Case, list[CaseRow]]:
    """The rows by what they have in common but for these dimensions, in the order of the rows."""
    found: dict[Case, list[CaseRow]] = {}
    for row in rows:
        found.setdefault(at_default(row.case, *but_for), []).append(row)
    return found


def differing(cases: Iterable[Case], dimension: str) -> frozenset[Case]:
    """The cases in which the dimension is not at its default."""
    return frozenset(case for case in cases if getattr(case, dimension) != DEFAULTS[dimension])


def with_default(cases: Collection[Case], dimension: str) -> frozenset[Case]:
    """`differing`, and of the cases those that are the same with the default."""
    found = differing(cases, dimension)
    return found | ({at_default(case, dimension) for case in found} & set(cases))


def kin(
    cases: Collection[Case], dimensions: Collection[str], concerns: Callable[[Case], bool]
) -> frozenset[Case]:
    """The cases that a view concerns, and all that are alike but for manager, N and dimensions."""
    varied = ("manager", "clients", *dimensions)
    wanted = {at_default(case, *varied) for case in cases if concerns(case)}
    return frozenset(case for case in cases if at_default(case, *varied) in wanted)


@dataclass(frozen=True, slots=True)
class Family:
    """Rows that are alike but for manager, N and the dimensions that a view is about.

    In ascending order of N, then of the manager, then of those dimensions.
    """

    title: str
    rows: tuple[CaseRow, ...]

    @property
    def clients(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(row.case.clients for row in self.rows))

    @property
    def at_most_clients(self) -> list[CaseRow]:
        return self.of(clients=self.clients[-1])

    def of(self, **wanted: str | int) -> list[CaseRow]:
        """The rows whose cases have these values, by ascending N."""
        return [
            row
            for row in self.rows
            if all(getattr(row.case, name) == value for name, value in wanted.items())
        ]

    def first(self, **wanted: str | int) -> CaseRow | None:
        return next(iter(self.of(**wanted)), None)


@dataclass(frozen=True, slots=True)
class Line:
    """The rows of one manager with one value of each of the view's dimensions, by ascending N."""

    rows: tuple[CaseRow, ...]

    @property
    def case(self) -> Case:
        """What they have in common, at the smallest N."""
        return self.rows[0].case

    def row(self, clients: int) -> CaseRow | None:
        return next((row for row in self.rows if row.case.clients == clients), None)


@dataclass(frozen=True, slots=True)
class Panel:
    """One measure of one family in a figure. ``show`` formats a tick; without it the measure is a
    share from 0 to 1 on a linear axis. ``shaded``: a range of N to point out."""

    family: Family
    measure_of: Callable[[CaseRow], Estimate | Effect | None]
    label: str
    title: str
    show: Callable[[float, int | None], str] | None = None
    shaded: tuple[float, float] | None = None


def families(
    summary: Summary, dimensions: Collection[str], covered: Collection[Case]
) -> list[Family]:
    """The covered rows that have a throughput, family by family."""
    rows = [row for row in summary.rows if row.case in covered and row.throughput_per_s is not None]
    return [
        Family(title(common), tuple(sorted(members, key=_row_order)))
        for common, members in sorted(alike(rows, "manager", "clients", *dimensions).items())
    ]


def lines(family: Family) -> list[Line]:
    """The lines of all managers in their order, each by the view's dimensions in theirs."""
    found = alike(family.rows, "clients")
    return [Line(tuple(found[case])) for case in sorted(found, key=_order)]


def _row_order(row: CaseRow) -> tuple[int, object]:
    return row.case.clients, _order(row.case)


def _order(case: Case) -> tuple[tuple[int, str], list[tuple[bool, bool, int, str]]]:
    """By manager, then by each dimension: its default first, then words, then numbers."""
    return manager_order(case.manager), [
        (text != str(default), text.isdecimal(), int(text) if text.isdecimal() else 0, text)
        for name, default in DEFAULTS.items()
        for text in [str(getattr(case, name))]
    ]


def title(case: Case) -> str:
    """Workload and further dimensions, as ``short, child=python``."""
    return ", ".join((case.workload, *(f"{key}={value}" for key, value in case.extra.items())))


def named(case: Case) -> str:
    """Manager and further dimensions, as ``sync, executor=4``."""
    return ", ".join((case.manager, *(f"{key}={value}" for key, value in case.extra.items())))


def further(key: str) -> Callable[[CaseRow], Estimate | None]:
    """The measure of an experiment by its key, as a function of a row."""
    return lambda row: row.further.get(key)


def to_base(
    row: CaseRow, base: CaseRow | None, measure_of: Callable[[CaseRow], Estimate | None]
) -> Effect | None:
    """The ratio of a row's measure to that of the base, round by round. None for the base itself,
    without one, and where a side is not known."""
    if base is None or base is row:
        return None
    return ratio(measure_of(row), measure_of(base))


def interval(effect: Effect | None) -> str:
    """As ``0.81x (0.78-0.84)``, with ``?`` where one round shows no interval."""
    if effect is None:
        return ABSENT
    return units.bounded(effect, units.factor, lambda bound: units.factor(bound).removesuffix("x"))
