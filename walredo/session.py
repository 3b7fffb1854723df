"""The part of a session that does not depend on how its manager waits."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Generic

from walredo.errors import ChildError, ChildExitedError, FailedAttempt
from walredo.pipeline import Owner, Pipeline, Ticket
from walredo.stderr_log import READ_BYTES, StderrLog
from walredo.transport.base import Transport

FINAL_DRAIN_READS = 32
"""The most reads of stderr after the child has ended: 2 MiB, more than a pipe usually holds."""


class Session(Generic[Owner]):
    """One child in use, from its launch until it is reaped: transport, pipeline, stderr."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.child = child = transport.child
        self.pipeline: Pipeline[Owner] = Pipeline(
            child.pid, transport.window_bytes, whole_pages=transport.whole_pages
        )
        transport.count_in(self.pipeline.counters)
        # Bound once, because every redo calls them.
        self._send = transport.send
        self._receive_into = transport.receive
        self._received: Callable[[Any], list[Ticket[Owner]]] = (
            self.pipeline.received_pages if transport.whole_pages else self.pipeline.received
        )
        self.idle_since_ns = time.monotonic_ns()
        self._stderr_log = StderrLog(child.pid)

    def read_stderr(self) -> int | None:
        """Logs one read of the child's stderr; returns its size, 0 at the end, None if empty."""
        try:
            data = os.read(self.child.stderr, READ_BYTES)
        except BlockingIOError:
            return None
        self._stderr_log.feed(data)
        return len(data)

    def finish_stderr(self) -> None:
        """Logs what an ended child has left in its stderr pipe."""
        for _ in range(FINAL_DRAIN_READS):
            if not self.read_stderr():
                break
        self._stderr_log.close()

    def fail_input(self, failure: ChildError) -> None:
        """Fails the session because the child no longer takes input.

        First receives the pages that the child sent before, so that their owners get them. Only
        the thread that may receive calls this.
        """
        while self._receive():
            pass
        self.fail(failure)

    def _receive(self) -> bool:
        """Receives once and passes pages to their owners. Returns whether anything arrived."""
        raise NotImplementedError

    def fail(self, failure: FailedAttempt) -> object:
        """Ends the child and gives every redo in flight its error."""
        raise NotImplementedError

    def describe_end(self) -> None:
        """Adds the exit status and last stderr lines to the failure, once the child is reaped."""
        failure = self.pipeline.failure
        if isinstance(failure, ChildExitedError):
            failure.returncode = self.child.returncode
            failure.stderr_tail = self._stderr_log.tail
