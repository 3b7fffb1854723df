"""How evenly clients are served: from the redos of each in a slice to the measures of fairness.

Pure functions. In a closed loop over equal time a client's redos are what it got.
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
    """Means over the slices, nothing for a run without samples.

    Not of sums over the slices: each starts its clients anew, so that a thread or task that got
    little in one has nothing in common with that of the same number in the next, and adding them
    up would even out what is to be seen.
    """
    redos = [one.redos for one in record.samples]
    if not redos:
        return {}
    return {
        JAIN: float(np.mean([jain_index(one) for one in redos])),
        SLOWEST_SHARE: float(np.mean([slowest_share(one) for one in redos])),
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
        "redos of the client that gets the least in a slice / their mean; mean over the slices",
    ),
)
