"""Rounds as the unit that is resampled: a bootstrap over rounds keeps together what was disturbed
alike.

Pure arithmetic; what is computed of the resamples belongs to whoever asks for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.cases.managers.registry import competes
from bench.results.summary import CaseRow, Estimate, less_is_better, measure_of
from bench.statistics.effects import SMALLEST_LEAD, Effect, mean_ratio, ratios_effect, side

CONFIDENCE: Final = 0.95
"""Of every interval over rounds."""

TAILS: Final = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
"""The quantiles that bound it."""


def in_common(estimates: Sequence[Estimate]) -> NDArray[np.float64]:
    """Values of the rounds that all estimates have, ascending: (rounds, estimates)."""
    columns = [dict(estimate.by_round) for estimate in estimates]
    rounds = sorted(set.intersection(*(set(column) for column in columns)))
    values = [[column[number] for column in columns] for number in rounds]
    return np.array(values, dtype=np.float64).reshape(len(rounds), len(columns))


@lru_cache(maxsize=4096)  # tables, titles and data ask for the same ratios
def ratio(above: Estimate | None, below: Estimate | None) -> Effect | None:
    """``above`` / ``below`` over the rounds that both have: geometric mean and interval.

    None without such a round, or where a value is not above 0.
    """
    ratios = _ratios(above, below)
    return ratios_effect(ratios) if ratios else None


def point_ratio(above: Estimate | None, below: Estimate | None) -> float | None:
    """The geometric mean alone, which needs no bootstrap."""
    ratios = _ratios(above, below)
    return mean_ratio(ratios) if ratios else None


def _ratios(above: Estimate | None, below: Estimate | None) -> list[float]:
    if above is None or below is None:
        return []
    divisors = dict(below.by_round)
    pairs = [(value, divisors[at]) for at, value in above.by_round if at in divisors]
    if any(min(pair) <= 0 for pair in pairs):
        return []
    return [value / divisor for value, divisor in pairs]


def winner(rows: Sequence[CaseRow], measure: str) -> CaseRow | None:
    """The row that the rounds show to be better than each other one (``findings.side``); None if no
    row is, or there is none to be better than.

    ``measure``: a field of a row. The floor and the no-ops are no managers and do not compete.
    """
    rivals = [
        row for row in rows if competes(row.case.manager) and measure_of(row, measure) is not None
    ]
    if len(rivals) < 2:
        return None
    for row in rivals:
        pairs = [_worse_last(row, other, measure) for other in rivals if other is not row]
        # The means first: they rule out most rows, and the bootstrap is the costly part.
        means = [point_ratio(*pair) for pair in pairs]
        if all(mean is not None and mean <= 1 / (1 + SMALLEST_LEAD) for mean in means):
            return row if all(_is_less(ratio(*pair)) for pair in pairs) else None
    return None


def _worse_last(
    row: CaseRow, other: CaseRow, measure: str
) -> tuple[Estimate | None, Estimate | None]:
    """Both estimates, so that their ratio is below 1 where the row is better."""
    own, others = measure_of(row, measure), measure_of(other, measure)
    return (own, others) if less_is_better(measure) else (others, own)


def _is_less(effect: Effect | None) -> bool:
    """A single round tells nothing apart."""
    return effect is not None and effect.low is not None and side(effect) < 0
