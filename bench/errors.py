"""Errors that are meant for the user of the suite.

The string of each is one clear line that names the thing (a file, an option, a case) and the
remedy: the command line prints it on stderr and exits 2, without a traceback. Errors of the
managers are in ``walredo.errors``; a programming mistake is a ``ValueError`` or ``TypeError`` as
everywhere.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path


class BenchError(Exception):
    """A problem that the user can do something about. ``str(error)`` is one line for people."""


class CaseError(BenchError):
    """The name or a dimension of a case is not valid."""


class SampleError(BenchError):
    """What a worker sent as measured samples cannot be a measurement."""


class ResultFileError(BenchError):
    """A result file cannot be read, trusted, continued or written.

    ``path`` is the file; the message starts with it.
    """

    def __init__(self, path: Path | str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = Path(path)
        self.problem = problem

    def __reduce__(self) -> tuple[type[ResultFileError], tuple[Path, str]]:
        """Rebuild from both arguments, so that the error survives pickling and copying."""
        return type(self), (self.path, self.problem)


class ResultTakenError(ResultFileError):
    """Another suite is writing this result file."""


class PictureError(BenchError):
    """A figure cannot be drawn or may not be written where it was asked for."""


def explained(reason: str) -> str:
    """The reason why something cannot be started, with the limits where it names none."""
    # Of a process, and of a thread.
    if reason.endswith((os.strerror(errno.EAGAIN), "can't start new thread")):
        return f"{reason}: see ulimit -u and pids.max, the limits of processes and threads"
    return reason


def reason_of(error: OSError) -> str:
    """The reason that the system gives, explained."""
    return explained(error.strerror or str(error))
