"""What `show --tails` prints of high percentiles, and the same as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
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
from bench.show.columns import ABSENT, Column
from bench.show.layout import WIDTH
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

_NAMES: Final = tuple(enumerate(map(percentile_name, ONE_IN)))


def print_tails(
    summary: Summary, distributions: Distributions, console: Console, *, legend: bool = False
) -> None:
    """Prints `tails_shown`. ``legend``: explains every column."""
    *shown, explained = tails_shown(summary, distributions)
    for part in (*shown, explained if legend else Text(_HINT, style="dim")):
        console.print()
        console.print(part, crop=False, highlight=False)


def tails_shown(summary: Summary, distributions: Distributions) -> Iterator[Table | Text]:
    """The verdict, the percentiles of each group and their ratios to sync, how to read them."""
    of_case = {case: tails(runs) for case, runs in distributions.items()}
    yield Text(_verdict(summary, of_case))
    for group in summary.groups():
        rows = [row for row in group.rows if row.case in of_case]
        if rows:
            yield _table(group.title, rows, of_case)
        if ratios := list(_ratio_rows(group, of_case)):
            yield _ratios_table(group.title, ratios)
    yield Text(_LEGEND, style="dim")


def tails_data(summary: Summary, distributions: Distributions) -> list[dict[str, Any]]:
    """Per case the percentiles, in seconds, with how many samples lie beyond each; and the ratios
    of a manager's to those of sync. Null where there are too few samples."""
    of_case = {case: tails(runs) for case, runs in distributions.items()}
    return [
        {
            "name": row.case.name,
            "samples": of_case[row.case].samples,
            "runs": of_case[row.case].runs,
            "percentiles": [
                {
                    "percentile": percent(tail.one_in),
                    "beyond": tail.beyond,
                    "by_run": None if tail.by_run is None else asdict(tail.by_run),
                    "pooled": tail.pooled_s,
                }
                for tail in of_case[row.case].percentiles
            ],
            "to_sync": [
                {
                    "percentile": percent(found.one_in),
                    "ratio": found.value,
                    "low": found.low,
                    "high": found.high,
                    "pooled": found.is_pooled,
                }
                for found in _ratios_to_sync(group, row.case, of_case)
            ],
        }
        for group, row in _rows(summary, of_case)
    ]


def _rows(summary: Summary, of_case: Mapping[Case, Tails]) -> Iterator[tuple[Group, CaseRow]]:
    for group in summary.groups():
        yield from ((group, row) for row in group.rows if row.case in of_case)


def _ratios_to_sync(
    group: Group, case: Case, of_case: Mapping[Case, Tails]
) -> tuple[TailRatio, ...]:
    """Of a manager's percentiles to those of sync at the same N; empty for others."""
    base = group.row(BASE, case.clients)
    if not is_rival(case.manager) or base is None or not {case, base.case} <= of_case.keys():
        return ()
    return tail_ratios(of_case[case], of_case[base.case])


def _verdict(summary: Summary, of_case: Mapping[Case, Tails]) -> str:
    """One sentence: the ratio of async to sync in the tail, and where it is significant.

    Pooled ratios have no interval and so no part in it.
    """
    values: list[tuple[float, str]] = []
    sides: list[int] = []
    for group, row in _rows(summary, of_case):
        if row.case.manager != CHALLENGER:
            continue
        for found in _ratios_to_sync(group, row.case, of_case):
            if found.one_in < TAIL_FROM or found.is_pooled or found.value is None:
                continue
            name = percentile_name(found.one_in)
            values.append((found.value, f"{name}, {group.title} at N = {row.case.clients}"))
            if found.low is not None:
                sides.append(side(Bounded(found.value, found.low, found.high)))
    if not values:
        return f"No case has a tail of {CHALLENGER} and of {BASE} to compare."
    (low, low_at), (high, high_at) = min(values), max(values)
    return (
        f"At {percentile_name(TAIL_FROM)} and above, the latency of {CHALLENGER} is"
        f" {units.factor(low)} ({low_at}) to {units.factor(high)} ({high_at}) that of {BASE}; of"
        f" {units.counted(len(values), 'percentile')}, {sides.count(1)}"
        f" {'is' if sides.count(1) == 1 else 'are'} significantly longer and {sides.count(-1)}"
        " significantly shorter (95 % CI)."
    )


def _table(title: str, rows: Sequence[CaseRow], of_case: Mapping[Case, Tails]) -> Table:
    """All in the unit of the p50. Where that would be wider than `WIDTH`, each in its own."""

    def latency(rows: Sequence[CaseRow], at: int, beside: columns.Values) -> Column:
        found = [of_case[row.case].percentiles[at] for row in rows]
        stars = [tail.value_s is not None and tail.is_pooled for tail in found]
        return _starred(columns.seconds([tail.value_s for tail in found], beside), stars)

    def table(beside: columns.Values) -> Table:
        shown: list[fields.Field[CaseRow]] = [
            fields.clients(lambda row: row.case.clients),
            fields.words("manager", lambda row: row.case.manager),
            fields.numbers("samples", lambda row: of_case[row.case].samples, columns.rates),
            *(fields.column(name, partial(latency, at=at, beside=beside)) for at, name in _NAMES),
        ]
        return fields.field_table(rows, shown, title, gap=1)

    in_one_unit = table([of_case[row.case].percentiles[0].value_s for row in rows])
    return in_one_unit if (in_one_unit.width or 0) <= WIDTH else table(())


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
        if found := _ratios_to_sync(group, row.case, of_case):
            of = row.case.clients, row.case.manager
            pooled = tuple(ratio.value is not None and ratio.is_pooled for ratio in found)
            bounds = (False,) * len(found)
            yield _RatioRow(*of, f"/{BASE}", tuple(ratio.value for ratio in found), pooled)
            yield _RatioRow(*of, "from", tuple(ratio.low for ratio in found), bounds)
            yield _RatioRow(*of, "to", tuple(ratio.high for ratio in found), bounds)


def _ratios_table(title: str, rows: Sequence[_RatioRow]) -> Table:
    def ratio(rows: Sequence[_RatioRow], at: int) -> Column:
        values = columns.factors([row.values[at] for row in rows])
        return _starred(values, [row.pooled[at] for row in rows])

    shown: list[fields.Field[_RatioRow]] = [
        fields.clients(lambda row: row.clients),
        fields.words("manager", lambda row: row.manager, is_group=True),
        fields.words("", lambda row: row.what),
        *(fields.column(name, partial(ratio, at=at)) for at, name in _NAMES),
    ]
    return fields.field_table(rows, shown, f"{title}: ratio to {BASE} (95 % CI)")


def _starred(column: Column, stars: Sequence[bool]) -> Column:
    """With room for a star behind each number, if one has it."""
    if not any(stars):
        return column
    marked = zip(column.texts, stars, strict=True)
    return Column(column.unit, tuple(text + ("*" if star else " ") for text, star in marked))


_HINT: Final = (
    f"*: of all runs pooled. {ABSENT}: too few samples. --legend explains every column and mark."
)

_LEGEND: Final = (
    "Latency by nearest rank. Each number is the median over the runs of that run's percentile; *:"
    f" the percentile of all runs pooled, because a run has too few samples. {ABSENT}: unknown,"
    f" because fewer than {LEAST_BEYOND} samples lie beyond it. samples: of all runs. /{BASE}: the"
    f" ratio to {BASE} at the same N (geometric mean over the rounds); from, to: its 95 % CI. In a"
    " closed loop a client that waits sends nothing meanwhile, so a stall counts once per client"
    " (docs/measures.md)."
)
