"""What a session with one child is, however its manager waits: child, pipeline, stderr."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Generic

from walredo.child import Child
from walredo.errors import ChildError, ChildExitedError, ChildIOError, FailedAttempt
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

    def write_input(self, chunks: Sequence[bytes | memoryview]) -> int:
        """One write to the child: how many bytes went out, 0 if the pipe is full.

        Raises ChildError if the child has closed its input or the kernel refuses; then none did.
        """
        try:
            return os.writev(self.child.stdin, chunks)
        except BlockingIOError:
            return 0
        except BrokenPipeError as error:
            raise ChildExitedError(self.child.pid, "it closed its input") from error
        except OSError as error:
            raise self._refused(error) from error

    def read_output(self) -> int | None:
        """One read of pages into the pipeline's space: how many bytes, None if none are there.

        Raises ChildError at the end of the child's output, or where the kernel refuses.
        """
        try:
            count = os.readv(self.child.stdout, (self.pipeline.receive_space(),))
        except BlockingIOError:
            return None
        except OSError as error:
            raise self._refused(error) from error
        if not count:
            raise ChildExitedError(self.child.pid, "it closed its output")
        return count

    def fail_input(self, failure: ChildError) -> None:
        """Fails over a broken input. Who was answered before the child left has a page: its output
        is taken first. The caller is who reads it."""
        while self._receive():
            pass
        self.fail(failure)

    def _receive(self) -> bool:
        """One read of pages, for their owners; whether there was anything. The shells' own."""
        raise NotImplementedError

    def fail(self, failure: FailedAttempt) -> object:
        """Ends the child and answers everybody. The shells' own."""
        raise NotImplementedError

    def _refused(self, error: OSError) -> ChildIOError:
        return ChildIOError(self.child.pid, f"{error.strerror} (errno {error.errno})")

    def describe_end(self) -> None:
        """Adds to the pipeline's failure how the child ended, which is known once it is reaped."""
        failure = self.pipeline.failure
        if isinstance(failure, ChildExitedError):
            failure.returncode = self.child.returncode
            failure.stderr_tail = self._stderr_log.tail
