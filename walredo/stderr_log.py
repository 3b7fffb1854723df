"""What a child says on its stderr: cut into lines, logged, the last of it kept. No I/O.

The shells read (a thread, or a callback of the event loop) and feed the bytes in. Memory is bounded
whatever the child writes: a line is logged in pieces of at most MAX_LINE_BYTES.
"""

from __future__ import annotations

import logging
import re
from collections import deque

logger = logging.getLogger("walredo.child")

READ_BYTES = 64 * 1024
"""How much one read of a child's stderr takes."""

MAX_LINE_BYTES = 4096
TAIL_LINES = 5

# A child says on stderr what it likes: its informational lines are not errors of ours. The first
# severity of the line counts, in the form that PostgreSQL and the fake child write it.
_SEVERITY = re.compile(rb"\b(?:(PANIC|FATAL|ERROR)|(WARNING)|LOG|INFO|NOTICE|DEBUG\d?|HINT):")


class StderrLog:
    """The stderr of the child ``pid``. For one thread at a time."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._partial = b""
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)

    def feed(self, data: bytes) -> None:
        """Logs every whole line of what has come so far."""
        lines = (self._partial + data).split(b"\n")
        self._partial = lines.pop()
        for line in lines:
            self._log(line)
        while len(self._partial) >= MAX_LINE_BYTES:
            self._log(self._partial[:MAX_LINE_BYTES])
            self._partial = self._partial[MAX_LINE_BYTES:]

    def close(self) -> None:
        """No more will come: logs a last line without an end."""
        if self._partial:
            self._log(self._partial)
            self._partial = b""

    @property
    def tail(self) -> str:
        """The last few lines, for an error message; empty if there was none."""
        return " | ".join(self._tail)

    def _log(self, line: bytes) -> None:
        for at in range(0, len(line), MAX_LINE_BYTES):
            piece = line[at : at + MAX_LINE_BYTES]
            severity = _SEVERITY.search(piece)
            level = logging.INFO
            if severity and severity[1]:
                level = logging.ERROR
            elif severity and severity[2]:
                level = logging.WARNING
            text = piece.decode("utf-8", "backslashreplace").rstrip()
            if text:
                self._tail.append(text)
                logger.log(level, "redo child %d: %s", self._pid, text)
