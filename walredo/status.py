"""Counters of a manager and the snapshot of them that ``status()`` returns. No policy, no I/O."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields

from walredo.config import ManagerKind
from walredo.errors import Cause


@dataclass(slots=True)
class StreamCounters:
    """What went over one child's streams. Guarded by whatever guards that child's pipeline."""

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
        """Adds another child's counts; of the peaks the higher one stays."""
        for each in fields(self):
            ours, theirs = getattr(self, each.name), getattr(other, each.name)
            total = max(ours, theirs) if each.name == "in_flight_peak" else ours + theirs
            setattr(self, each.name, total)


@dataclass(slots=True)
class LifeCounters:
    """Children and failures over a manager's life. Guarded by whatever guards its life cycle."""

    launches: int = 0
    launch_ns_total: int = 0
    launch_ns_last: int | None = None
    kills: Counter[Cause] = field(default_factory=Counter)
    errors: Counter[Cause] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class ManagerStatus:
    """One moment of a manager.

    ``loop``: the event loop's module, None for a sync manager. ``errors``: failed attempts at a
    redo by cause (a redo may have several). ``kills``: children taken out of rotation by cause.
    ``redos``, ``records``, ``pings``: answered ones. ``fences``: pings between redos whose pages
    begin alike. ``pages_dropped``: answers to redos that were cancelled. ``poll_calls``: poll(2)
    calls of a sync manager, readiness callbacks of an async one (its loop's own waiting is not
    visible to it). ``pipe_bytes``: sizes of the pipes to and from the child as the kernel granted
    them. What a manager does not count is 0.
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
