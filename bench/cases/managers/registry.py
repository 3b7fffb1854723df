"""Every kind of manager of the suite, the list of all kinds, and the kind of a name."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Final

from bench.cases.managers.kind import UVLOOP, Kind, Look
from bench.cases.managers.yours import OWN, PEER, PEER_PREFIX
from bench.cases.names import unknown

SYNC: Final = Kind(
    name="sync",
    subject="bench.worker.subjects.manager:walredo_subject",
    has_tenants=True,
    is_walredo=True,
    look=Look("#D55E00", "o"),
    # Besides: two eventfd; a thread that reads the child's stderr, and the client's thread.
    per_tenant=(5, 3),
)
"""walredo's sync manager: a thread per client, each of which waits for the child in poll(2)."""

ASYNC: Final = Kind(
    name="async",
    subject="bench.worker.subjects.manager:walredo_subject",
    has_tenants=True,
    is_async=True,
    is_walredo=True,
    look=Look("#0072B2", "s"),
)
"""walredo's async manager, on asyncio's own event loop."""

ASYNC_UVLOOP: Final = replace(ASYNC, name="async-uvloop", loop=UVLOOP, look=Look("#009E73", "^"))

FLOOR: Final = Kind(
    name="floor",
    subject="bench.worker.subjects.floor:FloorSubject",
    is_python=False,
    is_manager=False,
)
"""A C client that does nothing else, so what the same traffic costs at the least."""

STREAMS: Final = Kind(
    name="streams",
    subject="bench.worker.subjects.manager:streams_subject",
    has_tenants=True,
    is_async=True,
    look=Look("#CC79A7", "D"),
    # There is no pipe for stderr, but the child's pidfd, or a thread that waits for its end.
    per_tenant=(3, 2),
)
"""A manager as one would write it first, with asyncio's streams and a lock: a yardstick."""

NOOP_SYNC: Final = Kind(
    name="noop-sync",
    subject="bench.worker.subjects.noop:NoopSubject",
    has_child=False,
    is_manager=False,
    look=Look("#E69F00", "v"),
)
"""No manager at all, but a page that is ready: what a redo takes is what the harness costs."""

NOOP_ASYNC: Final = replace(NOOP_SYNC, name="noop-async", is_async=True, look=Look("#56B4E9", "P"))

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
    raise ValueError(unknown("manager", manager, MANAGERS))


def competes(manager: str) -> bool:
    """Whether that is a manager, and no yardstick."""
    kind = find(manager)
    return kind is None or kind.is_manager


def is_rival(manager: str) -> bool:
    """Whether results compare that manager with sync."""
    return competes(manager) and manager != SYNC.name
