"""When the redos of an open loop are to start, and which of them wait: arithmetic without a clock.

Arrivals are a Poisson process: many callers who know nothing of each other. They are drawn before a
slice begins and do not depend on how it goes, which is the point of an open loop. Standard library
only; whoever takes arrivals says what time it is, in ns after the barrier opened.
"""

from __future__ import annotations

import itertools
import random
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

BACKLOG_SHARE: Final = 0.05
BACKLOG_LEAST: Final = 100
"""A slice is overloaded, and ends, once more than this share of its arrivals wait, and more than so
many.

A load that stays above capacity by more than that share gets there within the slice; one stall that
is shorter than that share of the slice does not. The number keeps a burst in a short slice from
counting as overload.
"""


def poisson_starts_ns(rate_per_s: float, seconds: float, seed: str) -> array[int]:
    """Intended starts within so many seconds, ascending: the gaps between them are exponential.

    The same for the same seed.
    """
    gap_s = random.Random(seed).expovariate
    starts_ns = array("q")
    at_s = gap_s(rate_per_s)
    while at_s < seconds:
        starts_ns.append(round(at_s * 1e9))
        at_s += gap_s(rate_per_s)
    return starts_ns


class Backlog:
    """The arrivals of one slice, taken in order by whichever client is free.

    One waits if it is due and no client has taken it. Once too many wait, no more arrive; those
    that wait are served, so that how long they waited is told. Not for several threads at once.
    """

    def __init__(self, starts_ns: Sequence[int]) -> None:
        self._starts_ns = starts_ns
        self._most_waiting = max(BACKLOG_LEAST, int(BACKLOG_SHARE * len(starts_ns)))
        self._end = len(starts_ns)
        self._due = self._taken = 0
        self.peak = 0
        """The most that waited when a client was free."""

    def take(self, now_ns: int) -> int | None:
        """The intended start of the next arrival, due or not; None if no more come."""
        if not self.overloaded:
            self._due = bisect_right(self._starts_ns, now_ns, self._due)
            self.peak = max(self.peak, self._due - self._taken)
            if self.overloaded:
                self._end = self._due
        if self._taken == self._end:
            return None
        self._taken += 1
        return self._starts_ns[self._taken - 1]

    @property
    def overloaded(self) -> bool:
        """Whether more waited than may."""
        return self.peak > self._most_waiting

    def counts(self) -> dict[str, int]:
        """What a slice says of its arrivals; ``arrivals``: all that were to be in its time."""
        return {
            "arrivals": len(self._starts_ns),
            "backlog_peak": self.peak,
            "overloaded": int(self.overloaded),
        }


class PoissonLoad:
    """Arrivals at that rate for slice after slice, different in each."""

    def __init__(self, rate_per_s: float, seed: str) -> None:
        self._rate_per_s = rate_per_s
        self._seed = seed
        self._slice = itertools.count()

    def next_slice(self, seconds: float) -> Backlog:
        seed = f"{self._seed}/{next(self._slice)}"
        return Backlog(poisson_starts_ns(self._rate_per_s, seconds, seed))
