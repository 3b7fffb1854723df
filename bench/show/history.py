"""A history as tables for people and as plain data for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.results.key import SCHEMA_VERSION
from bench.results.summary import MEASURES, measure_name
from bench.show.columns import ABSENT
from bench.show.layout import bare_table, print_whole
from bench.show.units import formatted
from bench.statistics.comparison import condition
from bench.statistics.history import Point, Series

JSON_VERSION: Final = 1
"""Version of what `as_data` returns."""

_WIDTH: Final = 80
_LEGEND: Final = (
    "Oldest code first, by the date of the commit (UTC); of a dirty tree that of the commit below"
    " it. Medians over the runs; +-: half of the spread between them. change: of the median, from"
    " the result before; none where conditions changed. It is no test: `compare` is for that."
)


def print_history(series: Sequence[Series], measure: str, console: Console) -> None:
    console.print(f"{measure_name(measure)}, commit by commit", highlight=False)
    for one in series:
        console.print()
        print_whole(_table(one, measure), _WIDTH, console)
    console.print()
    console.print(Text(_LEGEND, style="dim"), highlight=False)


def print_cases(series: Sequence[Series], console: Console) -> None:
    table = bare_table()
    table.add_column("case", overflow="fold")
    table.add_column("results", justify="right")
    for one in series:
        table.add_row(one.case.name, str(len(one.points)))
    print_whole(table, _WIDTH, console)


def as_data(series: Sequence[Series], measure: str) -> dict[str, Any]:
    """All of it, for `--json`; SI units in the measure's name, null where nothing is known."""
    return {
        "version": JSON_VERSION,
        "schema_version": SCHEMA_VERSION,
        "measure": measure,
        "cases": [
            {"case": found.case.name, "points": [_point_data(point) for point in found.points]}
            for found in series
        ],
    }


def _point_data(point: Point) -> dict[str, Any]:
    summary, estimate = point.result.summary, point.estimate
    return {
        "source": summary.source,
        "date": point.result.date.isoformat(),
        "date_of": "commit" if point.result.by_commit else "suite",
        "commit": summary.environment.git_commit,
        "dirty": summary.environment.git_dirty,
        "median": estimate.median,
        "low": estimate.low,
        "high": estimate.high,
        "runs": len(estimate.by_round),
        "change": point.change,
        "differences": list(point.differences),
    }


def _table(series: Series, measure: str) -> Table:
    table = bare_table(series.case.name)
    for heading in ("date", "commit"):
        table.add_column(heading, no_wrap=True)
    for heading in ("median", "+-", "change"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    key = MEASURES[measure].key
    for point in series.points:
        spread = point.estimate.spread
        environment = point.result.summary.environment
        marks = [] if point.result.by_commit else ["date of the suite"]
        if point.differences:
            marks.append(f"changed: {', '.join(map(condition, point.differences))}")
        table.add_row(
            f"{point.result.date:%Y-%m-%d %H:%M}",
            Text(environment.version, style="yellow" if environment.git_dirty else ""),
            formatted(key, point.estimate.median),
            ABSENT if spread is None else f"{spread:.0%}",
            ABSENT if point.change is None else f"{point.change - 1:+.1%}",
            Text("; ".join(marks), style="yellow"),
        )
    return table
