"""Rounds as the unit that is resampled: a bootstrap over rounds keeps together what was disturbed
alike.

Pure arithmetic; what is computed of the resamples belongs to whoever asks for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.cases.managers.registry import competes
from bench.results.summary import CaseRow, Estimate, less_is_better, measure_of
from bench.statistics.effects import Effect, ratios_effect, side

CONFIDENCE: Final = 0.95
"""Of every interval over rounds."""

TAILS: Final = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
"""The quantiles that bound it."""

RESAMPLES: Final = 2000

_SEED: Final = 1


def in_common(estimates: Sequence[Estimate]) -> NDArray[np.float64]:
    """Values of the rounds that all estimates have, ascending: (rounds, estimates)."""
    columns = [dict(estimate.by_round) for estimate in estimates]
    rounds = sorted(set.intersection(*(set(column) for column in columns)))
    values = [[column[number] for column in columns] for number in rounds]
    return np.array(values, dtype=np.float64).reshape(len(rounds), len(columns))


def ratio(above: Estimate | None, below: Estimate | None) -> Effect | None:
    """``above`` / ``below`` over the rounds that both have: geometric mean and interval.

    None without such a round, or where a value is not above 0.
    """
    if above is None or below is None:
        return None
    values = in_common([above, below])
    if not values.size or values.min() <= 0:
        return None
    return ratios_effect((values[:, 0] / values[:, 1]).tolist())


def drawn(size: int) -> NDArray[np.int64]:
    """Indices of ``size`` rounds drawn with replacement, `RESAMPLES` times; always the same."""
    return np.random.default_rng(_SEED).integers(0, size, (RESAMPLES, size))


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
