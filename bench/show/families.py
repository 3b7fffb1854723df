"""What views of several dimensions have in common: cases side by side that differ in more than
their manager and N, and the cells of their tables.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from bench.cases.case import DEFAULTS, Case
from bench.results.summary import CaseRow, Estimate, Summary, manager_order
from bench.show import units
from bench.show.columns import ABSENT
from bench.statistics.effects import Effect


@dataclass(frozen=True, slots=True)
class Family:
    """Rows that are alike but for manager, N and the dimensions that a view is about.

    In ascending order of N, then of the manager, then of those dimensions.
    """

    title: str
    rows: tuple[CaseRow, ...]

    @property
    def clients(self) -> tuple[int, ...]:
        """Every N, ascending."""
        return tuple(dict.fromkeys(row.case.clients for row in self.rows))

    def of(self, **wanted: str | int) -> list[CaseRow]:
        """The rows whose cases have these values, by ascending N."""
        return [
            row
            for row in self.rows
            if all(getattr(row.case, name) == value for name, value in wanted.items())
        ]


@dataclass(frozen=True, slots=True)
class Line:
    """The rows of one manager with one value of each of the view's dimensions, by ascending N."""

    rows: tuple[CaseRow, ...]

    @property
    def case(self) -> Case:
        """What they have in common, at the least N."""
        return self.rows[0].case

    def row(self, clients: int) -> CaseRow | None:
        """That of N clients, if it was measured."""
        return next((row for row in self.rows if row.case.clients == clients), None)


def lines(family: Family) -> list[Line]:
    """Of all managers in their order, each by the view's dimensions in theirs."""
    found: dict[Case, list[CaseRow]] = {}
    for row in family.rows:
        found.setdefault(replace(row.case, clients=1), []).append(row)
    return [Line(tuple(rows)) for _, rows in sorted(found.items(), key=lambda one: _order(one[0]))]


def _order(case: Case) -> tuple[tuple[int, str], list[tuple[bool, bool, int, str]]]:
    """By manager, then by each dimension: its default first, then words, then numbers."""
    values = [(name, str(getattr(case, name))) for name in DEFAULTS]
    return manager_order(case.manager), [
        (text != str(DEFAULTS[name]), text.isdecimal(), int(text) if text.isdecimal() else 0, text)
        for name, text in values
    ]


def named(case: Case) -> str:
    """Manager and further dimensions, as ``sync, executor=4``."""
    return ", ".join((case.manager, *(f"{key}={value}" for key, value in case.extra.items())))


def kin(
    cases: Collection[Case], dimensions: Collection[str], concerns: Callable[[Case], bool]
) -> frozenset[Case]:
    """The cases that a view concerns, and all that are alike but for manager, N and dimensions."""
    wanted = {_common(case, dimensions) for case in cases if concerns(case)}
    return frozenset(case for case in cases if _common(case, dimensions) in wanted)


def families(
    summary: Summary, dimensions: Collection[str], covered: Collection[Case]
) -> Iterator[Family]:
    """The covered rows of which anything is known, family by family."""
    found: dict[Case, list[CaseRow]] = {}
    for row in summary.rows:
        if row.case in covered and row.throughput_per_s is not None:
            found.setdefault(_common(row.case, dimensions), []).append(row)

    for common, rows in sorted(found.items()):
        title = ", ".join((common.workload, *(f"{k}={v}" for k, v in common.extra.items())))
        ordered = sorted(rows, key=lambda row: (row.case.clients, _order(row.case)))
        yield Family(title, tuple(ordered))


def _common(case: Case, dimensions: Collection[str]) -> Case:
    defaults = {name: DEFAULTS[name] for name in dimensions}
    return replace(case, manager="any", clients=1, **defaults)  # type: ignore[arg-type]


def interval(effect: Effect | None) -> str:
    """As ``0.81x (0.78-0.84)``, with ``?`` where one round shows no interval."""
    if effect is None:
        return ABSENT
    if effect.low is None or effect.high is None:
        return f"{units.factor(effect.ratio)} (?)"
    low, high = (units.factor(bound).removesuffix("x") for bound in (effect.low, effect.high))
    return f"{units.factor(effect.ratio)} ({low}-{high})"


def median(estimate: Estimate | None) -> float | None:
    """For plain data."""
    return None if estimate is None else estimate.median


def effect_data(effect: Effect | None) -> dict[str, float | None] | None:
    """A ratio and its interval as plain data."""
    if effect is None:
        return None
    return {"ratio": effect.ratio, "low": effect.low, "high": effect.high}
