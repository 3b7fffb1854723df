"""From which N on another manager is better than sync, and how sure that is.

The crossover is the least measured N from which on the geometric mean over the rounds of the ratio
to sync says "better" at every greater N, too. A round is the unit: all cases in it were disturbed
alike. The interval is that of rounds drawn with replacement (percentile bootstrap of the whole
procedure: B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13), their
means stretched for the small number of rounds as in ``effects``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.cases.managers.registry import is_rival
from bench.cases.names import BASE
from bench.results.row import less_is_better
from bench.results.summary import Group
from bench.statistics.bounded import Threshold
from bench.statistics.effects import Floats
from bench.statistics.rounds import log_ratios, over_clients, threshold

MEASURES: Final = ("throughput_per_s", "time_per_redo_s", "turn_p99_s", "cpu_total_s")
"""Fields of a row."""


@dataclass(frozen=True, slots=True)
class Crossover(Threshold[int | None]):
    """``manager`` is better than sync in ``measure`` from N = ``clients`` on; None: at no N.
    ``measured``: the N that both were measured at."""

    manager: str
    measure: str
    measured: tuple[int, ...]


@lru_cache(maxsize=64)
def crossovers(group: Group) -> list[Crossover]:
    """One per rival and measure for which it and sync have two N and a round in common."""
    found = []
    for manager in filter(is_rival, group.managers):
        for measure in MEASURES:
            by_clients = over_clients(group, (manager, measure), (BASE, measure))
            if len(by_clients) < 2 or (ratios := log_ratios(by_clients.values())) is None:
                continue
            leads = -ratios if less_is_better(measure) else ratios
            bounds = threshold([*by_clients, None], leads, _start_of_lead, stretched=True)
            found.append(Crossover(*bounds, manager, measure, tuple(by_clients)))
    return found


def _start_of_lead(leads: Floats) -> NDArray[np.int64]:
    """For each row of leads by N: the index from which on all are positive; their number if the
    last one is not."""
    still_ahead = np.logical_and.accumulate(leads[:, ::-1] > 0, axis=1)
    counts: NDArray[np.int64] = leads.shape[1] - still_ahead.sum(axis=1)
    return counts
