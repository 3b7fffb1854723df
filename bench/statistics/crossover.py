"""From which N on another manager is better than sync, and how sure that is.

A round is the unit: all cases in it were disturbed alike. The crossover is the least measured N
from which on the geometric mean over the rounds of the ratio to sync says "better" at every
greater N, too. Its interval: the same of rounds drawn with replacement (percentile bootstrap of the
whole procedure: B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13),
their means stretched for the small number of rounds as in ``effects``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.cases.managers.registry import is_rival
from bench.cases.names import BASE
from bench.results.summary import Estimate, Group, less_is_better
from bench.statistics.bounded import Threshold
from bench.statistics.effects import drawn, stretch
from bench.statistics.rounds import TAILS, in_common

MEASURES: Final = ("throughput_per_s", "time_per_redo_s", "turn_p99_s", "cpu_total_s")
"""Fields of a row."""


@dataclass(frozen=True, slots=True)
class Crossover(Threshold[int | None]):
    """``manager`` is better than sync in ``measure`` from N = ``clients`` on; None: at no N.
    ``measured`` are the N that both were measured at."""

    manager: str
    measure: str
    measured: tuple[int, ...]


@lru_cache(maxsize=64)
def crossovers(group: Group) -> list[Crossover]:
    """That of each rival and measure, where it and sync have two N in common."""
    found = (
        _crossover(group, manager, measure)
        for manager in group.managers
        if is_rival(manager)
        for measure in MEASURES
    )
    return [one for one in found if one is not None]


def _crossover(group: Group, manager: str, measure: str) -> Crossover | None:
    by_clients: dict[int, tuple[Estimate, Estimate]] = {}
    for clients in group.clients:
        own, base = group.row(manager, clients), group.row(BASE, clients)
        above: Estimate | None = None if own is None else getattr(own, measure)
        below: Estimate | None = None if base is None else getattr(base, measure)
        if above is not None and below is not None:
            by_clients[clients] = above, below
    if len(by_clients) < 2:
        return None
    values = in_common([side for pair in by_clients.values() for side in pair])
    if not values.size or values.min() <= 0:
        return None
    leads = np.log(values[:, 0::2] / values[:, 1::2]) * (-1 if less_is_better(measure) else 1)
    measured = tuple(by_clients)
    size = len(leads)
    mean = leads.mean(axis=0)
    draws = leads[drawn(size)].mean(axis=1)
    if size > 1:  # too narrow for few rounds, as every such interval (``effects``)
        draws = mean + (draws - mean) * stretch(size - 1)
    firsts = _first_of_last_streak(draws)
    low, high = np.quantile(firsts, TAILS, method="nearest")
    named = [*measured, None]
    return Crossover(
        manager=manager,
        measure=measure,
        measured=measured,
        clients=named[int(_first_of_last_streak(mean[None])[0])],
        known=size >= 2,
        low=named[int(low)],
        high=named[int(high)],
    )


def _first_of_last_streak(leads: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each line of leads by N: the index from which on all are positive; their number if the
    last is not."""
    still_ahead = np.logical_and.accumulate(leads[:, ::-1] > 0, axis=1)
    counts: NDArray[np.int64] = leads.shape[1] - still_ahead.sum(axis=1)
    return counts
