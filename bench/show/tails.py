"""What `show --tails` prints of high percentiles, and the same as plain data.

The numbers are those of ``tails``; this module only lays them out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.cases.case import Case
from bench.cases.managers.registry import is_rival
from bench.cases.names import BASE, CHALLENGER
from bench.results.histogram import Distributions
from bench.results.summary import CaseRow, Group, Summary
from bench.show import columns, fields, units
from bench.show.columns import Column
from bench.statistics.bounded import Bounded
from bench.statistics.effects import side
from bench.statistics.tails import (
    LEAST_BEYOND,
    ONE_IN,
    TAIL_FROM,
    TailRatio,
    Tails,
    percent,
    percentile_name,
    tail_ratios,
    tails,
)

_POOLED: Final = "*"


def print_tails(summary: Summary, distributions: Distributions, console: Console) -> None:
    """The verdict, for each group the percentiles and their ratios to sync, and how to read
    them."""
    of_case = {case: tails(runs) for case, runs in distributions.items()}
    console.print()
    console.print(Text(verdict(summary, of_case)))
    for group in summary.groups():
        rows = [row for row in group.rows if row.case in of_case]
        if rows:
            console.print()
            console.print(_table(group.title, rows, of_case), crop=False)
        if ratios := list(_ratio_rows(group, of_case)):
            console.print()
            console.print(_ratios_table(group.title, ratios), crop=False)
    console.print()
    console.print(Text(_LEGEND, style="dim"))


def tails_data(summary: Summary, distributions: Distributions) -> list[dict[str, Any]]:
    """Per case the percentiles, in seconds, with how many samples lie beyond each; and the ratios
    of a manager's to those of sync. Null where the samples carry nothing."""
    of_case = {case: tails(runs) for case, runs in distributions.items()}
    return [
        {
            "name": row.case.name,
            "samples": of_case[row.case].samples,
            "runs": of_case[row.case].runs,
            "percentiles": [
                {
                    "percentile": percent(one.one_in),
                    "beyond": one.beyond,
                    "by_run": None if one.by_run is None else asdict(one.by_run),
                    "pooled": one.pooled_s,
                }
                for one in of_case[row.case].percentiles
            ],
            "to_sync": [
                {
                    "percentile": percent(one.one_in),
                    "ratio": one.value,
                    "low": one.low,
                    "high": one.high,
                    "pooled": one.is_pooled,
                }
                for one in ratios_to_sync(group, row.case, of_case)
            ],
        }
        for group in summary.groups()
        for row in group.rows
        if row.case in of_case
    ]


def ratios_to_sync(
    group: Group, case: Case, of_case: Mapping[Case, Tails]
) -> tuple[TailRatio, ...]:
    """Of a manager's percentiles to those of sync at the same N; empty for others."""
    base = group.row(BASE, case.clients)
    if not is_rival(case.manager) or base is None or not {case, base.case} <= of_case.keys():
        return ()
    return tail_ratios(of_case[case], of_case[base.case])


def verdict(summary: Summary, of_case: Mapping[Case, Tails]) -> str:
    """One sentence: how long async takes in its tail beside sync, where the rounds can tell.

    Pooled ratios have no interval and so no part in it.
    """
    found = [
        (one, f"{percentile_name(one.one_in)}, {group.title} at N = {row.case.clients}")
        for group in summary.groups()
        for row in group.rows
        if row.case.manager == CHALLENGER and row.case in of_case
        for one in ratios_to_sync(group, row.case, of_case)
        if one.one_in >= TAIL_FROM and not one.is_pooled
    ]
    values = [(one.value, where) for one, where in found if one.value is not None]
    if not values:
        return f"No case has a tail of {CHALLENGER} to lay beside one of {BASE}."
    (least, least_at), (most, most_at) = min(values), max(values)
    sides = [
        side(Bounded(one.value, one.low, one.high))
        for one, _ in found
        if one.value is not None and one.low is not None
    ]
    longer, shorter = sides.count(1), sides.count(-1)
    return (
        f"At {percentile_name(TAIL_FROM)} and beyond {CHALLENGER} takes {units.factor(least)}"
        f" ({least_at}) to {units.factor(most)} ({most_at}) as long as {BASE}; of"
        f" {len(values)} percentiles {longer} are longer and {shorter} shorter beyond chance."
    )


def _table(title: str, rows: Sequence[CaseRow], of_case: Mapping[Case, Tails]) -> Table:
    def latency(at: int) -> Callable[[Sequence[CaseRow]], Column]:
        def column(rows: Sequence[CaseRow]) -> Column:
            of_rows = [of_case[row.case].percentiles[at] for row in rows]
            return _starred(
                columns.seconds([one.value_s for one in of_rows]),
                [one.value_s is not None and one.is_pooled for one in of_rows],
            )

        return column

    shown: list[fields.Field[CaseRow]] = [
        fields.clients(lambda row: row.case.clients),
        fields.words("manager", lambda row: row.case.manager),
        fields.numbers("samples", lambda row: of_case[row.case].samples, columns.rates),
        *(fields.column(percentile_name(one_in), latency(at)) for at, one_in in enumerate(ONE_IN)),
    ]
    return fields.field_table(rows, shown, title, gap=1)


@dataclass(frozen=True, slots=True)
class _RatioRow:
    """A line of ratios: of one manager at one N the values, or one of the interval's bounds."""

    clients: int
    manager: str
    what: str
    values: tuple[float | None, ...]
    pooled: tuple[bool, ...]


def _ratio_rows(group: Group, of_case: Mapping[Case, Tails]) -> Iterator[_RatioRow]:
    for row in group.rows:
        found = ratios_to_sync(group, row.case, of_case)
        if not found:
            continue
        of = row.case.clients, row.case.manager
        pooled = tuple(one.value is not None and one.is_pooled for one in found)
        bounds = (False,) * len(found)
        yield _RatioRow(*of, f"/{BASE}", tuple(one.value for one in found), pooled)
        yield _RatioRow(*of, "from", tuple(one.low for one in found), bounds)
        yield _RatioRow(*of, "to", tuple(one.high for one in found), bounds)


def _ratios_table(title: str, rows: Sequence[_RatioRow]) -> Table:
    def ratio(at: int) -> Callable[[Sequence[_RatioRow]], Column]:
        return lambda rows: _starred(
            columns.factors([row.values[at] for row in rows]), [row.pooled[at] for row in rows]
        )

    shown: list[fields.Field[_RatioRow]] = [
        fields.clients(lambda row: row.clients),
        fields.words("manager", lambda row: row.manager, is_group=True),
        fields.words("", lambda row: row.what),
        *(fields.column(percentile_name(one_in), ratio(at)) for at, one_in in enumerate(ONE_IN)),
    ]
    return fields.field_table(rows, shown, f"{title}: to {BASE}, with 95 % intervals")


def _starred(column: Column, stars: Sequence[bool]) -> Column:
    """With room for a star behind each number, if one has it."""
    if not any(stars):
        return column
    marked = zip(column.texts, stars, strict=True)
    return Column(column.unit, tuple(text + (_POOLED if star else " ") for text, star in marked))


_LEGEND: Final = (
    "Latency, by nearest rank. Medians over the runs of each run's percentile; *: of all runs"
    " pooled, where a run has too few samples. -: fewer than"
    f" {LEAST_BEYOND} samples lie beyond it, so it is not known. samples: of all runs. /{BASE}: the"
    f" ratio to {BASE} at the same N, the geometric mean over the rounds; from, to: its 95 %"
    " interval. A closed loop's tail: what waits sends nothing meanwhile, so it counts once"
    " (docs/measures.md)."
)
