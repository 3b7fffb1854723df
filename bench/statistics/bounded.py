"""A value with the bounds of an interval: the shape that estimates, effects and fits share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

Value = TypeVar("Value", bound=float | None, covariant=True)


class HasBounds(Protocol[Value]):
    """What can be written as ``0.81 (0.78-0.84)``.

    An `Estimate` has the spread between runs as its bounds, everything else the bounds of a 95 %
    confidence interval. They are None where a single round shows none.
    """

    @property
    def value(self) -> Value: ...

    @property
    def low(self) -> float | None: ...

    @property
    def high(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Bounded(Generic[Value]):
    """A value and the bounds of its 95 % interval, None where a single round shows none."""

    value: Value
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Threshold(Generic[Value]):
    """The N from which on something holds, and the bounds of its 95 % interval.

    None, in each of the three, is an N that was not reached. ``known``: whether there are rounds
    enough for bounds (two).
    """

    clients: Value
    known: bool
    low: Value
    high: Value
