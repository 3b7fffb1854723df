"""Numbers as people read them: three significant digits and a unit that keeps them short."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from bench.results.key import Key, Value
from bench.statistics.bounded import HasBounds, Threshold

TIME = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
SIZE = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
BYTES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1.0, "B"))
_DIGITS = 3

N = TypeVar("N", bound=float | None)


def seconds(value: float) -> str:
    """Seconds as ``24.7 us``."""
    scale, unit = scale_of(value, TIME)
    return f"{number(value / scale)} {unit}"


def rate(value: float) -> str:
    """Events per second as ``40.4 k/s``."""
    scale, unit = scale_of(value, SIZE)
    return f"{number(value / scale)} {unit}/s"


def short_rate(value: float) -> str:
    """Events per second in a column whose heading says so: ``40.4k``."""
    return rate(value).removesuffix("/s").replace(" ", "")


def factor(value: float) -> str:
    """A ratio as ``3.10x`` or ``0.95x``: hundredths, where a third digit would only be noise."""
    return f"{value:.2f}x" if 0.1 <= value < 9.995 else f"{number(value)}x"


def size(value: float) -> str:
    """Bytes as ``16.0 MiB``."""
    scale, unit = scale_of(value, BYTES)
    return f"{number(value / scale)} {unit}"


def scale_of(value: float, scales: Sequence[tuple[float, str]]) -> tuple[float, str]:
    """Factor and name of the unit in which the value has one to three digits before its point."""
    size = abs(_rounded(value))
    if size == 0.0:
        return next(entry for entry in scales if entry[0] == 1.0)
    # The margin keeps 1000 us, a float a little under 0.001 s, from staying 1000 us.
    return next((entry for entry in scales if size >= entry[0] * (1 - 1e-9)), scales[-1])


def _rounded(value: float) -> float:
    if value == 0.0 or not math.isfinite(value):
        return value
    return round(value, _DIGITS - 1 - math.floor(math.log10(abs(value))))


def number(value: float) -> str:
    """A plain number as ``0.0123`` or ``4.50``."""
    value = _rounded(value)
    if value == 0.0:
        return "0"
    whole = math.floor(math.log10(abs(value)) + 1e-9) + 1
    return f"{value:.{max(0, _DIGITS - whole)}f}"


_MAX_PERCENT: Final = 999


def percent(share: float) -> str:
    """A share as the number of per cent, without the sign: ``3.2``, ``26`` or ``>999``."""
    if share * 100 > _MAX_PERCENT:
        return f">{_MAX_PERCENT}"
    return f"{share * 100:.2g}" if share < 0.995 else f"{share * 100:.0f}"


def counted(count: int, noun: str) -> str:
    """As ``1 round`` or ``7 rounds``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def bracket(low: str | None, high: str | None, separator: str = "-") -> str:
    """Bounds as ``(0.78-0.84)`` or ``(2 to 8)``; ``(?)`` where a single round has none."""
    return "(?)" if low is None or high is None else f"({low}{separator}{high})"


def bounded(
    one: HasBounds[float],
    show: Callable[[float], str],
    show_bound: Callable[[float], str] | None = None,
) -> str:
    """A value with its bounds, as ``40.4k (39.9k-41.0k)`` or ``40.4k (?)``."""
    low, high = (
        None if bound is None else (show_bound or show)(bound) for bound in (one.low, one.high)
    )
    return f"{show(one.value)} {bracket(low, high)}"


def threshold(found: Threshold[N], named: Callable[[N], str], separator: str = " to ") -> str:
    """As ``4 (2 to 8)``, ``4 (?)`` where the bounds are not known, ``4`` where they say the same;
    ``named`` says an N."""
    point, low, high = map(named, (found.clients, found.low, found.high))
    if not found.known:
        return f"{point} {bracket(None, None)}"
    return point if point == low == high else f"{point} {bracket(low, high, separator)}"


_FORMATS: dict[str, Callable[[float], str]] = {
    "s": seconds,
    "s/redo": seconds,
    "1/s": rate,
    "bytes": size,
    "1/redo": number,
    "ratio": number,
    "yes/no": lambda value: "yes" if value else "no",
}


def formatted(key: Key, value: Value) -> str:
    """The value of a result file's key as people read it, with its unit."""
    if isinstance(value, str):
        return value
    return _FORMATS.get(key.unit, str)(value)
