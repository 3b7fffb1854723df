"""What one check of the machine found, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """The order is that in which findings are shown."""

    DISTURBS = "disturbs"
    MAY_DISTURB = "may disturb"
    UNKNOWN = "unknown"
    FINE = "fine"


@dataclass(frozen=True, slots=True)
class Finding:
    """``kind``: the subject of the check, which `checks.examine` fills in. ``text``: what is seen,
    and its effect.

    ``advice``: what to do about it. ``command``: a command that does that. ``brief``: the finding
    in a few words, for a line that lists everything that disturbs.
    """

    kind: str = field(default="", kw_only=True)
    severity: Severity
    text: str
    advice: str | None = None
    command: str | None = None
    brief: str | None = None

    def __post_init__(self) -> None:
        if self.severity is Severity.DISTURBS and not (self.advice and self.brief):
            raise ValueError(f"{self.text}: what disturbs needs advice and a brief")


def disturbs(text: str, advice: str, command: str | None = None, *, brief: str) -> Finding:
    return Finding(Severity.DISTURBS, text, advice, command, brief)


def may_disturb(text: str, advice: str, command: str | None = None) -> Finding:
    return Finding(Severity.MAY_DISTURB, text, advice, command)


def unknown(text: str) -> Finding:
    return Finding(Severity.UNKNOWN, text)


def fine(text: str) -> Finding:
    return Finding(Severity.FINE, text)
