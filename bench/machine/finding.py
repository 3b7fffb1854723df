"""What one check of the machine found, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """In the order in which people want to read them."""

    DISTURBS = "disturbs"
    MAY_DISTURB = "may disturb"
    UNKNOWN = "unknown"
    FINE = "fine"


@dataclass(frozen=True, slots=True)
class Finding:
    """``kind`` names what was looked at, ``text`` says what is seen and what it does, ``advice``
    what to do, ``command`` does it. ``brief`` is the same in a few words, for one line on all that
    disturbs."""

    kind: str
    severity: Severity
    text: str
    advice: str | None = None
    command: str | None = None
    brief: str | None = None

    def __post_init__(self) -> None:
        if self.severity is Severity.DISTURBS and not (self.advice and self.brief):
            raise ValueError(f"{self.kind}: what disturbs needs advice and a brief")


def unknown(kind: str, text: str, advice: str | None = None) -> Finding:
    return Finding(kind, Severity.UNKNOWN, text, advice)


def fine(kind: str, text: str) -> Finding:
    return Finding(kind, Severity.FINE, text)
