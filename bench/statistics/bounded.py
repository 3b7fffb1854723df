"""A value with the bounds of an interval: what estimates, effects and fits have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

Value = TypeVar("Value", bound=float | None, covariant=True)


class HasBounds(Protocol[Value]):
    """Anything that can be printed as ``0.81 (0.78-0.84)``.

    The bounds of an `Estimate` are the spread between runs; all others are those of a 95 %
    confidence interval. They are None for a single round.
    """

    @property
    def value(self) -> Value: ...

    @property
    def low(self) -> float | None: ...

    @property
    def high(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Bounded(Generic[Value]):
    """A value and the bounds of its 95 % confidence interval, None for a single round."""

    value: Value
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Threshold(Generic[Value]):
    """The N from which on something holds, and the bounds of its 95 % confidence interval.

    None, in each of the three, is an N that was not reached. ``known``: whether there are enough
    rounds for bounds (two).
    """

    clients: Value
    known: bool
    low: Value
    high: Value
