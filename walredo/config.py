"""The settings of a redo manager, checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from walredo.errors import InvalidRequest


class ManagerKind(StrEnum):
    """How the manager waits for its child."""

    SYNC = "sync"
    ASYNC = "async"


MAX_PIPE_BYTES = 1 << 30
"""More than any kernel grants; beyond it the size no longer fits the call that asks for it."""

MAX_TIMEOUT_S = 1_000_000.0
"""Eleven days: what poll(2) can wait at once, and then some."""

MAX_SPIN_S = 1.0
"""Polling longer than this is no way to wait."""


@dataclass(frozen=True, slots=True)
class ManagerConfig:
    """What a manager is made from.

    ``child_command``: argv of the child, strings or paths; the first is a path, since the child
    gets an empty environment. ``timeout_s``: one absolute deadline per redo, from the call to its
    page, over all its attempts. ``pipe_bytes``: the size that is asked for both pipes (the kernel
    may refuse: then they stay as they are). ``spin_s``: how long the manager polls for the next
    page before it waits in the kernel: less latency where a wake-up is dear, for CPU time. After
    ``backoff_after`` children or launches in a row that gave no page, each further launch waits,
    twice as long every time, from ``backoff_first_s`` to ``backoff_most_s``.
    """

    child_command: tuple[str, ...]
    kind: ManagerKind = ManagerKind.SYNC
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
        try:
            object.__setattr__(self, "kind", ManagerKind(self.kind))
        except ValueError:
            kinds = ", ".join(ManagerKind)
            raise InvalidRequest(f"kind is {self.kind!r}: it must be one of {kinds}") from None
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
