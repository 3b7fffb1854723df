"""How one measure of each case changed from result to result, in the order of their commits.

``comparison`` decides whether two results were measured under the same conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from bench.cases.case import Case
from bench.results.row import Estimate, measure_of
from bench.results.summary import Summary
from bench.statistics.comparison import differences


@dataclass(frozen=True, slots=True, eq=False)
class Dated:
    """A result and the date of its commit, in UTC.

    ``by_commit`` is False if git does not know the commit; then ``date`` is the start of the suite.
    """

    summary: Summary
    date: datetime
    by_commit: bool


@dataclass(frozen=True, slots=True)
class Point:
    """A measure of a case in one result.

    ``differences`` are the conditions that changed since the point before. ``change`` is the ratio
    of the median to that point's; None for the first point, and where conditions changed: then it
    would compare two machines.
    """

    result: Dated
    estimate: Estimate
    differences: tuple[str, ...]
    change: float | None


@dataclass(frozen=True, slots=True)
class Series:
    """All points of a case, oldest code first."""

    case: Case
    points: tuple[Point, ...]


def dated(summary: Summary, commit_date: Callable[[str], datetime | None]) -> Dated | None:
    """The result with the date of its commit, else of its suite; None if it has neither.

    ``commit_date`` gives the date of a full hash, None if it does not know that commit.
    """
    commit = summary.environment.git_commit
    if commit is not None and (date := commit_date(commit)) is not None:
        return Dated(summary, date.astimezone(UTC), by_commit=True)
    date = _suite_date(summary)
    return None if date is None else Dated(summary, date, by_commit=False)


def in_order(results: Iterable[Dated]) -> list[Dated]:
    """By the age of the code, a dirty tree after its commit; then in the order of measuring."""

    def age(result: Dated) -> tuple[datetime, bool, datetime, str]:
        environment = result.summary.environment
        measured = _suite_date(result.summary) or result.date
        return result.date, bool(environment.git_dirty), measured, result.summary.source

    return sorted(results, key=age)


def history(results: Iterable[Dated], measure: str, pattern: str = "*") -> list[Series]:
    """The series of every case whose name matches the glob and that has the measure in any result.

    ``measure`` is a field of a row. Cases are sorted by name, N by number.
    """
    found: dict[Case, list[tuple[Dated, Estimate]]] = {}
    for result in in_order(results):
        for row in result.summary.rows:
            estimate = measure_of(row, measure)
            if estimate is not None and fnmatchcase(row.case.name, pattern):
                found.setdefault(row.case, []).append((result, estimate))
    return [Series(case, _points(case, found[case])) for case in sorted(found)]


def results_of(series: Iterable[Series]) -> list[Dated]:
    """Every result that has a point in any series, in order."""
    return in_order({point.result for of_case in series for point in of_case.points})


def _points(case: Case, measured: Sequence[tuple[Dated, Estimate]]) -> tuple[Point, ...]:
    points: list[Point] = []
    for result, estimate in measured:
        before = points[-1] if points else None
        differ: tuple[str, ...] = ()
        if before is not None:
            differ = differences(before.result.summary, result.summary, (case,))
        comparable = before is not None and not differ and before.estimate.median > 0
        change = estimate.median / before.estimate.median if before and comparable else None
        points.append(Point(result, estimate, differ, change))
    return tuple(points)


def _suite_date(summary: Summary) -> datetime | None:
    try:
        date = datetime.fromisoformat(summary.environment.suite_date)
    except ValueError:
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
