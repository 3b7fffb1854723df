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
from bench.show.layout import named_table, whole_table
from bench.show.units import formatted
from bench.statistics.comparison import condition
from bench.statistics.history import Point, Series

JSON_VERSION: Final = 1
"""Version of what `as_data` returns."""

_LEGEND: Final = (
    "Oldest code first, by the date of the commit (UTC); a dirty tree has the date of the commit"
    " that it is based on. Medians over the runs; +-: half the range between them (half the"
    " interquartile range from 4 runs on), in % of the median. change: of the median, from the"
    " result before; none where conditions changed."
)
_NO_TEST: Final = "change is not a test of significance (`compare` is)."
_HINT: Final = f"{_NO_TEST} --legend explains every column."


def print_history(
    series: Sequence[Series], measure: str, console: Console, *, legend: bool = False
) -> None:
    """A table per case. ``legend``: explains every column."""
    console.print(f"{measure_name(measure)}, commit by commit", highlight=False)
    for one in series:
        console.print()
        console.print(_table(one, measure), crop=False)
    console.print()
    text = f"{_LEGEND} {_NO_TEST}" if legend else _HINT
    console.print(Text(text, style="dim"), highlight=False)


def print_cases(series: Sequence[Series], console: Console) -> None:
    rows = [(one.case.name, str(len(one.points))) for one in series]
    table = named_table(None, ("case", "results"), rows, separator="/")
    console.print(table, crop=False)


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
    rows: list[Sequence[str | Text]] = []
    key = MEASURES[measure].key
    for point in series.points:
        spread = point.estimate.spread
        environment = point.result.summary.environment
        marks = [] if point.result.by_commit else ["date of the suite"]
        if point.differences:
            marks += [f"changed: {condition(difference)}" for difference in point.differences]
        rows.append(
            (
                f"{point.result.date:%Y-%m-%d %H:%M}",
                Text(environment.version, style="yellow" if environment.git_dirty else ""),
                formatted(key, point.estimate.median),
                ABSENT if spread is None else f"{spread:.0%}",
                ABSENT if point.change is None else f"{point.change - 1:+.1%}",
                Text("\n".join(marks), style="yellow"),
            )
        )
    headings = ("date", "commit", "median", "+-", "change", "")
    return whole_table(series.case.name, headings, rows, left=(0, 1, 5))
