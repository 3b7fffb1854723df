"""The counters of a manager, and the snapshot that ``status()`` returns. No policy, no I/O."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields

from walredo.config import ManagerKind, TransportKind
from walredo.errors import Cause


@dataclass(slots=True)
class StreamCounters:
    """Counts of one child's traffic. Guarded by the lock that guards the child's pipeline."""

    redos: int = 0
    records: int = 0
    pings: int = 0
    fences: int = 0
    pages_dropped: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    read_calls: int = 0
    write_calls: int = 0
    poll_calls: int = 0
    in_flight_peak: int = 0

    def add(self, other: StreamCounters) -> None:
        """Adds the counts of another child, and keeps the higher of the two peaks."""
        for counter in fields(self):
            name = counter.name
            ours, theirs = getattr(self, name), getattr(other, name)
            setattr(self, name, max(ours, theirs) if name == "in_flight_peak" else ours + theirs)


@dataclass(slots=True)
class LifeCounters:
    """Counts of children and failures of a manager. Guarded by the lock of its life cycle."""

    launches: int = 0
    launch_ns_total: int = 0
    launch_ns_last: int | None = None
    kills: Counter[Cause] = field(default_factory=Counter)
    errors: Counter[Cause] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class ManagerStatus:
    """A snapshot of a manager. Counters cover all its children; a count it does not keep is 0.

    ``loop``: the module of the event loop, None for a sync manager.
    ``pipe_bytes``: the sizes of the pipes to and from the child, None without a child.
    ``transport``: what carries requests and pages. With shared memory ``read_calls`` and
    ``write_calls`` are those that wake a side.
    ``redos``, ``records``, ``pings``: answered ones.
    ``fences``: pings sent between redos whose pages begin alike.
    ``pages_dropped``: pages of cancelled redos.
    ``poll_calls``: poll(2) calls of a sync manager, readiness callbacks of an async manager (which
    cannot see how its loop waits).
    ``kills``: children taken out of rotation, by cause.
    ``errors``: failed attempts by cause; one redo may have several.
    """

    kind: ManagerKind
    loop: str | None
    pid: int | None
    shut_down: bool
    pipe_bytes: tuple[int, int] | None
    in_flight: int
    in_flight_peak: int = 0
    redos: int = 0
    records: int = 0
    pings: int = 0
    fences: int = 0
    pages_dropped: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    read_calls: int = 0
    write_calls: int = 0
    poll_calls: int = 0
    launches: int = 0
    launch_ns_total: int = 0
    launch_ns_last: int | None = None
    kills: dict[Cause, int] = field(default_factory=dict)
    errors: dict[Cause, int] = field(default_factory=dict)
    transport: TransportKind = TransportKind.PIPE
