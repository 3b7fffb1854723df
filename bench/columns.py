"""A column of numbers that line up: one unit for all, named in its heading, and one number of
decimals, so that decimal points stand below each other.

Nothing here knows tables: values in, texts out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench import units

_ABSENT: Final = "-"
_DIGITS: Final = 3
"""That the least number of a column has at least; the others have its decimals."""

_MOST_DECIMALS: Final = 3


@dataclass(frozen=True, slots=True)
class Column:
    """``unit`` as ``us``, empty for none; ``texts`` of the values in their order."""

    unit: str
    texts: tuple[str, ...]


def seconds(values: Sequence[float | None]) -> Column:
    """Durations, in the unit of the least."""
    return _column(values, units.TIME)


def rates(values: Sequence[float | None]) -> Column:
    """Events per second, in thousands or millions where all are that great."""
    return _column(values, units.SIZE)


def factors(values: Sequence[float | None]) -> Column:
    """Ratios, in hundredths: what is further behind would only be noise."""
    return Column("", tuple(_ABSENT if v is None else f"{v:.2f}" for v in values))


def shares(values: Sequence[float | None]) -> Column:
    """Shares as whole percentages."""
    return Column("%", tuple(_ABSENT if v is None else f"{v * 100:.0f}" for v in values))


def _column(values: Sequence[float | None], scales: Sequence[tuple[float, str]]) -> Column:
    known = [abs(value) for value in values if value]
    scale, unit = units.scale_of(min(known), scales) if known else (1.0, scales[0][1])
    decimals = 0
    if known:
        digits_before = math.floor(math.log10(min(known) / scale) + 1e-9) + 1
        decimals = min(max(0, _DIGITS - digits_before), _MOST_DECIMALS)
    texts = (_ABSENT if v is None else f"{v / scale:.{decimals}f}" for v in values)
    return Column(unit, tuple(texts))
