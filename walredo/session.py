"""What a session with one child is, however its manager waits: child, pipeline, stderr."""

from __future__ import annotations

import os
import time
from typing import Generic

from walredo.child import Child
from walredo.errors import ChildExitedError, ChildIOError, FailedAttempt
from walredo.pipeline import Owner, Pipeline
from walredo.stderr_log import READ_BYTES, StderrLog

FINAL_DRAIN_READS = 32
"""Reads of stderr after the child is gone: 2 MiB, more than any pipe holds."""


class Session(Generic[Owner]):
    """One child in use, from its launch to its reaping. The managers' sessions derive from it."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.pipeline: Pipeline[Owner] = Pipeline(child.pid, child.stdout_bytes)
        self.idle_since_ns = time.monotonic_ns()
        self._stderr_log = StderrLog(child.pid)

    def read_stderr(self) -> int | None:
        """One read of the child's stderr into the log: its bytes, 0 at the end, None if empty."""
        try:
            data = os.read(self.child.stderr, READ_BYTES)
        except BlockingIOError:
            return None
        self._stderr_log.feed(data)
        return len(data)

    def finish_stderr(self) -> None:
        """Logs what an ended child has left on its stderr."""
        for _ in range(FINAL_DRAIN_READS):
            if not self.read_stderr():
                break
        self._stderr_log.close()

    def output_ended(self) -> ChildExitedError:
        """The failure where a read finds the end of the child's stdout."""
        return ChildExitedError(self.child.pid, "it closed its output")

    def refused(self, error: OSError) -> FailedAttempt:
        """The failure where the kernel refuses a write or a read."""
        failure: FailedAttempt
        if isinstance(error, BrokenPipeError):
            failure = ChildExitedError(self.child.pid, "it closed its input")
        else:
            failure = ChildIOError(self.child.pid, f"{error.strerror} (errno {error.errno})")
        failure.__cause__ = error
        return failure

    def describe_end(self, failure: FailedAttempt) -> None:
        """Adds to the failure how the child ended, which is known once it is reaped."""
        if isinstance(failure, ChildExitedError):
            failure.returncode = self.child.returncode
            failure.stderr_tail = self._stderr_log.tail
