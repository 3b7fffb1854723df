"""A sample of things that come one by one, nobody knows how many."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Reservoir(Generic[_T]):
    """Keeps ``size`` of the things it is offered, each set of that size as likely as any other:
    each thing gets a random number, and those with the smallest are kept.

    ``offered``: how many there were.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.offered = 0
        self._size = size
        self._random = random.Random(seed).random
        # The largest number first: a heap has the smallest one there. No two are compared by thing.
        self._heap: list[tuple[float, int, _T]] = []

    @property
    def kept(self) -> Sequence[_T]:
        return [thing for _, _, thing in self._heap]

    def offer(self, thing: _T) -> tuple[bool, _T | None]:
        """Whether it is kept, and the one that it replaces."""
        key = -self._random()
        self.offered += 1
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, (key, self.offered, thing))
            return True, None
        if key <= self._heap[0][0]:
            return False, None
        return True, heapq.heapreplace(self._heap, (key, self.offered, thing))[2]

    def shrink(self) -> Sequence[_T]:
        """Keeps half of the things from now on. Returns those that it drops, at least one."""
        self._size = len(self._heap) // 2
        return [heapq.heappop(self._heap)[2] for _ in range(len(self._heap) - self._size)]
