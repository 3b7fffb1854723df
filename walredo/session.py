"""What a session with one child is, however its manager waits: child, pipeline, stderr."""

from __future__ import annotations

import os
import time
from typing import Generic

from walredo.errors import ChildError, ChildExitedError, FailedAttempt
from walredo.pipeline import Owner, Pipeline
from walredo.stderr_log import READ_BYTES, StderrLog
from walredo.transport.base import Transport

FINAL_DRAIN_READS = 32
"""Reads of stderr after the child is gone: 2 MiB, more than any pipe holds."""


class Session(Generic[Owner]):
    """One child in use, from its launch to its reaping. The managers' sessions derive from it."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.child = child = transport.child
        self.pipeline: Pipeline[Owner] = Pipeline(child.pid, transport.window_bytes)
        # Looked up once, since every redo calls them.
        self._send = transport.send
        self._receive_into = transport.receive
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

    def describe_end(self) -> None:
        """Adds to the pipeline's failure how the child ended, which is known once it is reaped."""
        failure = self.pipeline.failure
        if isinstance(failure, ChildExitedError):
            failure.returncode = self.child.returncode
            failure.stderr_tail = self._stderr_log.tail
