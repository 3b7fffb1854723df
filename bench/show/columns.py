"""A column of numbers that line up: one unit for all, named in its heading, and one number of
decimals, so that decimal points stand below each other.

Nothing here knows tables: values in, texts out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.show import units
from bench.statistics.bounded import HasBounds

ABSENT: Final = "-"
_DIGITS: Final = 3
"""That the least number of a column has at least; the others have its decimals."""

_MOST_DECIMALS: Final = 3
_MIB: Final = 1 << 20
_FAR_OUT: Final = 999
_SMALL: Final = 0.05
"""Ratios below are said to a decimal more."""


@dataclass(frozen=True, slots=True)
class Column:
    """``unit`` as ``us``, empty for none; ``texts`` of the values in their order."""

    unit: str
    texts: tuple[str, ...]


def seconds(values: Sequence[float | None]) -> Column:
    """Durations, in the unit of the least."""
    return _column(values, units.TIME)


def rates(values: Sequence[float | None]) -> Column:
    """Events per second, or counts, in the unit of the least."""
    return _column(values, units.SIZE)


Numbers = Callable[[Sequence[float | None]], Column]


def sizes(values: Sequence[float | None]) -> Column:
    """Bytes, in the unit of the least."""
    return _column(values, units.BYTES)


def of_unit(unit: str) -> Numbers:
    """How a column of values in this unit of a result file's key is written."""
    return rates if unit == "1/s" else seconds


def microseconds(decimals: int) -> Numbers:
    """Durations as us, whatever their size, with so many decimals."""
    return lambda values: Column(
        "us", _texts([None if v is None else v * 1e6 for v in values], decimals)
    )


def mebibytes(decimals: int) -> Numbers:
    """Bytes as MiB, whatever their size, with so many decimals."""
    return lambda values: Column(
        "MiB", _texts([None if v is None else v / _MIB for v in values], decimals)
    )


def plain(decimals: int) -> Numbers:
    """Numbers that need no unit, with so many decimals."""
    return lambda values: Column("", _texts(values, decimals))


def factors(values: Sequence[float | None]) -> Column:
    """Ratios, in hundredths: what is further behind would only be noise. In thousandths where one
    is so small that hundredths would not tell it from others."""
    return Column("", _texts(values, _decimals(values)))


def _decimals(ratios: Iterable[float | None]) -> int:
    return 3 if any(one is not None and 0 < one < _SMALL for one in ratios) else 2


def intervals(values: Sequence[HasBounds[float] | None]) -> Column:
    """Ratios with their intervals, as ``0.81 (0.78-0.84)`` or ``0.81 (?)``, the ratios with their
    decimal points below each other."""
    ratios = [None if one is None else one.value for one in values]
    decimals = _decimals(ratios)
    brackets = [
        "" if one is None else units.bracket(_bound(one.low, decimals), _bound(one.high, decimals))
        for one in values
    ]
    width = max(map(len, brackets), default=0)
    return Column(
        "",
        tuple(
            f"{ratio} {bracket:<{width}}" if bracket else ABSENT
            for ratio, bracket in zip(_texts(ratios, decimals), brackets, strict=True)
        ),
    )


def _bound(bound: float | None, decimals: int) -> str | None:
    """A bound. One that is so far out that it means nothing needs no digits."""
    if bound is None:
        return None
    least = 10.0**-decimals
    if bound < least / 2:
        return f"<{least:.{decimals}f}"
    return f">{_FAR_OUT}" if bound > _FAR_OUT else f"{bound:.{decimals}f}"


def shares(values: Sequence[float | None], decimals: int = 0) -> Column:
    """Shares as percentages."""
    return Column("%", _texts([None if v is None else v * 100 for v in values], decimals))


def _column(values: Sequence[float | None], scales: Sequence[tuple[float, str]]) -> Column:
    if all(value is None for value in values):
        return Column("", _texts(values, 0))
    known = [abs(value) for value in values if value]
    scale, unit = units.scale_of(min(known, default=0.0), scales)
    decimals = 0
    if known:
        digits_before = math.floor(math.log10(min(known) / scale) + 1e-9) + 1
        decimals = min(max(0, _DIGITS - digits_before), _MOST_DECIMALS)
    return Column(unit, _texts([None if v is None else v / scale for v in values], decimals))


def _texts(values: Sequence[float | None], decimals: int) -> tuple[str, ...]:
    return tuple(ABSENT if v is None else f"{v:.{decimals}f}" for v in values)
