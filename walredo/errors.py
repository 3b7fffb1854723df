"""The exception tree of the redo managers, and the causes they are counted by.

Nothing else belongs here: no policy, no I/O. Every error carries what a reader of a log needs to go
on (pid, ticket, command, deadline) and chains its cause.

    WalredoError
    ├── InvalidRequest      a tag, record, image or setting out of range (also a ValueError)
    ├── ShutDownError       the manager was shut down
    ├── RedoTimeoutError    the redo's deadline passed (also a TimeoutError)
    ├── LaunchError         no child could be started
    └── ChildError          the child, or the streams to it, failed
        ├── ChildExitedError        it closed a stream or ended
        ├── UnexpectedOutputError   it sent bytes that no request asked for
        ├── ChildIOError            the kernel refused a read, a write or a poll
        ├── QuiescedError           it was idle and was ended
        ├── RedoInterrupted         a caller was interrupted in the middle of its redo
        └── StreamsPoisonedError    another caller's failure made the streams unusable
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Cause(StrEnum):
    """Why an attempt failed or a child was ended; the keys of the counters in ``status()``."""

    CHILD_EXIT = "child_exit"
    UNEXPECTED_OUTPUT = "unexpected_output"
    IO = "io"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"
    POISONED = "poisoned"
    LAUNCH = "launch"
    QUIESCE = "quiesce"
    SHUT_DOWN = "shut_down"


class WalredoError(Exception):
    """Base of everything that this library raises on purpose."""


class InvalidRequest(WalredoError, ValueError):  # noqa: N818 - named for what it is about
    """A tag, record, base image or manager setting that no child could be given."""


class FailedAttempt(WalredoError):  # noqa: N818 - an event, not a kind of error
    """An attempt at a redo failed; ``cause`` is the key it is counted by."""

    cause: ClassVar[Cause]


class ShutDownError(FailedAttempt):
    """The manager was shut down; it takes no redo any more."""

    cause = Cause.SHUT_DOWN

    def __init__(self) -> None:
        super().__init__("the redo manager is shut down")


class RedoTimeoutError(FailedAttempt, TimeoutError):
    """The redo's deadline passed. ``stage`` says what it was waiting for."""

    cause = Cause.TIMEOUT

    def __init__(self, timeout_s: float, stage: str, pid: int | None = None) -> None:
        super().__init__(timeout_s, stage, pid)
        self.timeout_s = timeout_s
        self.stage = stage
        self.pid = pid

    def __str__(self) -> str:
        child = "" if self.pid is None else f" of child {self.pid}"
        return f"no page within {self.timeout_s:g} s (waiting for {self.stage}{child})"


class LaunchError(FailedAttempt):
    """The child could not be started, or its launch is held back after failures."""

    cause = Cause.LAUNCH

    def __init__(self, command: tuple[str, ...], reason: str) -> None:
        super().__init__(command, reason)
        self.command = command
        self.reason = reason

    @classmethod
    def from_error(cls, command: tuple[str, ...], error: Exception) -> LaunchError:
        """The launch failed with that error, which is chained; a LaunchError is told again, since
        each caller needs one of its own."""
        if isinstance(error, LaunchError):
            reason = error.reason
        else:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        told = cls(command, reason)
        told.__cause__ = error
        return told

    def __str__(self) -> str:
        return f"cannot start the redo child {' '.join(self.command)!r}: {self.reason}"


class ChildError(FailedAttempt):
    """The child with ``pid`` failed; its streams are not used again."""

    def __init__(self, pid: int, what: str) -> None:
        super().__init__(pid, what)
        self.pid = pid
        self.what = what

    def __str__(self) -> str:
        return f"redo child {self.pid}: {self.what}"


class ChildExitedError(ChildError):
    """The child closed one of its streams, or ended.

    ``returncode`` (negative: the signal that ended it) and ``stderr_tail`` are filled in once it is
    reaped, which is before any caller of ``request_redo`` sees the error.
    """

    cause = Cause.CHILD_EXIT

    def __init__(self, pid: int, what: str) -> None:
        super().__init__(pid, what)
        self.returncode: int | None = None
        self.stderr_tail = ""

    def __str__(self) -> str:
        text = super().__str__()
        if self.returncode is not None:
            text += f" (return code {self.returncode})"
        if self.stderr_tail:
            text += f"; last on its stderr: {self.stderr_tail}"
        return text


class UnexpectedOutputError(ChildError):
    """The child sent bytes that no request asked for: nothing that it says can be matched."""

    cause = Cause.UNEXPECTED_OUTPUT


class ChildIOError(ChildError):
    """The kernel refused a read, write or poll on the child's streams; chained to the OSError."""

    cause = Cause.IO


class QuiescedError(ChildError):
    """The child was idle and was ended; whoever meets this launches the next one."""

    cause = Cause.QUIESCE


class RedoInterrupted(ChildError):  # noqa: N818 - the field's term
    """A caller left in the middle of its redo (KeyboardInterrupt and the like)."""

    cause = Cause.INTERRUPTED


class StreamsPoisonedError(ChildError):
    """Another caller's failure made the streams unusable; chained to that failure."""

    cause = Cause.POISONED

    def __init__(self, pid: int, ticket: int, failure: BaseException) -> None:
        super().__init__(pid, f"its streams became unusable before redo {ticket} was answered")
        self.ticket = ticket
        self.__cause__ = failure

    def __str__(self) -> str:
        return f"{super().__str__()}: {self.__cause__}"
