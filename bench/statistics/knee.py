"""The knee of throughput against latency: up to which N more clients gain more than they cost.

At the knee Kleinrock's power is greatest: throughput X(N) / latency T(N). Below it another client
raises throughput by more than it raises latency, relatively; beyond it, by less. (L. Kleinrock,
"Power and deterministic rules of thumb for probabilistic problems in computer communications",
ICC 1979.) In a closed loop without queues up to N*, with service demand D, latency R and think time
Z, X(N) = min(N / (R + Z), 1 / D), and the knee is the saturation point N* = (R + Z) / D.

T is the time per redo, a client's whole turn: the median latency leaves out the wait to run again,
which is most of the queueing where threads share one interpreter. As N = X T, power is X^2 / N.

Only measured N are named. The powers are geometric means over the rounds that all N have; the
interval is that of rounds drawn with replacement (percentile bootstrap, as for the crossovers).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bench.results.summary import Group
from bench.statistics.bounded import Threshold
from bench.statistics.effects import Floats
from bench.statistics.rounds import log_ratios, over_clients, threshold


@dataclass(frozen=True, slots=True)
class Knee(Threshold[int | None]):
    """The smallest measured N at which one manager's power is greatest.

    ``clients`` is None where that is the greatest N: a knee is not reached. Where it is the
    smallest N, the knee may lie below.
    """

    manager: str
    measured: tuple[int, ...]


@lru_cache(maxsize=64)
def knees(group: Group) -> list[Knee]:
    """One per manager that was measured at three N or more and has a round with all of them."""
    found = []
    for manager in group.managers:
        curves = (manager, "throughput_per_s"), (manager, "time_per_redo_s")
        by_clients = over_clients(group, *curves)
        if len(by_clients) < 3 or (powers := log_ratios(by_clients.values())) is None:
            continue
        measured = tuple(by_clients)
        bounds = threshold([*measured[:-1], None], powers, _greatest, stretched=False)
        found.append(Knee(*bounds, manager, measured))
    return found


def _greatest(powers: Floats) -> NDArray[np.int64]:
    """For each row of powers by N: the first index of the greatest, rounding errors aside."""
    peaks = powers >= powers.max(axis=1, keepdims=True) - 1e-9
    first: NDArray[np.int64] = peaks.argmax(axis=1)
    return first
