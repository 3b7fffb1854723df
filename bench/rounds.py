"""Rounds as the unit that is resampled: a bootstrap over rounds keeps together what was disturbed
alike.

Pure arithmetic; what is computed of the resamples belongs to whoever asks for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.stats import Estimate

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


def drawn(size: int) -> NDArray[np.int64]:
    """Indices of ``size`` rounds drawn with replacement, `RESAMPLES` times; always the same."""
    return np.random.default_rng(_SEED).integers(0, size, (RESAMPLES, size))
