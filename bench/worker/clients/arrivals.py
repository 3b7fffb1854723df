"""The intended starts of the redos of an open loop, and which of them wait: no clock is read here.

Arrivals are a Poisson process: many callers that are independent of each other. They are drawn
before a slice begins and do not depend on how it goes, which is the point of an open loop. Standard
library only. Callers pass the current time, in ns after the slice has opened.
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
"""A slice is overloaded, and ends, once more than this share of its arrivals wait, and more than
this number.

A load that exceeds the capacity by more than that share gets there within the slice; a single stall
shorter than that share of the slice does not. The number keeps a burst in a short slice from
counting as overload.
"""


def poisson_starts_ns(rate_per_s: float, seconds: float, seed: str) -> array[int]:
    """The intended starts within so many seconds, ascending; the same for the same seed.

    The gaps between them are exponential.
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

    An arrival waits if it is due and no client has taken it. Once too many wait, no more arrive;
    those that wait are still served, so that their waiting time is measured. Not thread-safe.
    """

    def __init__(self, starts_ns: Sequence[int]) -> None:
        self._starts_ns = starts_ns
        self._most_waiting = max(BACKLOG_LEAST, int(BACKLOG_SHARE * len(starts_ns)))
        self._end = len(starts_ns)
        self._due = self._taken = 0
        self.peak = 0
        """The highest number of arrivals that waited when a client was free."""

    def take(self, now_ns: int) -> int | None:
        """The intended start of the next arrival, due or not; None if there is none left."""
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
        """Whether too many arrivals have waited."""
        return self.peak > self._most_waiting

    def counts(self) -> dict[str, int]:
        """The counts of a slice. ``arrivals``: all that were drawn for its time."""
        return {
            "arrivals": len(self._starts_ns),
            "backlog_peak": self.peak,
            "overloaded": int(self.overloaded),
        }


class PoissonLoad:
    """Arrivals at a rate for slice after slice, different in each slice."""

    def __init__(self, rate_per_s: float, seed: str) -> None:
        self._rate_per_s = rate_per_s
        self._seed = seed
        self._slice = itertools.count()

    def next_slice(self, seconds: float) -> Backlog:
        seed = f"{self._seed}/{next(self._slice)}"
        return Backlog(poisson_starts_ns(self._rate_per_s, seconds, seed))
