"""What the suite and its workers say to each other, over a worker's stdin and stdout.

Lines of JSON, one object each. A command has the field ``command``, a reply the field ``reply``;
samples follow their reply as raw bytes, never as text. Standard library only: both sides import it.

    suite                                   worker
    open: the fields of WorkerSpec      ->  opened: pid, child_pid, metadata
    slice: seconds                      ->  slice: payload_bytes, usage; then the payload
    report                              ->  report: child_user_share, counters, metadata
    stop (or end of input)              ->  stopped; the worker exits 0

Whatever goes wrong is answered with ``error: reason``, once; then the worker exits 1.

The payload of a slice is native-endian int64: for each client start_ns, end_ns (after the barrier)
and redos; then all latency samples in ns, client after client.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

PROTOCOL_VERSION: Final = 1

STRIDE: Final = 17
"""Client c begins with request ``STRIDE * c`` (modulo their number), so that neighbours differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec:
    """One case as a worker needs it. ``requests`` and ``pages`` are files (see ``traffic``);
    ``child_may_end`` where the case has a fault; ``floor_program`` is set for the floor only,
    ``library_path`` where uvloop is found."""

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
    protocol: int = PROTOCOL_VERSION

    def to_message(self) -> dict[str, Any]:
        return {"command": "open", **asdict(self)}

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> WorkerSpec:
        """Raises ValueError where the other side is of another version."""
        if message.get("protocol") != PROTOCOL_VERSION:
            raise ValueError(
                f"the suite speaks worker protocol {message.get('protocol')},"
                f" this worker {PROTOCOL_VERSION}"
            )
        values = {item.name: message[item.name] for item in fields(cls)}
        values["child_command"] = tuple(values["child_command"])
        return cls(**values)


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
