"""When to spin before a wait. No clock, no waiting: the sessions and transports ask and report."""

from __future__ import annotations

MAX_SKIPPED = 64
"""The most waits in a row that are not preceded by a spin."""


class Spinning:
    """Whether the next wait begins with a spin of ``ns``, by the success of those before.

    A spin pays only if the child answers meanwhile. Where it has no CPU of its own it cannot, and
    spinning takes its time away. So each spin that found nothing doubles the number of waits
    without one, and a spin that found something ends that.
    """

    __slots__ = ("_skip", "_to_skip", "ns")

    def __init__(self, ns: int) -> None:
        self.ns = ns
        self._skip = self._to_skip = 0

    def begins(self) -> bool:
        """Whether the wait that begins now is to spin first. To be asked once per wait."""
        if self._to_skip:
            self._to_skip -= 1
            return False
        return self.ns > 0

    def ended(self, *, found: bool) -> None:
        """Reports a spin, and whether it found anything."""
        self._skip = 0 if found else min(max(1, 2 * self._skip), MAX_SKIPPED)
        self._to_skip = self._skip
