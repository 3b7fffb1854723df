"""The rooms of bench/: what each is for, what it may import, and what others may use of it.

The one table of them. A test holds the code to it, and the picture in docs/architecture.md is drawn
from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

COMMON: Final = ("bench.errors", "bench.interrupts", "bench.places")
"""What every room may import: these modules import nothing of the project."""


@dataclass(frozen=True, slots=True)
class Room:
    """``doors``: the modules that other rooms may import, below the room. ``may``: which other
    rooms it may import, and which of their modules if not all doors. ``packages``: which other
    packages of the project."""

    says: str
    doors: tuple[str, ...]
    may: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


ROOMS: Final[Mapping[str, Room]] = {
    "wal": Room(
        "PostgreSQL's WAL as requests",
        doors=("capture", "chains", "lsn"),
        packages=("walredo",),
    ),
    "cases": Room(
        "what can be asked for",
        doors=(
            *(
                "case",
                "config",
                "cost",
                "matrix",
                "names",
                "notations",
                "own",
                "placement",
            ),
            *("managers.kind", "managers.floor", "managers.registry", "managers.yours"),
        ),
        packages=("fake_redo_child",),
    ),
    "worker": Room(
        "what runs in the measured process",
        doors=("meters", "protocol", "tenant_limits"),
        may=("cases",),
        packages=("walredo",),
    ),
    "machine": Room(
        "what on this machine disturbs",
        doors=("cgroup", "checks", "disturbance", "finding", "machine", "pipes"),
        may=("cases",),
    ),
    "results": Room(
        "what a run leaves, and its file",
        doors=(
            *(
                "claim",
                "disturbance",
                "environment",
                "git",
                "histogram",
                "key",
                "keys",
                "naming",
                "record",
                "row",
            ),
            *("result_file", "samples", "suite_file", "summary", "measures.*"),
        ),
        may=("cases", "worker.protocol"),
    ),
    "statistics": Room(
        "what rows say, and how sure",
        doors=(
            *(
                "bounded",
                "comparison",
                "control",
                "crossover",
                "cumulative",
                "effects",
                "gate",
                "history",
            ),
            *("knee", "rounds", "scalability", "tails"),
        ),
        may=("cases", "results"),
    ),
    "running": Room(
        "processes, runs, rounds, pairs",
        doors=(
            *("ab", "peer", "processes", "run", "schedule", "snapshots", "watched"),
            *("equipment.*", "selftest.*"),
        ),
        may=("cases", "worker", "results", "statistics", "machine"),
        packages=("walredo", "fake_redo_child"),
    ),
    "show": Room(
        "how a result is told",
        doors=(
            *("against", "columns", "comparison", "exports", "families", "fields", "findings"),
            *("history", "layout", "side_by_side", "side_by_side_table", "summary", "tails"),
            *("units", "view", "page.page", "pictures.*"),
        ),
        may=("cases", "results", "statistics"),
    ),
    "experiments": Room(
        "a folder per experiment",
        doors=("registry",),
        may=("cases", "results", "statistics", "show"),
    ),
    "cli": Room(
        "a file per command",
        doors=("main",),
        may=(
            *("cases", "worker", "results", "statistics", "machine", "running", "show"),
            *("experiments", "wal"),
        ),
        packages=("walredo",),
    ),
}
"""From the bottom up: no room imports one that stands below it here."""


def room_of(module: str) -> str | None:
    """The room that a module is in; None for the front door and for other packages."""
    package, _, rest = module.partition(".")
    name = rest.partition(".")[0]
    return name if package == "bench" and name in ROOMS else None


def is_door(module: str) -> bool:
    """Whether other rooms may import that module of a room."""
    name = room_of(module)
    if name is None:
        return False
    inside = module.removeprefix(f"bench.{name}").removeprefix(".")
    return any(
        inside == door or (door.endswith(".*") and inside.startswith(door[:-1]))
        for door in ROOMS[name].doors
    )


def may_import(module: str, target: str) -> bool:
    """Whether a module of a room may import that module of the project."""
    name = room_of(module)
    if name is None or room_of(target) == name or target in ("bench", *COMMON):
        return True
    room, other = ROOMS[name], room_of(target)
    if other is None:
        return target.partition(".")[0] in room.packages
    inside = target.removeprefix("bench.")
    return (other in room.may and is_door(target)) or inside in room.may
