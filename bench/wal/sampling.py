"""A sample of things that come one by one, nobody knows how many."""

from __future__ import annotations

import math
import random
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Reservoir(Generic[_T]):
    """Keeps ``size`` of the things it is offered, each set of that size as likely as any other.

    Li 1994, algorithm L: between two that are taken it needs no random number. ``offered``: how
    many there were.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.kept: list[_T] = []
        self.offered = 0
        self._size = size
        self._random = random.Random(seed)
        self._weight = 1.0
        self._next = size

    def offer(self, thing: _T) -> tuple[bool, _T | None]:
        """Whether it is kept, and the one that it replaces."""
        at = self.offered
        self.offered += 1
        if at < self._size:
            self.kept.append(thing)
            if at + 1 == self._size:
                self._skip()
            return True, None
        if at != self._next:
            return False, None
        index = self._random.randrange(self._size)
        replaced, self.kept[index] = self.kept[index], thing
        self._skip()
        return True, replaced

    def _skip(self) -> None:
        self._weight *= math.exp(math.log(self._uniform()) / self._size)
        step = math.log(self._uniform()) / math.log1p(-self._weight)
        self._next = max(self._next, self.offered) + math.floor(step)

    def _uniform(self) -> float:
        """Above 0, at most 1."""
        return 1.0 - self._random.random()
