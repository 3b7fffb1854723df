"""Base against changed: how large a difference is, how sure, and what the data could have shown.

Statistics over one value per unit, on logarithms, since what disturbs a measurement multiplies it.
A unit is what was drawn independently: a run (a process with its slices), or a pair of runs that
were measured together. Samples of one process are not independent and never come here.

A p-value is that of a t-test (Welch's where the units are not paired). An interval is a bootstrap
interval of the mean. The percentile interval of n values is too narrow, by sqrt((n - 1) / n) and by
the normal quantile in place of t (T. C. Hesterberg, "What Teachers Should Know About the
Bootstrap", The American Statistician 69 (2015), section 4.3). He widens it by taking more extreme
percentiles. These cannot reach beyond the values themselves: with three pairs they hold the truth
in 73 % of all cases. Here the distances from the mean are stretched by that factor instead, which
keeps the skew.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.statistics.bounded import HasBounds

# scipy.special is imported in the functions that need it: it takes longer to load than most
# commands take to run.

CONFIDENCE: Final = 0.95
"""Of every interval."""

TAILS: Final = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
"""The quantiles that bound it."""

ALPHA: Final = 0.04
"""The corrected p-value up to which a case is said to differ. Below 0.05, so that `ab`, which also
looks before its end, raises an alarm in at most 5 % of all comparisons without a difference
(`selftest` counts them)."""

POWER: Final = 0.8
"""How often an effect of the size of the MDE is found."""

RESAMPLES: Final = 2000
_SEED: Final = 1

SMALLEST_LEAD: Final = 0.02
"""A mean nearer to 1 than this share is no lead, however sure it is."""

Floats = NDArray[np.float64]


class Verdict(StrEnum):
    """The verdict on a case. ``same`` is always shown with the percentage that it holds to."""

    FASTER = "faster"
    SLOWER = "slower"
    SAME = "same"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Effect:
    """The ratio of changed to base: geometric mean, bounds of its interval.

    ``smallest_shown`` is the minimum detectable effect (MDE): the smallest relative change (0.05:
    5 %) that data with this spread finds with a power of `POWER`. None for a single unit.
    """

    ratio: float
    low: float | None
    high: float | None
    p_value: float | None
    smallest_shown: float | None
    units: tuple[int, int]

    @property
    def value(self) -> float:
        """The ratio, under the name that every value with bounds has (`HasBounds`)."""
        return self.ratio


def ratios_effect(pairs: Sequence[float]) -> Effect:
    """The effect from the ratios, changed to base, of pairs that were measured together.

    At least one pair; all above 0.
    """
    ratios = _logs(pairs)
    ratio, size = mean_ratio(pairs), ratios.size
    if size < 2:
        return Effect(ratio, None, None, None, None, (size, size))
    error = float(ratios.std(ddof=1)) / math.sqrt(size)
    return _effect(ratios.mean(), error, size - 1, ratios[drawn(size)].mean(axis=1), (size, size))


def mean_ratio(pairs: Sequence[float]) -> float:
    """The geometric mean of `ratios_effect`, which needs no bootstrap."""
    return math.exp(_logs(pairs).mean())


@lru_cache(maxsize=64)
def drawn(size: int) -> NDArray[np.int64]:
    """Indices of ``size`` units drawn with replacement, `RESAMPLES` times; always the same."""
    draws = np.random.default_rng(_SEED).integers(0, size, (RESAMPLES, size))
    draws.flags.writeable = False  # all callers share it
    return draws


def ratio_of_slices(base: Sequence[float], changed: Sequence[float]) -> float:
    """The ratio of a pair whose slices were taken in turn: ``base[k]`` beside ``changed[k]``.

    The median of the slices' ratios, so that a disturbance of a few slices of one side, as long as
    a turn of the scheduler or longer, does not count. All above 0; as many on both sides.
    """
    return float(np.exp(np.median(_logs(changed) - _logs(base))))


def unpaired_effect(
    base: Sequence[float],
    changed: Sequence[float],
    *,
    scatter: float = 0.0,
    scatter_freedom: float = math.inf,
) -> Effect:
    """The effect from independent values: at least one on each side, all above 0.

    ``scatter``: the variance, of the difference of logarithms, between two sides of the same code
    that their units cannot show; ``scatter_freedom``: the degrees of freedom that it is known with.
    """
    before, after = _logs(base), _logs(changed)
    mean, units = after.mean() - before.mean(), (before.size, after.size)
    if min(units) < 2:
        return Effect(math.exp(mean), None, None, None, None, units)
    parts = [(side.var(ddof=1) / side.size, side.size - 1.0) for side in (before, after)]
    if scatter:
        parts.append((scatter, scatter_freedom))
    total = sum(variance for variance, _ in parts)
    # Welch and Satterthwaite; without any spread the smaller side decides.
    weight = sum(variance * variance / freedom for variance, freedom in parts)
    freedom = total * total / weight if weight else min(units) - 1
    random = np.random.default_rng(_SEED)
    means = [
        side[random.integers(0, side.size, (RESAMPLES, side.size))].mean(axis=1)
        for side in (before, after)
    ]
    draws = means[1] - means[0] + random.normal(0.0, math.sqrt(scatter), RESAMPLES)
    return _effect(mean, math.sqrt(total), freedom, draws, units)


def corrected(p_values: Sequence[float | None]) -> list[float | None]:
    """The p-values corrected for their number (Benjamini and Hochberg 1995): where no case differs,
    only `ALPHA` of all comparisons raise any alarm. None stays None."""
    ascending = sorted((p, at) for at, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    least = 1.0
    # From the greatest down: a smaller p-value must not end up above a greater one.
    for rank, (p, at) in reversed(list(enumerate(ascending, 1))):
        least = min(least, p * (len(ascending) / rank))
        adjusted[at] = least
    return adjusted


def verdict(
    effect: Effect, p_corrected: float | None, margin: float, *, less_is_better: bool = True
) -> Verdict:
    """Different if both the corrected p-value and the interval say so; ``same`` if the interval
    lies within ``margin`` (0.05: 5 %) of 1; else inconclusive."""
    if p_corrected is None or effect.low is None or effect.high is None:
        return Verdict.INCONCLUSIVE
    if p_corrected <= ALPHA and not effect.low <= 1 <= effect.high:
        return Verdict.FASTER if (effect.ratio < 1) == less_is_better else Verdict.SLOWER
    return Verdict.SAME if holds_to(effect) <= margin else Verdict.INCONCLUSIVE


def holds_to(effect: Effect) -> float:
    """How far from 1 the interval reaches: 0.03 if nothing beyond 3 % is plausible."""
    assert effect.low is not None
    assert effect.high is not None
    return max(1 / effect.low, effect.high) - 1


def side(ratio: HasBounds[float], smallest: float = SMALLEST_LEAD) -> int:
    """1 if the ratio is significantly above 1, -1 if it is below, 0 if neither.

    The whole interval must lie on that side, and the mean at least ``smallest`` away from 1. A
    single round has no interval: its ratio decides alone.
    """
    low = ratio.value if ratio.low is None else ratio.low
    high = ratio.value if ratio.high is None else ratio.high
    if low > 1 and ratio.value >= 1 + smallest:
        return 1
    return -int(high < 1 and ratio.value <= 1 / (1 + smallest))


@lru_cache(maxsize=256)
def stretch(freedom: float) -> float:
    """The factor explained at the top of this file, for a mean with so many degrees of freedom."""
    from scipy.special import ndtri, stdtrit

    quantile = (1 + CONFIDENCE) / 2
    narrow = stdtrit(freedom, quantile) / ndtri(quantile)
    return float(narrow * math.sqrt((freedom + 1) / freedom))


def _logs(values: Sequence[float]) -> Floats:
    return np.log(np.asarray(values, dtype=np.float64))


def _effect(
    mean: float, error: float, freedom: float, draws: Floats, units: tuple[int, int]
) -> Effect:
    from scipy.special import stdtr, stdtrit

    # Values without any spread: what a float can tell.
    error = max(error, float(np.finfo(np.float64).eps) * 8)
    low, high = mean + stretch(freedom) * (np.quantile(draws, TAILS) - mean)
    detectable = stdtrit(freedom, 1 - ALPHA / 2) + stdtrit(freedom, POWER)
    return Effect(
        ratio=math.exp(mean),
        low=math.exp(low),
        high=math.exp(high),
        p_value=float(2 * stdtr(freedom, -abs(mean) / error)),
        smallest_shown=math.expm1(detectable * error),
        units=units,
    )
