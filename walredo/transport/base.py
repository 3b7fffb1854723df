"""The transport interface: how a session exchanges bytes with its child, and what it waits for.

A transport moves bytes and reports readiness. It knows nothing about requests, pages, deadlines or
retries, and it does not read the child's stderr, which stays with the session.

To add a transport: write one module in this package with classes that implement ``Launcher`` and
``Transport``, and register it (``config.TransportKind`` names it, ``TRANSPORTS`` has it). Both
sessions, and every event loop, then work with it unchanged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from walredo.child import Child
from walredo.status import StreamCounters

Chunks = Sequence[bytes | memoryview]

Poll = Callable[[int], list[tuple[int, int]]]
"""Takes a timeout in milliseconds; returns (descriptor, events) for everything that is ready."""


class Launcher(Protocol):
    """Launches the children of one manager. Thread safe."""

    def launch(self) -> Transport:
        """Launches a child. Blocks for about a millisecond. Raises LaunchError."""

    def close(self) -> None:
        """Releases what launches share, once no child is left. May be called again."""


class Transport(Protocol):
    """One running child and the channel to it.

    The sessions store bound methods when they are made, so methods must not be replaced later.

    Thread safety: one thread at a time may call ``send``; one thread at a time may call ``receive``
    and the function that ``poller`` returned; these two threads may differ and run at once. The
    watch methods belong to the event loop's thread. The caller makes sure that nothing else runs
    during or after ``close``.
    """

    child: Child
    whole_pages: bool
    """Whether ``receive`` returns pages, and not the number of bytes that it copied."""
    window_bytes: int
    """The most bytes worth offering to one ``send``, and the most that one ``receive`` copies."""
    pages_fd: int
    """What a poll function reports when ``receive`` has something to return or to raise."""
    room_fd: int
    """What a poll function reports when ``send`` may make progress again."""

    look: Callable[[], bool] | None
    """Whether ``receive`` has something; cheap, for a spin. None: only ``receive`` can tell."""

    def count_in(self, counters: StreamCounters) -> None:
        """Says where system calls are counted that are not one per ``send`` and ``receive``."""

    def send(self, chunks: Chunks) -> int:
        """Sends as much of the chunks as fits and returns the number of bytes. Never blocks.

        0 means that there is no room. Raises ChildError if the child no longer takes input; then
        nothing was sent.
        """

    def receive(self, space: memoryview) -> int | tuple[bytes, ...] | None:
        """Returns what has come from the child. Never blocks.

        Either the number of bytes that were copied into ``space``, or copies of whole pages in
        their order (``whole_pages``). None means that there is nothing now. Raises ChildError at
        the end of the child's output, or if the output is impossible. The sessions also call it
        without waiting first: while they spin, and after a failed ``send``.
        """

    def give_way(self) -> None:
        """Releases the interpreter lock for a moment, after a ``receive`` that found nothing."""

    def poller(self, nudge_fd: int, *, room: bool) -> Poll:
        """Returns a function that blocks until there are pages, or ``nudge_fd`` is readable.

        With ``room`` it also returns when ``send`` may make progress. The function may report
        readiness that has gone by then, but must never sleep through any: a transport that the
        child wakes on demand announces here that it sleeps, then looks once more, then blocks.
        """

    def watch_pages(self, loop: asyncio.AbstractEventLoop, on_pages: Callable[[], object]) -> None:
        """Calls ``on_pages`` on the loop whenever ``receive`` has something, until ``unwatch``.

        ``on_pages`` calls ``receive`` once, and returns whether more pages are due. The transport
        calls it again while more is there.
        """

    def linger(self, in_flight: int) -> None:
        """Tells that all requests are sent, and how many are in flight. The transport may look for
        the page in place for some microseconds, and call ``on_pages``."""

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
