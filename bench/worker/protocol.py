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

Version 2 brought the fields from ``topology`` on, series and counts. A case that needs none of them
is opened as version 1, so that `ab` can measure older workers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from bench.cases.dimensions import (
    CLOSED,
    NO_ADMISSION,
    NO_HEARTBEAT,
    OWN,
    PER_CLIENT,
    REDO,
    SHARED,
    YIELD,
)

PROTOCOL_VERSION: Final = 2

BY_CONTENT: Final = "content"
BY_LENGTH: Final = "length"

STRIDE: Final = 17
"""Client c begins with request ``STRIDE * c`` (modulo their number), so that neighbours differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec:
    """One case as a worker needs it. ``requests`` and ``pages`` are files (see ``traffic``);
    ``child_may_end`` where the case has a fault or a scenario; ``floor_program`` is set for the
    floor only, ``library_path`` where uvloop is found. From ``topology`` on: ``surroundings``."""

    manager: str
    ping: bool
    clients: int
    child_command: tuple[str, ...]
    requests: str
    pages: str
    timeout_s: float
    child_may_end: bool = False
    spin_us: int = 0
    placement: str = "any"
    floor_program: str | None = None
    library_path: str | None = None
    topology: str = SHARED
    executor: str = PER_CLIENT
    load: str = CLOSED
    """Closed, or open with a rate: what a percentage comes to is known by then."""
    arrivals_seed: str = ""
    """Of the arrivals of an open loop, each slice of which has others."""
    admission: str = NO_ADMISSION
    data_bytes: int = 0
    """This and the next three are the read path, where there is one."""
    download_ms: float = 0.0
    download_share: float = 0.0
    budget_bytes: int = 0
    pause: str = YIELD
    caller: str = OWN
    heartbeat: str = NO_HEARTBEAT
    background_load: int = 0
    scenario: str = REDO
    manager_path: tuple[str, ...] = ()
    """Folders to import a manager of the user's from."""
    page_check: str = BY_CONTENT
    """By content, or by length where the pages that must come are not known."""

    def to_message(self) -> dict[str, Any]:
        values = asdict(self)
        new = {name: values.pop(name) for name in _SINCE_2}
        if all(value == _SINCE_2[name] for name, value in new.items()):
            return {"command": "open", **values, "protocol": 1}
        return {"command": "open", **values, **new, "protocol": 2}

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> WorkerSpec:
        """Raises ValueError where the other side is of another version."""
        version = message.get("protocol")
        if not isinstance(version, int) or not 1 <= version <= PROTOCOL_VERSION:
            raise ValueError(
                f"the suite speaks worker protocol {version}, this worker up to {PROTOCOL_VERSION}"
            )
        known = [f.name for f in fields(cls) if version >= 2 or f.name not in _SINCE_2]
        values = {name: message[name] for name in known}
        for name in ("child_command", "manager_path"):
            if name in values:
                values[name] = tuple(values[name])
        return cls(**values)


_SINCE_2: Final = {
    item.name: item.default
    for item in fields(WorkerSpec)[[f.name for f in fields(WorkerSpec)].index("topology") :]
}


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


FROM_CALL: Final = "from_call_ns"
"""Series: of every redo what the client saw that made it, from its call to its page."""


PACER_LATE: Final = "pacer_late_ns"
"""Series: of every arrival that a free client awaited, how late it called."""


PERIOD_NS: Final = 1_000_000


LATE: Final = "heartbeat_late_ns"


IDLE_LATE: Final = "heartbeat_idle_late_ns"
"""Series of a slice: the lateness of each beat, in their order; the same before the clients."""


REDO_NS: Final = "redo_ns"
