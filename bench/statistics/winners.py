"""Which manager is the best of those that were measured at one N, where the runs tell it apart."""

from __future__ import annotations

from collections.abc import Sequence

from bench.cases.names import NOOPS
from bench.results.summary import CaseRow, less_is_better, measure_of
from bench.show.findings import FLOOR, side
from bench.statistics.rounds import ratio


def winner(rows: Sequence[CaseRow], measure: str) -> CaseRow | None:
    """The row that the rounds show to be better than each other one (``findings.side``); None if no
    row is, or there is none to be better than.

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
    effect = ratio(better, worse)
    # One round tells nothing apart.
    return effect is not None and effect.low is not None and side(effect) < 0
