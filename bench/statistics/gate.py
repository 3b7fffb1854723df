"""Bounds on what may get worse between two results, and the cases that break them.

A case breaks a bound if its verdict in the measure is ``slower``, which is corrected for the number
of cases, and its ratio reaches the bound. Each bound holds for itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from bench.cases.case import Case
from bench.errors import BenchError
from bench.results.row import less_is_better, measure_field, measure_name
from bench.statistics.comparison import DECISIVE, Compared, Comparison
from bench.statistics.effects import Verdict

_NOTATION: Final = re.compile(r"(?:(?P<subject>.+):)?slower(?::(?P<percent>.*))?")
_IN_A_PATTERN: Final = "/*?["
"""Every case's name has a slash, so a text with none of these is a measure."""


@dataclass(frozen=True, slots=True)
class Bound:
    """``share``: 0.05 for 5 %. ``text``: as it was given."""

    text: str
    pattern: str
    measure: str
    share: float

    @classmethod
    def parse(cls, text: str) -> Bound:
        """Raises BenchError."""
        parts = _NOTATION.fullmatch(text)
        share = math.nan
        if parts is not None:
            share = 0.0 if parts["percent"] is None else as_share(parts["percent"])
        if parts is None or not 0 <= share < math.inf:
            raise BenchError(
                f"--fail-on {text!r}: slower or slower:PERCENT, as slower:5, p99:slower:20,"
                " sync/*:slower:5 or sync/*@p99:slower:5"
            )
        subject = parts["subject"]
        pattern, measure = "*", DECISIVE
        if subject is not None:
            head, at, name = subject.rpartition("@")
            if at:
                pattern = head
            elif any(mark in subject for mark in _IN_A_PATTERN):
                pattern, name = subject, ""
            if at or name:
                measure = measure_field(f"--fail-on {text!r}", name)
        return cls(text, pattern, measure, share)

    def covers(self, case: Case) -> bool:
        return fnmatchcase(case.name, self.pattern)


@dataclass(frozen=True, slots=True)
class Breach:
    """A case that is worse than a bound allows."""

    case: Case
    bound: Bound
    compared: Compared

    @property
    def times_worse(self) -> float:
        return _times_worse(self.bound.measure, self.compared)


def as_share(percent: str) -> float:
    """0.05 for "5". Text that is no number is nan, which is outside any bounds."""
    try:
        return float(percent) / 100
    except ValueError:
        return math.nan


def check_patterns(bounds: Iterable[Bound], cases: Collection[Case]) -> None:
    """Raises BenchError for a bound that no case can break, because none is called so."""
    for bound in bounds:
        if not any(map(bound.covers, cases)):
            raise BenchError(
                f"--fail-on {bound.text!r}: none of the {len(cases)} cases is called so"
            )


def check_measured(bounds: Iterable[Bound], comparisons: Sequence[Comparison]) -> None:
    """Raises BenchError for a bound that no case can break, because nothing is compared by it."""
    failed = [each.case for comparison in comparisons for each in comparison.failed]
    cases = [case for comparison in comparisons for case in comparison.cases]
    for bound in bounds:
        measured = [case.case for case in cases if bound.measure in case.measures]
        if not any(map(bound.covers, (*measured, *failed))):
            name = measure_name(bound.measure)
            raise BenchError(
                f"--fail-on {bound.text!r}: both results have {name} above 0 of no such case"
            )


def breaches(comparison: Comparison, bounds: Sequence[Bound]) -> list[Breach]:
    """What breaks a bound, the worst first: each measure of a case once."""
    found: dict[tuple[Case, str], Breach] = {}
    for bound in bounds:
        for case in comparison.cases:
            compared = case.measures.get(bound.measure)
            if compared is None or compared.verdict is not Verdict.SLOWER:
                continue
            if bound.covers(case.case) and _times_worse(bound.measure, compared) >= 1 + bound.share:
                breach = Breach(case.case, bound, compared)
                found.setdefault((case.case, bound.measure), breach)
    return sorted(found.values(), key=lambda breach: -breach.times_worse)


def _times_worse(measure: str, compared: Compared) -> float:
    """1.2 for a time of 1.2 times the base's, and for a throughput of 1 / 1.2 of it."""
    ratio = compared.effect.ratio
    return ratio if less_is_better(measure) else 1 / ratio
