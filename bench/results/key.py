"""What a key of a result file is: its type, unit and meaning."""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA_VERSION = 1


PREFIX = "redo_"


Value = str | int | float


@dataclass(frozen=True, slots=True)
class Key:
    """One metadata key. ``unit`` is ``text``, ``yes/no``, ``count``, ``s`` and the like."""

    name: str
    unit: str
    meaning: str
