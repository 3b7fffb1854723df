"""A column of numbers that line up: one unit for all, named in its heading, and one number of
decimals, so that decimal points stand below each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.show import units
from bench.statistics.bounded import HasBounds

ABSENT: Final = "-"
_FAR_OUT: Final = 999


@dataclass(frozen=True, slots=True)
class Column:
    """``unit`` as ``us``, empty for none; ``texts`` of the values in their order."""

    unit: str
    texts: tuple[str, ...]


Values = Sequence[float | None]
Numbers = Callable[[Values], Column]


def seconds(values: Values, beside: Values = ()) -> Column:
    """Durations, in the unit of the smallest; or in that of the values of the column ``beside``,
    where any is known."""
    known = any(value is not None for value in beside)
    return _in_one_unit(values, units.TIME, beside if known else values)


def rates(values: Values) -> Column:
    """Events per second, or counts, in the unit of the smallest."""
    return _in_one_unit(values, units.SIZE)


def sizes(values: Values) -> Column:
    """Bytes, in the unit of the smallest."""
    return _in_one_unit(values, units.BYTES)


def of_unit(unit: str) -> Numbers:
    """How a column of values in this unit of a result file's key is written."""
    return rates if unit == "1/s" else seconds


def microseconds(decimals: int) -> Numbers:
    """Durations as us, whatever their size, with so many decimals."""
    return lambda values: Column("us", _texts(values, decimals, times=1e6))


def mebibytes(decimals: int) -> Numbers:
    """Bytes as MiB, whatever their size, with so many decimals."""
    return lambda values: Column("MiB", _texts(values, decimals, times=1 / (1 << 20)))


def plain(decimals: int) -> Numbers:
    """Numbers that need no unit, with so many decimals."""
    return lambda values: Column("", _texts(values, decimals))


def shares(values: Values, decimals: int = 0) -> Column:
    """Shares as percentages."""
    return Column("%", _texts(values, decimals, times=100))


def factors(values: Values) -> Column:
    """Ratios, in hundredths: what is further behind would only be noise. In thousandths where one
    is so small that hundredths would hide its differences."""
    return Column("", _texts(values, _decimals(values)))


def intervals(values: Sequence[HasBounds[float] | None]) -> Column:
    """Ratios with their intervals, as ``0.81 (0.78-0.84)`` or ``0.81 (?)``, the ratios with their
    decimal points below each other."""
    ratios = [None if found is None else found.value for found in values]
    decimals = _decimals(ratios)

    def bound(value: float | None) -> str | None:
        """A bound that is so far out that it means nothing needs no digits."""
        if value is None:
            return None
        least = 10.0**-decimals
        if value < least / 2:
            return f"<{least:.{decimals}f}"
        return f">{_FAR_OUT}" if value > _FAR_OUT else f"{value:.{decimals}f}"

    brackets = [
        "" if found is None else units.bracket(bound(found.low), bound(found.high))
        for found in values
    ]
    width = max(map(len, brackets), default=0)
    texts = (
        f"{ratio} {bracket:<{width}}" if bracket else ABSENT
        for ratio, bracket in zip(_texts(ratios, decimals), brackets, strict=True)
    )
    return Column("", tuple(texts))


def _decimals(ratios: Iterable[float | None]) -> int:
    return 3 if any(ratio is not None and 0 < ratio < 0.05 for ratio in ratios) else 2


def _in_one_unit(
    values: Values, scales: Sequence[tuple[float, str]], unit_of: Values | None = None
) -> Column:
    """At least three digits for the smallest, up to three decimals; the others have as many.
    ``unit_of``: whose smallest decides on the unit, if not these values'."""
    if all(value is None for value in values):
        return Column("", _texts(values, 0))
    scale, unit = units.scale_of(_smallest(values if unit_of is None else unit_of), scales)
    decimals = 0
    if smallest := _smallest(values):
        digits_before = math.floor(math.log10(smallest / scale) + 1e-9) + 1
        decimals = min(max(0, 3 - digits_before), 3)
    return Column(unit, _texts([None if v is None else v / scale for v in values], decimals))


def _smallest(values: Values) -> float:
    """Of those that are not 0, without its sign; 0 where there is none."""
    return min((abs(value) for value in values if value), default=0.0)


def _texts(values: Values, decimals: int, times: float = 1) -> tuple[str, ...]:
    return tuple(ABSENT if v is None else f"{v * times:.{decimals}f}" for v in values)
