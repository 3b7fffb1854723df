"""What `show --tails` prints of high percentiles, and the same as plain data.

The numbers are those of ``tails``; this module only lays them out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from bench import units
from bench.cases import Case
from bench.distributions import Distributions
from bench.findings import BASE, CHALLENGER
from bench.layout import whole_table
from bench.stats import Group, Summary
from bench.tails import (
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

_ABSENT: Final = "-"
_POOLED: Final = "*"


def print_tails(summary: Summary, distributions: Distributions, console: Console) -> None:
    """The verdict, a table per group, and how to read them."""
    of_case = {case: tails(runs) for case, runs in distributions.items()}
    console.print()
    console.print(Text(verdict(summary, of_case)))
    headings = ["N", "manager", "samples", *map(percentile_name, ONE_IN)]
    for group in summary.groups():
        rows = list(_rows(group, of_case))
        if rows:
            console.print()
            table = whole_table(group.title, headings, rows, left="manager", gap=1)
            console.print(table, crop=False)
    console.print()
    console.print(Text(_LEGEND, style="dim"))


def tails_data(summary: Summary, distributions: Distributions) -> list[dict[str, Any]]:
    """Per case the percentiles, in seconds, with how many samples lie beyond each; and the ratios
    of an async manager's to those of sync. Null where the samples carry nothing."""
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
    """Of an async manager's percentiles to those of sync at the same N; empty for others."""
    base = group.row(BASE, case.clients)
    if not case.manager.startswith(CHALLENGER) or base is None or base.case not in of_case:
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
    longer = sum(one.low is not None and one.low > 1 for one, _ in found)
    shorter = sum(one.high is not None and one.high < 1 for one, _ in found)
    return (
        f"At {percentile_name(TAIL_FROM)} and beyond {CHALLENGER} takes {units.factor(least)}"
        f" ({least_at}) to {units.factor(most)} ({most_at}) as long as {BASE}; of"
        f" {len(values)} percentiles {longer} are longer and {shorter} shorter beyond chance."
    )


def _rows(group: Group, of_case: Mapping[Case, Tails]) -> Iterator[list[str]]:
    for clients in group.clients:
        shown = str(clients)
        for row in group.rows:
            if row.case.clients != clients or row.case not in of_case:
                continue
            of_row = of_case[row.case]
            values = [
                _ABSENT
                if one.value_s is None
                else units.seconds(one.value_s).replace(" ", "") + _POOLED * one.is_pooled
                for one in of_row.percentiles
            ]
            yield [shown, row.case.manager, units.short_rate(of_row.samples), *values]
            shown = ""
            ratios = ratios_to_sync(group, row.case, of_case)
            if ratios:
                points = [_factor(one.value) + _POOLED * one.is_pooled for one in ratios]
                yield ["", f"  /{BASE}", "", *points]
                yield ["", "  from", "", *(_factor(one.low) for one in ratios)]
                yield ["", "  to", "", *(_factor(one.high) for one in ratios)]


def _factor(value: float | None) -> str:
    return _ABSENT if value is None else units.factor(value)


_LEGEND: Final = (
    "Latency, by nearest rank. Medians over the runs of each run's percentile; *: of all runs"
    " pooled, where a run has too few samples. -: fewer than"
    f" {LEAST_BEYOND} samples lie beyond it, so it is not known. samples: of all runs. /{BASE}: the"
    f" ratio to {BASE} at the same N, the geometric mean over the rounds; from, to: its 95 %"
    " interval. A closed loop's tail: what waits sends nothing meanwhile, so it counts once"
    " (docs/measures.md)."
)
