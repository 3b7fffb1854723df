"""The stderr of a child: split into lines and logged, with the last lines kept. No I/O.

The sessions read the stream (in a thread, or in a callback of the event loop) and pass the bytes
on. Memory is bounded whatever the child writes: a long line is logged in pieces of MAX_LINE_BYTES.
"""

from __future__ import annotations

import logging
import re
from collections import deque

logger = logging.getLogger("walredo.child")

READ_BYTES = 64 * 1024
"""The size of one read of a child's stderr."""

MAX_LINE_BYTES = 4096
TAIL_LINES = 5

# Not every stderr line is an error. The log level follows the first severity in the line, in the
# form that PostgreSQL and the fake child write.
_SEVERITY = re.compile(rb"\b(?:(PANIC|FATAL|ERROR)|(WARNING)|LOG|INFO|NOTICE|DEBUG\d?|HINT):")


class StderrLog:
    """The stderr of the child ``pid``. Only one thread at a time may use it."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._partial = b""
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)

    def feed(self, data: bytes) -> None:
        """Logs every line that ``data`` completes."""
        lines = (self._partial + data).split(b"\n")
        self._partial = lines.pop()
        for line in lines:
            self._log(line)
        while len(self._partial) >= MAX_LINE_BYTES:
            self._log(self._partial[:MAX_LINE_BYTES])
            self._partial = self._partial[MAX_LINE_BYTES:]

    def close(self) -> None:
        """Ends the stream: logs a last line that has no line end."""
        if self._partial:
            self._log(self._partial)
            self._partial = b""

    @property
    def tail(self) -> str:
        """The last TAIL_LINES lines, for an error message; empty if there are none."""
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
