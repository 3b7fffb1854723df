"""The exception tree of the redo managers, and the causes under which they are counted.

No policy and no I/O belong here. Every error carries what the reader of a log needs (pid, ticket,
command, deadline) and chains its cause.

    WalredoError
    ├── InvalidRequest      a tag, record, image or setting out of range (also a ValueError)
    ├── ShutDownError       the manager was shut down
    ├── RedoTimeoutError    the redo's deadline passed (also a TimeoutError)
    ├── LaunchError         the child could not be started
    └── ChildError          the child, or the streams to it, failed
        ├── ChildExitedError        it closed a stream or exited
        ├── UnexpectedOutputError   it sent bytes that match no request
        ├── ChildIOError            the kernel refused a read, a write or a poll
        ├── QuiescedError           it was ended because it was idle
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
    """The base class of every exception that this library raises."""


class InvalidRequest(WalredoError, ValueError):  # noqa: N818 - named after its subject
    """A tag, record, base image or manager setting is out of range."""


class FailedAttempt(WalredoError):  # noqa: N818 - an event, not a kind of error
    """An attempt at a redo failed. ``cause`` is its key in the counters of ``status()``."""

    cause: ClassVar[Cause]


class ShutDownError(FailedAttempt):
    """The manager was shut down and accepts no redo."""

    cause = Cause.SHUT_DOWN

    def __init__(self) -> None:
        super().__init__("the redo manager is shut down")


class RedoTimeoutError(FailedAttempt, TimeoutError):
    """The redo's deadline passed. ``stage`` says what the redo was waiting for."""

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
    """The child could not be started, or back-off delays its launch beyond the deadline."""

    cause = Cause.LAUNCH

    def __init__(self, command: tuple[str, ...], reason: str) -> None:
        super().__init__(command, reason)
        self.command = command
        self.reason = reason

    @classmethod
    def from_error(cls, command: tuple[str, ...], error: Exception) -> LaunchError:
        """A LaunchError with ``error`` as its cause. A LaunchError is copied, because each waiting
        caller needs an exception object of its own."""
        if isinstance(error, LaunchError):
            reason = error.reason
        else:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        copy = cls(command, reason)
        copy.__cause__ = error
        return copy

    def __str__(self) -> str:
        return f"cannot start the redo child {' '.join(self.command)!r}: {self.reason}"


class ChildError(FailedAttempt):
    """The child with ``pid`` failed. Its streams are not used again."""

    def __init__(self, pid: int, what: str) -> None:
        super().__init__(pid, what)
        self.pid = pid
        self.what = what

    def __str__(self) -> str:
        return f"redo child {self.pid}: {self.what}"


class ChildExitedError(ChildError):
    """The child closed one of its streams, or exited.

    ``returncode`` (negative for a signal) and ``stderr_tail`` are set once the child is reaped,
    which is before any caller of ``request_redo`` gets the error.
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
    """The child sent bytes that match no request, so its answers can no longer be matched."""

    cause = Cause.UNEXPECTED_OUTPUT


class ChildIOError(ChildError):
    """A read, write or poll on the child's streams failed. The cause is the OSError."""

    cause = Cause.IO

    @classmethod
    def refused(cls, pid: int, error: OSError) -> ChildIOError:
        """What the kernel refused, for ``raise ... from error``."""
        return cls(pid, f"{error.strerror} (errno {error.errno})")


class QuiescedError(ChildError):
    """The child was ended because it was idle. A redo that gets this error is retried."""

    cause = Cause.QUIESCE


class RedoInterrupted(ChildError):  # noqa: N818 - the usual term
    """A caller was interrupted during its redo, for example by KeyboardInterrupt."""

    cause = Cause.INTERRUPTED


class StreamsPoisonedError(ChildError):
    """Another caller's failure, which is the cause, made the streams unusable."""

    cause = Cause.POISONED

    def __init__(self, pid: int, ticket: int, failure: BaseException) -> None:
        super().__init__(pid, f"its streams became unusable before redo {ticket} was answered")
        self.ticket = ticket
        self.__cause__ = failure

    def __str__(self) -> str:
        return f"{super().__str__()}: {self.__cause__}"
