"""A metadata key of a result file: its unit and its meaning."""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA_VERSION = 1
PREFIX = "redo_"
SUFFIXES = (".json", ".json.gz")
"""How the names of result files end."""

Value = str | int | float


@dataclass(frozen=True, slots=True)
class Key:
    """``unit`` is ``text``, ``yes/no``, ``count``, ``s`` and the like."""

    name: str
    unit: str
    meaning: str
