"""Phrases that have a standard term or that readers stumble over, for all that a user reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase that readers stumble over: its pattern, what to write in its place, an example."""

    pattern: str
    instead: str
    example: str


BANNED: Final = (
    Phrase(
        r"\b(told|tells?|telling) ([\w-]+ ){0,6}apart\b",
        "significantly different, no significant difference, distinguish",
        "the two could not be told apart",
    ),
    Phrase(
        r"\b(of N|\d+) alone\b", "the N itself, as in (95 % CI: 2 to 2)", "from N = 2 (2 alone)"
    ),
    Phrase(
        r"(?<!\bat )\bleast\b(?! squares\b)",
        "minimum, smallest or lowest",
        "the least N that was measured",
    ),
    Phrase(
        r"`shows`|\. shows:",
        "minimum detectable effect (MDE)",
        "the column `shows`",
    ),
    Phrase(
        r"\bas far as (the |there are )?samples\b|\bsamples carry\b",
        "where there are enough samples",
        "up to p99.99, as far as the samples carry it",
    ),
    Phrase(r"\bat no N\b", "not at any measured N", "none: at no N"),
    Phrase(r"\bat the most\b", "at most", "in the same direction at the most"),
    Phrase(r"\bless of it\b", "a smaller difference", "at most, and less of it"),
    Phrase(
        r"\b(look|looks|looking) again and again\b|\bis paid for\b",
        "testing after every round raises the rate of false alarms",
        "To look again and again is paid for",
    ),
    Phrase(r"\b[Ww]hat is wrong is\b", "subject, verb, object", "What is wrong is one line"),
    Phrase(r"\b(for|by|of|from) who\b", "for those who", "it works for who hosts the project"),
    Phrase(
        r"\bhold(s|ing)? to 95 %|\b(hold|holds|held) the truth\b",
        "95 % CI, contains the true value",
        "Intervals hold to 95 %",
    ),
    Phrase(r"\bfor sure\b", "significantly", "more than 5 % for sure"),
)


def stumbles(text: str) -> Iterator[str]:
    """Each banned phrase of a text in its surroundings, with what to write in its place."""
    flat = " ".join(text.split())
    for phrase in BANNED:
        for found in re.finditer(phrase.pattern, flat, re.IGNORECASE):
            around = flat[max(0, found.start() - 40) : found.end() + 40]
            yield f"...{around}...: not {found[0]!r}, but: {phrase.instead}"


def check_plain(text: str) -> None:
    found = list(stumbles(text))
    assert not found, "\n".join(found)
