"""From which N on another manager is better than sync, and how sure that is.

The crossover is the smallest measured N from which on the geometric mean over the rounds of the
ratio to sync says "better" at every greater N, too. A round is the unit: all cases in it were
disturbed alike. The interval is that of rounds drawn with replacement (percentile bootstrap of the
whole procedure: B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13),
their means stretched for the small number of rounds as in ``effects``.

Whether a manager leads at an N is told by `effects.side` (`leads`); from which N on is told by the
crossover. Sentences, titles and tables ask these two and nothing else.
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
from bench.statistics.effects import Effect, Floats, side
from bench.statistics.rounds import log_ratios, over_clients, ratio, threshold

MEASURES: Final = ("throughput_per_s", "time_per_redo_s", "turn_p99_s", "cpu_total_s")
"""Fields of a row."""


@dataclass(frozen=True, slots=True)
class Crossover(Threshold[int | None]):
    """``manager`` is better than the other in ``measure`` from N = ``clients`` on; None: at no N.
    ``measured``: the N that both were measured at."""

    manager: str
    measure: str
    measured: tuple[int, ...]

    @property
    def is_sure(self) -> bool:
        """Whether the interval is the N itself."""
        return self.known and self.clients == self.low == self.high


@dataclass(frozen=True, slots=True)
class Lead:
    """How far one manager leads another at N clients: a ratio above 1 is a lead.

    ``side`` is 1 if it leads, -1 if the other does, 0 if there is no significant difference.
    """

    clients: int
    effect: Effect
    side: int


def leads(group: Group, manager: str, measure: str) -> list[Lead]:
    """The lead of a manager over sync at every N where both have a round in common."""
    found = []
    for clients, pair in over_clients(group, (manager, measure), (BASE, measure)).items():
        effect = ratio(*(reversed(pair) if less_is_better(measure) else pair))
        if effect is not None:
            found.append(Lead(clients, effect, side(effect)))
    return found


@lru_cache(maxsize=64)
def crossovers(group: Group) -> list[Crossover]:
    """One per rival and measure for which it and sync have two N and a round in common."""
    pairs = ((m, measure) for m in group.managers if is_rival(m) for measure in MEASURES)
    found = (crossover(group, manager, BASE, measure) for manager, measure in pairs)
    return [one for one in found if one is not None]


@lru_cache(maxsize=1024)
def crossover(group: Group, manager: str, other: str, measure: str) -> Crossover | None:
    """From which N on the manager is better than the other one; None without two N and a round
    that all have."""
    by_clients = over_clients(group, (manager, measure), (other, measure))
    if len(by_clients) < 2 or (ratios := log_ratios(by_clients.values())) is None:
        return None
    signed = -ratios if less_is_better(measure) else ratios
    bounds = threshold([*by_clients, None], signed, _start_of_lead, stretched=True)
    return Crossover(*bounds, manager, measure, tuple(by_clients))


def _start_of_lead(leads: Floats) -> NDArray[np.int64]:
    """For each row of leads by N: the index from which on all are positive; their number if the
    last one is not."""
    still_ahead = np.logical_and.accumulate(leads[:, ::-1] > 0, axis=1)
    counts: NDArray[np.int64] = leads.shape[1] - still_ahead.sum(axis=1)
    return counts
