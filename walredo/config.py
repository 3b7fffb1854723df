"""The settings of a redo manager, validated when they are created."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from walredo.errors import InvalidRequest


class ManagerKind(StrEnum):
    """How the manager waits for its child."""

    SYNC = "sync"
    ASYNC = "async"


class TransportKind(StrEnum):
    """What carries requests to the child and pages back; ``transport.TRANSPORTS`` has the code."""

    PIPE = "pipe"
    SHM = "shm"


MAX_PIPE_BYTES = 1 << 30
"""More than any kernel grants. A larger size does not fit the argument of fcntl(2)."""

MAX_TIMEOUT_S = 1_000_000.0
"""Eleven days. The same value in milliseconds still fits the timeout of poll(2)."""

MAX_SPIN_S = 1.0
"""The longest time for which a manager may poll before it blocks."""


@dataclass(frozen=True, slots=True)
class ManagerConfig:
    """The settings of one manager. Raises InvalidRequest, which names the bad setting.

    ``child_command``: the child's argv, strings or paths. The first word must be a path, because
    the child gets an empty environment and so has no PATH.
    ``transport``: what carries requests to the child and pages back: its standard streams, or
    memory that both have mapped.
    ``timeout_s``: the deadline of a redo, counted from the call and shared by all its attempts.
    ``pipe_bytes``: the requested size of both pipes. The kernel may refuse; the pipes then keep
    their size.
    ``spin_s``: how long the manager polls for the next page before it blocks in the kernel. Over
    shared memory the child does the same for requests, for a millisecond at most. Polling lowers
    latency where a wake-up is expensive, and costs CPU time; polls that find nothing become rare.
    ``backoff_after``: after this many children or launches in a row without a page, each further
    launch is delayed. The delay starts at ``backoff_first_s``, doubles each time, and is at most
    ``backoff_most_s``.
    """

    child_command: tuple[str, ...]
    kind: ManagerKind = ManagerKind.SYNC
    transport: TransportKind = TransportKind.PIPE
    timeout_s: float = 60.0
    pipe_bytes: int = 1024 * 1024
    spin_s: float = 0.0
    backoff_after: int = 2
    backoff_first_s: float = 0.01
    backoff_most_s: float = 10.0

    def __post_init__(self) -> None:
        if isinstance(self.child_command, str) or not self.child_command:
            raise InvalidRequest(
                f"child_command is {self.child_command!r}: it must be a non-empty sequence of words"
            )
        words = tuple(w.__fspath__() if hasattr(w, "__fspath__") else w for w in self.child_command)
        for word in words:
            if not isinstance(word, str) or "\0" in word:
                raise InvalidRequest(f"child_command has {word!r}: it must be a string or a path")
        object.__setattr__(self, "child_command", words)
        for name, kinds in (("kind", ManagerKind), ("transport", TransportKind)):
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, kinds(value))
            except ValueError:
                allowed = ", ".join(kinds)
                raise InvalidRequest(f"{name} is {value!r}: it must be one of {allowed}") from None
        for name in ("timeout_s", "backoff_first_s", "backoff_most_s"):
            if not 0 < getattr(self, name) <= MAX_TIMEOUT_S:
                raise InvalidRequest(
                    f"{name} is {getattr(self, name)!r}: it must be above 0 and at most"
                    f" {MAX_TIMEOUT_S:g}"
                )
        if not 0 <= self.spin_s <= MAX_SPIN_S:
            raise InvalidRequest(f"spin_s is {self.spin_s!r}: it must be from 0 to {MAX_SPIN_S:g}")
        if not 4096 <= self.pipe_bytes <= MAX_PIPE_BYTES:
            raise InvalidRequest(
                f"pipe_bytes is {self.pipe_bytes}: it must be between 4096 and {MAX_PIPE_BYTES}"
            )
        if self.backoff_after < 1:
            raise InvalidRequest(f"backoff_after is {self.backoff_after}: it must be at least 1")
