"""CPU that a redo child burns on top of its own work: the notation, and the child's options.

A cost is the name of a preset, or ``us:REQUEST+RECORD`` in microseconds. Only this module reads
either. Standard library only, because the worker imports it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from bench.cases.names import unknown
from fake_redo_child.child.python_child import COST_PRESETS, MAX_COST_US

OWN_COST: Final = "us:"
NOTATION: Final = f"{', '.join(COST_PRESETS)} or {OWN_COST}REQUEST+RECORD"

_NS_PER_US: Final = 1000
_MOST_NS: Final = round(MAX_COST_US * _NS_PER_US)
# Whole nanoseconds, so that the child is told exactly what was asked for.
_OWN = re.compile(r"us:([0-9]{1,7}(?:\.[0-9]{1,3})?)\+([0-9]{1,7}(?:\.[0-9]{1,3})?)")


@dataclass(frozen=True, slots=True)
class ChildCost:
    """The CPU time that a child burns per redo, and per record of it, in ns."""

    request_ns: int
    record_ns: int

    def __post_init__(self) -> None:
        for price_ns in (self.request_ns, self.record_ns):
            if not 0 <= price_ns <= _MOST_NS:
                raise ValueError(f"{price_ns} ns: expected 0 to {_MOST_NS} ns")

    @classmethod
    def parse(cls, text: str) -> ChildCost:
        """``none``, ``pg14`` or ``us:9+0.5``. Raises ValueError."""
        if text in COST_PRESETS:
            return cls._of_us(*COST_PRESETS[text])
        if not text.startswith(OWN_COST):
            known = unknown("cost", text, tuple(COST_PRESETS))
            raise ValueError(f"{known}, or {OWN_COST}REQUEST+RECORD")
        match = _OWN.fullmatch(text)
        if match is None or max(map(float, match.groups())) > MAX_COST_US:
            raise ValueError(
                f"{text!r}: expected us:REQUEST+RECORD, as us:9+0.5: microseconds per request and"
                f" per record, each from 0 to {MAX_COST_US:.0f} with up to 3 decimals"
            )
        return cls._of_us(*map(float, match.groups()))

    def per_redo_s(self, records: float) -> float:
        """The CPU time of a redo with so many records."""
        return (self.request_ns + self.record_ns * records) / 1e9

    @classmethod
    def _of_us(cls, request_us: float, record_us: float) -> ChildCost:
        return cls(round(request_us * _NS_PER_US), round(record_us * _NS_PER_US))

    @property
    def name(self) -> str:
        """The notation of this cost, which ``parse`` reads: a preset's name if it equals one."""
        for preset, prices_us in COST_PRESETS.items():
            if self == self._of_us(*prices_us):
                return preset
        return f"{OWN_COST}{_us(self.request_ns)}+{_us(self.record_ns)}"

    def child_options(self) -> dict[str, Any]:
        """The arguments of `fake_redo_child.build.child_command` for it."""
        if self.name in COST_PRESETS:
            return {"cost": self.name}
        return {
            "cost_per_request_us": self.request_ns / _NS_PER_US,
            "cost_per_record_us": self.record_ns / _NS_PER_US,
        }


def cost_name(text: str) -> str:
    """The notation in which equal costs are equal text. Raises ValueError."""
    return ChildCost.parse(text).name


def _us(price_ns: int) -> str:
    """Microseconds without an exponent, and without zeros at the end."""
    return f"{price_ns / _NS_PER_US:.3f}".rstrip("0").rstrip(".")
