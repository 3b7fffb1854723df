"""What the suite and its workers say to each other, over a worker's stdin and stdout.

Lines of JSON, one object each. A command has the field ``command``, a reply the field ``reply``;
samples follow their reply as raw bytes, never as text. Standard library only: both sides import it.

    suite                                   worker
    open: the fields of WorkerSpec      ->  opened: pid, child_pid, metadata
    slice: seconds                      ->  slice: payload_bytes, usage, series, counts; then the
                                            payload and the series
    report                              ->  report: child_user_share, counters, metadata
    stop (or end of input)              ->  stopped; the worker exits 0

Whatever goes wrong is answered with ``error: reason``, once; then the worker exits 1.

The payload of a slice is native-endian int64: for each client start_ns, end_ns (after the barrier)
and redos; then all latency samples in ns, client after client. A series is what else was sampled,
int64 too: ``series`` has how many integers of each follow, by name, in that order. ``counts`` are
single integers by name.

Version 2 brought series and counts, version 3 transport and build: a dimension's declaration says
which version brought it. A case is opened as the oldest version that can say all of it, so `ab`
can measure older workers; these ignore fields that they do not know. A dimension that is new needs
a new version: an older worker must refuse a case in which it differs from its default.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from bench.cases.case import DIMENSIONS, Case
from bench.cases.names import NO_FAULT, spin_us
from bench.cases.notations import REDO

PROTOCOL_VERSION: Final = 3

BY_CONTENT: Final = "content"
BY_LENGTH: Final = "length"

STRIDE: Final = 17
"""Client c begins with request ``STRIDE * c`` (modulo their number), so that neighbours differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec(Case):
    """A case, and what its worker needs besides.

    ``load`` is closed or has a rate: what a percentage comes to is known by then. ``requests`` and
    ``pages`` are files (see `bench.running.equipment.workloads`).
    """

    child_command: tuple[str, ...]
    requests: str
    pages: str
    timeout_s: float
    floor_program: str | None = None
    """Set for the floor only."""
    library_path: str | None = None
    """Where uvloop is found, if it is needed."""
    core_path: str | None = None
    """Where the compiled walredo is found, if that is the build."""
    arrivals_seed: str = ""
    """Of the arrivals of an open loop, each slice of which has others."""
    data_bytes: int = 0
    """This and the next three are the read path, where there is one."""
    download_ms: float = 0.0
    download_share: float = 0.0
    budget_bytes: int = 0
    manager_path: tuple[str, ...] = ()
    """Folders to import a manager of the user's from."""
    page_check: str = BY_CONTENT
    """By content, or by length where the pages that must come are not known."""

    @property
    def ping(self) -> bool:
        """Whether clients ping in place of redoing."""
        return self.workload == "ping"

    @property
    def spin_us(self) -> int:
        """How long the manager polls before it waits; 0: not at all."""
        return spin_us(self.wait)

    @property
    def child_may_end(self) -> bool:
        """Whether a child that ends is part of the case, and no failure of the run."""
        return self.fault != NO_FAULT or self.scenario != REDO

    def to_message(self) -> dict[str, Any]:
        """The command that opens the case, of the oldest version that can say all of it."""
        values = asdict(self)
        since = {**{name: each.protocol for name, each in DIMENSIONS.items()}, **_SINCE}
        version = max(
            since[item.name]
            for item in fields(self)
            if item.name in since and values[item.name] != item.default
        )
        # Workers of a version before `workload` and `wait` were sent look for these.
        older = {name: getattr(self, name) for name in ("ping", "spin_us", "child_may_end")}
        return {"command": "open", **values, **older, "protocol": version}

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> WorkerSpec:
        """Raises ValueError where the other side is of another version."""
        version = message.get("protocol")
        if not isinstance(version, int) or not 1 <= version <= PROTOCOL_VERSION:
            raise ValueError(
                f"the suite speaks worker protocol {version}, this worker up to {PROTOCOL_VERSION}"
            )
        values = {item.name: message[item.name] for item in fields(cls)}
        for name in ("child_command", "manager_path"):
            values[name] = tuple(values[name])
        return cls(**values)


_SINCE: Final = {"manager_path": 2, "page_check": 2}
"""The version that brought a field which is no dimension, and which a case can need alone."""


def encode(message: dict[str, Any]) -> bytes:
    """A message as its line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes, kind: str, names: Sequence[str]) -> dict[str, Any]:
    """The message of a line. ``kind`` is "command" or "reply".

    Raises ValueError if it is not one of ``names``.
    """
    message = json.loads(line)
    if not isinstance(message, dict) or message.get(kind) not in names:
        raise ValueError(f"expected a {kind} of {', '.join(names)}, got {line[:200]!r}")
    return message


PIPE_FACTS: Final = ("redo_worker_pipe_bytes_to_child", "redo_worker_pipe_bytes_from_child")
"""Facts of a report: the sizes of the smallest pipes of any manager."""

REDO_END: Final = "redo_end_ns"
"""Series of a closed loop: when each redo ended, client after client. Only differences have a
meaning: the zero is another one for each kind of manager."""

FROM_CALL: Final = "from_call_ns"
"""Series: of every redo what the client saw that made it, from its call to its page."""

PACER_LATE: Final = "pacer_late_ns"
"""Series: of every arrival that a free client awaited, how late it called."""

PERIOD_NS: Final = 1_000_000
"""The time between two beats of a heartbeat."""

LATE: Final = "heartbeat_late_ns"
IDLE_LATE: Final = "heartbeat_idle_late_ns"
"""Series: how late each beat was, in their order; the same before the clients began."""

REDO_NS: Final = "redo_ns"
