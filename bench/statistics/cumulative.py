"""The cumulative distribution of a case's latency: which share of its redos took no longer.

A run is the unit, as everywhere: at each latency the share is the median over the runs, with the
spread between them beside it. Pooling the samples would let a run with more redos count for more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.results.histogram import Distribution, pooled
from bench.results.row import QUARTILES_FROM

_FROM: Final = 0.005
_UP_TO: Final = 0.995
"""Beyond it is the tail, which has a picture of its own; below the first a few lucky redos."""

_NS_PER_S: Final = 1e9


@dataclass(frozen=True, slots=True, eq=False)
class Cumulative:
    """Arrays of one length, ascending: latencies in seconds, and at each of them the share, from 0
    to 1, of the redos that took no longer.

    ``low`` and ``high``: quartiles of the runs from `QUARTILES_FROM` runs on, else the smallest and
    the greatest.
    """

    latency_s: NDArray[np.float64]
    median: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def latency_at(self, share: float) -> float:
        """The latency in seconds at which the median line reaches that share, between two points
        by their logarithms; that of the first or last point outside."""
        return float(np.exp(np.interp(share, self.median, np.log(self.latency_s))))


def cumulative(runs: Mapping[int, Distribution], points: int = 48) -> Cumulative:
    """From the distributions of a case's runs, by round; at least one. The points lie between the
    percentiles 0.5 and 99.5 of all runs, at equal ratios."""
    together = pooled(runs.values())
    first, last = (
        together.ranked_ns(max(1, int(together.samples * share))) for share in (_FROM, _UP_TO)
    )
    limits_ns = np.geomspace(first, max(last, first + 1), points)
    limits_ns[0] = first  # which rounding might leave below its sample
    shares = np.array([run.shares_within(limits_ns) for run in runs.values()])
    quartiles = len(runs) >= QUARTILES_FROM
    low, high = np.quantile(shares, (0.25, 0.75) if quartiles else (0.0, 1.0), axis=0)
    return Cumulative(limits_ns / _NS_PER_S, np.median(shares, axis=0), low, high)
