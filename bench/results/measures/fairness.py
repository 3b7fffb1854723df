"""How evenly clients are served, from the redos of each client in a slice.

In a closed loop over equal time, the number of a client's redos is its share of the service.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from bench.results.key import Key, Value
from bench.results.record import RunRecord
from bench.results.samples import Int64s

JAIN: Final = "redo_fairness_jain"
SLOWEST_SHARE: Final = "redo_fairness_slowest_share"


def jain_index(shares: Int64s) -> float:
    """(sum x)^2 / (n sum x^2) of n shares, at least one of them above 0.

    1 if all are equal, k / n if k of them share everything evenly. Source: R. Jain, D. Chiu and
    W. Hawe, "A Quantitative Measure of Fairness and Discrimination for Resource Allocation in
    Shared Computer Systems", DEC Research Report TR-301 (1984).
    """
    # Floats: the squares of counts overflow 64 bits long before a ratio needs their last digits.
    x = shares.astype(np.float64)
    return float(x.sum() ** 2 / (x.size * (x**2).sum()))


def slowest_share(shares: Int64s) -> float:
    """The least of the shares / their mean: 1 if all are equal, 0 if one gets nothing."""
    return float(shares.min() / shares.mean())


def fairness_measures(record: RunRecord) -> dict[str, Value]:
    """Means over the slices; empty for a run without samples.

    Not computed from sums over the slices: each slice starts its clients anew, so client k of one
    slice has nothing to do with client k of the next, and sums would even out the unfairness.
    """
    redos = [part.redos for part in record.samples]
    if not redos:
        return {}
    return {
        JAIN: float(np.mean([jain_index(shares) for shares in redos])),
        SLOWEST_SHARE: float(np.mean([slowest_share(shares) for shares in redos])),
    }


FAIRNESS_KEYS = (
    Key(
        JAIN,
        "ratio",
        "Jain's index of the redos per client in a slice: 1 if all get the same, 1 / N if one gets"
        " all; mean over the slices",
    ),
    Key(
        SLOWEST_SHARE,
        "ratio",
        "fewest redos of any client in a slice / their mean; mean over the slices",
    ),
)
