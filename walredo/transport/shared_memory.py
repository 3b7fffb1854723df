"""The shared-memory transport: requests and pages go through memory that the child has mapped.

The standard streams stay as *doorbells*: a byte wakes the side that sleeps, and end of file still
says that the other side is gone. ``ring`` decides what is copied and who must be woken; this module
has the descriptors.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import mmap
import os
import select
import sys
import threading
from collections.abc import Callable
from time import monotonic_ns
from typing import Any, Final

from walredo.child import Child
from walredo.config import ManagerConfig
from walredo.errors import (
    ChildError,
    ChildExitedError,
    ChildIOError,
    LaunchError,
    UnexpectedOutputError,
)
from walredo.spin import Spinning
from walredo.status import StreamCounters
from walredo.transport.base import Chunks, Poll
from walredo.transport.ring import (
    MEMORY_BYTES,
    RING_BYTES,
    UNTIL_PAGES,
    UNTIL_PAGES_OR_ROOM,
    BadCounter,
    SharedRing,
)

OPTION: Final = "--shared-memory"
"""Tells the child the descriptor of the memory (PROTOCOL.md)."""

_BELL: Final = b"\0"
_STALE_BYTES: Final = 512
LINGER_NS: Final = 20_000
"""For how long a spinning manager on an event loop waits in place for the only page in flight: some
four times what a short redo takes, and no longer, since all other tasks wait, too."""

TURNS_ALONE: Final = 2
"""After so many turns of the loop without two requests at once the next one counts as alone."""

_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
"""A child cannot cut off memory that the manager will read: that would be SIGBUS."""


# Older interpreters keep a second descriptor for as long as the memory is mapped.
_ONE_DESCRIPTOR: Final[dict[str, Any]] = {"trackfd": False} if sys.version_info >= (3, 13) else {}


class Memory:
    """A sealed piece of memory and its ring. ``fd`` is what a child inherits."""

    def __init__(self) -> None:
        """Raises OSError if the kernel, or a sandbox around this process, allows no such memory."""
        self.fd = os.memfd_create("walredo", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self.fd, MEMORY_BYTES)
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, _SEALS)
            # Populated, so that no slice pays for the first touch.
            flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
            self._map = mmap.mmap(self.fd, MEMORY_BYTES, flags=flags, **_ONE_DESCRIPTOR)
        except BaseException:
            self.__del__()
            raise
        self._view = memoryview(self._map)
        self.ring = SharedRing(self._view)

    def close(self) -> None:
        """Unmaps it. Nobody may use the ring any more."""
        self.ring.release()
        self._view.release()
        self._map.close()
        self.__del__()

    def __del__(self) -> None:
        fd, self.fd = getattr(self, "fd", -1), -1
        if fd >= 0:
            os.close(fd)


class SharedMemoryLauncher:
    """``Launcher`` of children that share a memory. One memory serves one child after another."""

    def __init__(self, config: ManagerConfig) -> None:
        self._command = config.child_command
        self._spin_ns = round(config.spin_s * 1e9)
        # A child may be launched in another thread than the one in which the manager is closed.
        self._lock = threading.Lock()
        self._idle: Memory | None = None
        self._in_use = 0
        self._closed = False

    def launch(self) -> SharedMemoryTransport:
        with self._lock:
            memory, self._idle = self._idle, None
            self._in_use += 1
        try:
            memory = memory or Memory()
        except (OSError, AttributeError) as error:
            self.give_back(None)
            # AttributeError: built for a C library without memfd_create(2).
            reason = getattr(error, "strerror", None) or error
            problem = f"no shared memory: memfd_create with seals, or its mapping, fails ({reason})"
            raise LaunchError(self._command, problem) from error
        try:
            memory.ring.reset(self._spin_ns)
            command = (*self._command, OPTION, str(memory.fd))
            child = Child(command, None, inherits=(memory.fd,))
        except BaseException:
            self.give_back(memory)
            raise
        return SharedMemoryTransport(child, memory, self, self._spin_ns)

    def give_back(self, memory: Memory | None) -> None:
        """Takes the memory of a child that is reaped and that nobody uses any more."""
        with self._lock:
            self._in_use -= 1
            # A thread that was slow to leave an ended child may still have had its memory when the
            # next child needed one.
            if not (self._closed or self._in_use or self._idle):
                self._idle = memory
                return
        if memory is not None:
            memory.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, None
        if idle is not None:
            idle.close()


class SharedMemoryTransport:
    """``Transport`` through shared memory."""

    window_bytes = RING_BYTES
    whole_pages = True

    def __init__(
        self, child: Child, memory: Memory, launcher: SharedMemoryLauncher, spin_ns: int
    ) -> None:
        self.child = child
        self._memory: Memory | None = memory
        self._launcher = launcher
        self._ring = ring = memory.ring
        self._put, self._take = ring.put, ring.take
        self.look: Callable[[], bool] | None = ring.has_pages
        self.pages_fd = self._stdout = child.stdout
        self.room_fd = self._stdin = child.stdin
        self._input_gone = self._has_answered = False
        self._counters = StreamCounters()
        self._end: ChildError | None = None
        """Why no more pages will come."""
        self._releases_lock = select.poll()
        self._input = select.poll()
        self._input.register(self._stdin, 0)  # reports that the child has closed it
        # On an event loop. Awake: ``_on_turn`` is scheduled and the child need not ring.
        self._on_pages: Callable[[], object] | None = None
        self._on_room: Callable[[], object] | None = None
        self._awake = self._spins = self._found = self._pages_due = False
        self._turns_alone = 0  # turns of the loop in a row without two requests at once
        self._sends = 0  # in this turn of the loop, or since the manager sleeps
        self._spinning = Spinning(spin_ns)
        self._spin_till_ns = 0

    # -- bytes and pages

    def send(self, chunks: Chunks) -> int:
        # No bell would tell of a child that ended while it was awake. It is found out now where
        # pages have come since the last request: then it has not ended of this one. A spinning
        # manager, to which a system call is dear, waits for the end of the output.
        if self._has_answered and not self._spinning.ns and self._ring.child_is_awake:
            self._input_gone = bool(self._input.poll(0))
            if self._input_gone:
                self._ring_bell()
        self._has_answered = False
        if self._on_pages is not None:
            self._sends += 1
            self._pages_due = True
            # Before the child can answer, which would ring for a manager that sleeps. A single
            # request leaves one asleep that does not spin: it would fall asleep again at once.
            if self._sends > 1 or self._spinning.ns:
                self._stay_awake()
        try:
            count, wake = self._put(chunks)
        except BadCounter as lie:
            raise UnexpectedOutputError(self.child.pid, str(lie)) from None
        if wake or self._input_gone:
            self._ring_bell()
        return count

    def receive(self, _space: memoryview) -> tuple[bytes, ...] | None:
        try:
            pages = self._take()
        except BadCounter as lie:
            raise UnexpectedOutputError(self.child.pid, str(lie)) from None
        if pages:
            self._has_answered = True
            if self._ring.child_awaits_a_slot(len(pages)):
                self._wake_child()
            return pages
        if self._end is not None:
            raise self._end
        return None

    def count_in(self, counters: StreamCounters) -> None:
        self._counters = counters

    def give_way(self) -> None:
        if self._ring.child_awaits_a_slot(0):
            self._wake_child()
        self._releases_lock.poll(0)

    def _ring_bell(self) -> None:
        self._counters.write_calls += 1
        try:
            os.write(self._stdin, _BELL)
        except BlockingIOError:
            pass  # there are bytes enough to wake it
        except BrokenPipeError as error:
            self._input_gone = True
            raise ChildExitedError(self.child.pid, "it closed its input") from error
        except OSError as error:
            raise ChildIOError.refused(self.child.pid, error) from error

    def _wake_child(self) -> None:
        """Wakes a child that waits for a slot. If it is gone, the end of its output says so."""
        with contextlib.suppress(ChildError):
            self._ring_bell()

    def _answer_bell(self) -> None:
        """Takes the bytes that woke the manager, and notices the end of the child's output."""
        self._ring.wake_up()
        self._counters.read_calls += 1
        try:
            if not os.read(self._stdout, _STALE_BYTES):
                self._end = ChildExitedError(self.child.pid, "it closed its output")
        except BlockingIOError:
            pass
        except OSError as error:
            self._end = ChildIOError.refused(self.child.pid, error)
            self._end.__cause__ = error

    def _fall_asleep(self, until: int) -> bool:
        """``SharedRing.fall_asleep``; wakes a child that waits for a slot."""
        if self._end is not None or not self._ring.fall_asleep(until):
            return False
        if self._ring.child_awaits_a_slot(0):
            self._wake_child()
        return True

    # -- waiting: threads

    def poller(self, nudge_fd: int, *, room: bool) -> Poll:
        ready = select.poll()
        ready.register(self._stdout, select.POLLIN)
        ready.register(nudge_fd, select.POLLIN)
        if room:
            ready.register(self._stdin, 0)  # reports that the child has closed it
        wait, ring = ready.poll, self._ring
        until = UNTIL_PAGES_OR_ROOM if room else UNTIL_PAGES
        pages_ready, room_ready = (self._stdout, select.POLLIN), (self._stdin, select.POLLOUT)

        def poll(timeout_ms: int) -> list[tuple[int, int]]:
            events: list[tuple[int, int]] = []
            if self._fall_asleep(until):
                found = wait(timeout_ms)
                ring.wake_up()
                if not found:
                    return events
                for fd, what in found:
                    if fd == self._stdout:
                        self._answer_bell()
                    elif fd == self._stdin:
                        self._input_gone = True
                    else:
                        events.append((fd, what))
            if ring.has_pages() or self._end is not None:
                events.append(pages_ready)
            if room and (self._input_gone or ring.has_room):
                events.append(room_ready)
            # A bell may have rung for pages already taken. Nothing would mean that time is over.
            return events or [pages_ready]

        return poll

    # -- waiting: event loops

    def watch_pages(self, loop: asyncio.AbstractEventLoop, on_pages: Callable[[], object]) -> None:
        self._loop, self._on_pages = loop, on_pages
        loop.add_reader(self._stdout, self._on_bell)
        self._stay_awake()

    def watch_room(self, _loop: asyncio.AbstractEventLoop, on_room: Callable[[], object]) -> None:
        self._on_room = on_room
        self._stay_awake()  # it may be asleep until there are pages only

    def unwatch_room(self, _loop: asyncio.AbstractEventLoop) -> None:
        self._on_room = None

    def unwatch(self, loop: asyncio.AbstractEventLoop) -> None:
        self._on_pages = self._on_room = None
        loop.remove_reader(self._stdout)

    def linger(self, in_flight: int) -> None:
        if in_flight > 1:
            self._turns_alone = -1  # 0 at the end of this turn
        if self._turns_alone < TURNS_ALONE or not self._spins:
            return
        ring, till_ns = self._ring, monotonic_ns() + LINGER_NS
        while not ring.has_pages():
            if monotonic_ns() >= till_ns:
                return
        self._receive_pages()

    def _stay_awake(self) -> None:
        """Looks for pages in each turn of the loop: as long as some come, and while it spins."""
        if not self._awake:
            self._awake = True
            self._found, self._spins = False, self._spinning.begins()
            self._ring.wake_up()
            self._loop.call_soon(self._on_turn)
        if self._spins:
            self._spin_till_ns = monotonic_ns() + self._spinning.ns

    def _on_bell(self) -> None:
        self._answer_bell()
        if self._awake:
            return
        if self._spinning.ns:
            self._stay_awake()
        if self._ring.has_pages() or self._end is not None:
            self._receive_pages()
        if self._awake or self._on_pages is None:
            return
        self._sends = 0
        # If no more pages are due, a turn of the loop would only find out that.
        if self._pages_due or not self._fall_asleep(self._until()):
            self._stay_awake()

    def _on_turn(self) -> None:
        self._turns_alone = 0 if self._sends > 1 else self._turns_alone + 1
        self._sends = 0
        if self._on_pages is None:
            self._awake = False
            return
        if self._ring.has_pages() or self._end is not None:
            self._receive_pages()
        elif self._on_room is not None and (self._input_gone or self._ring.has_room):
            self._on_room()
        elif not (self._spins and self._pages_due and monotonic_ns() < self._spin_till_ns):
            if self._spins and (self._found or self._pages_due):
                self._spinning.ended(found=self._found)
            if self._fall_asleep(self._until()):
                self._awake = False
                return
        self._loop.call_soon(self._on_turn)

    def _until(self) -> int:
        return UNTIL_PAGES if self._on_room is None else UNTIL_PAGES_OR_ROOM

    def _receive_pages(self) -> None:
        assert self._on_pages is not None
        self._found = True
        self._pages_due = bool(self._on_pages())
        if self._spins:
            self._spin_till_ns = monotonic_ns() + self._spinning.ns

    def close(self) -> None:
        memory, self._memory = self._memory, None
        self.child.close_streams()
        if memory is not None:
            self._launcher.give_back(memory)
