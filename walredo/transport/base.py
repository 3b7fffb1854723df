"""The transport interface: how a session exchanges bytes with its child, and what it waits for.

A transport moves bytes and reports readiness. It knows nothing about requests, pages, deadlines or
retries, and it does not read the child's stderr, which stays with the session.

To add a transport: write one module in this package with a class that implements ``Transport``, and
register it (``config.TransportKind`` names it, ``TRANSPORTS`` maps the name to the class). Both
sessions, and every event loop, then work with it unchanged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from walredo.child import Child

Chunks = Sequence[bytes | memoryview]

Poll = Callable[[int], list[tuple[int, int]]]
"""Takes a timeout in milliseconds; returns (descriptor, events) for everything that is ready."""


class Transport(Protocol):
    """One running child and the channel to it.

    The sessions store bound methods when they are made, so methods must not be replaced later.

    Thread safety: one thread at a time may call ``send``; one thread at a time may call ``receive``
    and the function that ``poller`` returned; these two threads may differ and run at once. The
    watch methods belong to the event loop's thread. The caller makes sure that nothing else runs
    during or after ``close``.
    """

    child: Child
    window_bytes: int
    """The most bytes worth offering to one ``send``, and the most that one ``receive`` returns."""
    pages_fd: int
    """What a poll function reports when ``receive`` has something to return or to raise."""
    room_fd: int
    """What a poll function reports when ``send`` may make progress again."""

    def __init__(self, command: tuple[str, ...], pipe_bytes: int) -> None:
        """Launches the child. Blocks for about a millisecond. Raises LaunchError."""

    def send(self, chunks: Chunks) -> int:
        """Sends as much of the chunks as fits and returns the number of bytes. Never blocks.

        0 means that there is no room. Raises ChildError if the child no longer takes input; then
        nothing was sent.
        """

    def receive(self, space: memoryview) -> int | None:
        """Copies bytes from the child into ``space`` and returns their number. Never blocks.

        None means that there are none now. Raises ChildError at the end of the child's output. The
        sessions also call it without waiting first: while they spin, and after a failed ``send``.
        """

    def poller(self, nudge_fd: int, *, room: bool) -> Poll:
        """Returns a function that blocks until there are pages, or ``nudge_fd`` is readable.

        With ``room`` it also returns when ``send`` may make progress. The function may report
        readiness that has gone by then, but must never sleep through any: a transport that the
        child wakes on demand announces here that it sleeps, then looks once more, then blocks.
        """

    def watch_pages(self, loop: asyncio.AbstractEventLoop, on_pages: Callable[[], object]) -> None:
        """Calls ``on_pages`` on the loop whenever ``receive`` has something, until ``unwatch``.

        ``on_pages`` calls ``receive`` once. The transport calls it again while more is there.
        """

    def watch_room(self, loop: asyncio.AbstractEventLoop, on_room: Callable[[], object]) -> None:
        """Calls ``on_room`` on the loop whenever ``send`` may make progress."""

    def unwatch_room(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ends ``watch_room``. Does nothing if there is none."""

    def unwatch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ends every watch. May be called again."""

    def close(self) -> None:
        """Releases the channel and the child's streams; the child is reaped by then. Repeatable."""


def discard(transport: Transport) -> None:
    """Kills and reaps a child that no session uses, and closes its transport."""
    transport.child.kill_and_reap()
    transport.close()
