"""What one check of the machine found, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """The order is that in which findings are shown."""

    DISTURBS = "disturbs"
    MAY_DISTURB = "may disturb"
    UNKNOWN = "unknown"
    FINE = "fine"


@dataclass(frozen=True, slots=True)
class Finding:
    """``kind`` names the subject of the check. ``text``: what is seen, and its effect.

    ``advice``: what to do about it. ``command``: a command that does that. ``brief``: the finding
    in a few words, for a line that lists everything that disturbs.
    """

    kind: str
    severity: Severity
    text: str
    advice: str | None = None
    command: str | None = None
    brief: str | None = None

    def __post_init__(self) -> None:
        if self.severity is Severity.DISTURBS and not (self.advice and self.brief):
            raise ValueError(f"{self.kind}: what disturbs needs advice and a brief")


def disturbs(
    kind: str, text: str, advice: str, command: str | None = None, *, brief: str
) -> Finding:
    return Finding(kind, Severity.DISTURBS, text, advice, command, brief)


def may_disturb(kind: str, text: str, advice: str, command: str | None = None) -> Finding:
    return Finding(kind, Severity.MAY_DISTURB, text, advice, command)


def unknown(kind: str, text: str, advice: str | None = None) -> Finding:
    return Finding(kind, Severity.UNKNOWN, text, advice)


def fine(kind: str, text: str) -> Finding:
    return Finding(kind, Severity.FINE, text)
