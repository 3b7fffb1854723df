"""The list of all kinds of manager, and the kind of a name."""

from __future__ import annotations

from functools import cache
from typing import Final

from bench.cases.managers.floor import FLOOR
from bench.cases.managers.kind import Kind
from bench.cases.managers.noop import NOOP_ASYNC, NOOP_SYNC
from bench.cases.managers.on_loop import ASYNC, ASYNC_UVLOOP
from bench.cases.managers.streams import STREAMS
from bench.cases.managers.sync import SYNC
from bench.cases.managers.yours import OWN, PEER, PEER_PREFIX, own_choice
from bench.cases.names import unknown

KINDS: Final = (SYNC, ASYNC, ASYNC_UVLOOP, FLOOR, STREAMS, NOOP_SYNC, NOOP_ASYNC, PEER, OWN)

MANAGERS: Final = tuple(kind.name for kind in KINDS if kind.pattern is None)
"""The names of the suite's own managers."""

NAMES: Final = tuple(kind.name for kind in KINDS)
"""How all managers are written, for help texts."""


@cache
def find(manager: str) -> Kind | None:
    """The kind of that manager; None if this version knows none, as a case of a file may have."""
    return next((kind for kind in KINDS if kind.matches(manager)), None)


def kind_of(manager: str) -> Kind:
    """The kind of that manager. Raises ValueError if there is none, and none can be."""
    kind = find(manager)
    if kind is not None:
        return kind
    if manager.partition(":")[0] == PEER_PREFIX.removesuffix(":"):
        raise ValueError(f"{manager!r}: expected peer:KIND, as in peer:async (docs/peer.md)")
    if set(manager) & set(".:=/"):
        example = "as examples.lock_manager:create (docs/extending.md)"
        raise ValueError(f"{manager!r}: a manager of your own is {OWN.name}, {example}")
    raise ValueError(unknown("manager", manager, (*MANAGERS, OWN.name)))


def manager_label(choice: str) -> str:
    """What cases call the manager that is chosen so. Raises ValueError if there is none."""
    own = own_choice(choice)
    if own is not None:
        return own.name
    if kind_of(choice) is OWN:
        raise ValueError(f"{choice!r}: expected its module as well, as {OWN.name}")
    return choice


def competes(manager: str) -> bool:
    """Whether that is a manager, and no yardstick."""
    kind = find(manager)
    return kind is None or kind.is_manager


def is_rival(manager: str) -> bool:
    """Whether results compare that manager with sync."""
    return competes(manager) and manager != SYNC.name
