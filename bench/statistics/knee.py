"""The knee of throughput against latency: up to which N more clients buy more than they cost.

At the knee Kleinrock's power is greatest: throughput X(N) / latency T(N). Below it another client
raises throughput by more than it raises latency, relatively; beyond it, by less. (L. Kleinrock,
"Power and deterministic rules of thumb for probabilistic problems in computer communications",
ICC 1979, which puts it where a full pipe has no queue yet.) In a closed loop without queues up to
N*, X(N) = min(N / (R + Z), 1 / D) with service demand D, latency R and think time Z, this is
N* = (R + Z) / D, the saturation point of the asymptotic bounds.

T is the time per redo, which is a client's whole turn: the median latency leaves out what a client
waits to be run again, and where threads share one interpreter that is most of the queueing. As
clients do nothing else, N = X T, and power is X^2 / N: it rises as long as throughput grows faster
than the square root of N.

Only measured N are named; the powers are geometric means over the rounds that all N have, and the
interval is that of rounds drawn with replacement (percentile bootstrap, as for the crossovers).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bench.results.summary import Estimate, Group
from bench.statistics.bounded import Threshold
from bench.statistics.effects import drawn
from bench.statistics.rounds import TAILS, in_common


@dataclass(frozen=True, slots=True)
class Knee(Threshold[int | None]):
    """The measured N at which one manager's power is greatest, the least of them if several are.

    ``clients`` is None where that is the greatest N: a knee is not reached there. Where it is the
    least N, the knee may lie below.
    """

    manager: str
    measured: tuple[int, ...]


@lru_cache(maxsize=64)
def knees(group: Group) -> list[Knee]:
    """That of each manager that has three N or more in the group, and a round with all of them."""
    found = (_knee(group, manager) for manager in group.managers)
    return [one for one in found if one is not None]


def _knee(group: Group, manager: str) -> Knee | None:
    by_clients: dict[int, tuple[Estimate, Estimate]] = {}
    for clients in group.clients:
        row = group.row(manager, clients)
        if row is not None and row.throughput_per_s is not None and row.time_per_redo_s is not None:
            by_clients[clients] = row.throughput_per_s, row.time_per_redo_s
    if len(by_clients) < 3:
        return None
    values = in_common([side for pair in by_clients.values() for side in pair])
    if not values.size or values.min() <= 0:
        return None
    powers = np.log(values[:, 0::2] / values[:, 1::2])
    measured = tuple(by_clients)
    size = len(powers)
    low, high = np.quantile(_greatest(powers[drawn(size)].mean(axis=1)), TAILS, method="nearest")
    named = [*measured[:-1], None]
    return Knee(
        manager=manager,
        measured=measured,
        clients=named[int(_greatest(powers.mean(axis=0)[None])[0])],
        known=size >= 2,
        low=named[int(low)],
        high=named[int(high)],
    )


def _greatest(powers: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each line of powers by N: the first index of the greatest, rounding errors aside."""
    peaks = powers >= powers.max(axis=1, keepdims=True) - 1e-9
    first: NDArray[np.int64] = peaks.argmax(axis=1)
    return first
