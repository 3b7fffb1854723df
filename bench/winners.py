"""Which manager is the best of those that were measured at one N, where the runs tell it apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bench.findings import FLOOR
from bench.names import NOOPS
from bench.stats import CaseRow, less_is_better, measure_of, paired_ratio

SMALLEST_LEAD: Final = 0.02
"""A lead below this share is none."""


def winner(rows: Sequence[CaseRow], measure: str) -> CaseRow | None:
    """The row that is better than each other by the median of the ratios taken round by round, with
    their spread on the same side; None if no row is, or there is none to be better than.

    ``measure``: a field of a row. The floor and the no-ops are no managers and do not compete.
    """
    rivals = [
        row
        for row in rows
        if row.case.manager not in (FLOOR, *NOOPS) and measure_of(row, measure) is not None
    ]
    if len(rivals) < 2:
        return None
    for row in rivals:
        if all(_is_ahead(row, other, measure) for other in rivals if other is not row):
            return row
    return None


def _is_ahead(row: CaseRow, other: CaseRow, measure: str) -> bool:
    better, worse = measure_of(row, measure), measure_of(other, measure)
    if not less_is_better(measure):
        better, worse = worse, better
    ratio = paired_ratio(better, worse)
    return ratio is not None and ratio.high < 1 and ratio.median <= 1 - SMALLEST_LEAD
