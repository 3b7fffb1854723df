"""The child's side of the shared memory (PROTOCOL.md), as ``shared_ring.h`` is for the C child.

The child loads this file by its path, and only if it is given ``--shared-memory``; so the file
imports the standard library only. ``walredo/transport/ring.py`` explains the fence.
"""

from __future__ import annotations

import errno
import mmap
import os
from _thread import allocate_lock
from time import perf_counter_ns

PAGE_SIZE = 8192
MAX_SPIN_NS = 1_000_000
PIECE_BYTES = 64 * 1024
MAX_SKIPPED = 64

_MAGIC = int.from_bytes(b"WALREDO1", "little")
_RING_AT = 4096
_WRITTEN, _TAKEN, _MANAGER_SLEEPS = 64, 80, 96
_CONSUMED, _READY, _CHILD_SLEEPS = 128, 144, 160
_UNTIL_PAGES, _UNTIL_PAGES_OR_ROOM = 1, 2
_BELL = b"\0"
_STALE_BYTES = 512


class BadMemoryError(Exception):
    """The descriptor is no memory of a manager. The message says why."""


class SharedStreams:
    """Reads requests from the ring and writes the bytes of pages into the slots."""

    def __init__(self, fd: int) -> None:
        """Maps the memory and closes the descriptor. Raises BadMemoryError."""
        try:
            size = os.fstat(fd).st_size
            memory = memoryview(mmap.mmap(fd, size, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE))
        except (OSError, ValueError) as error:
            raise BadMemoryError(f"cannot be mapped ({error})") from error
        os.close(fd)
        if size < _RING_AT:
            raise BadMemoryError(f"{size} bytes are no header")
        self._words = words = memory[:_RING_AT].cast("Q")
        magic, ring_bytes, slots, page_bytes, spin_ns, always_ring = words[:6].tolist()
        if magic != _MAGIC:
            raise BadMemoryError("its header does not begin with WALREDO1")
        for what, count in (("ring_bytes", ring_bytes), ("slots", slots)):
            if count & (count - 1) or not count:
                raise BadMemoryError(f"{what} is {count}: it must be a power of two")
        if page_bytes != PAGE_SIZE:
            raise BadMemoryError(f"page_bytes is {page_bytes}: it must be {PAGE_SIZE}")
        needed = _RING_AT + ring_bytes + slots * page_bytes
        if size != needed:
            raise BadMemoryError(f"it has {size} bytes, and its header describes {needed}")
        self._ring = memory[_RING_AT : _RING_AT + ring_bytes]
        self._slots = memory[_RING_AT + ring_bytes :]
        self._ring_bytes, self._slot_count = ring_bytes, slots
        self._always_ring = bool(always_ring)
        self._spin_ns = min(spin_ns, MAX_SPIN_NS)
        self._skip = self._to_skip = 0
        self._consumed = self._ready = self._piece = 0
        self._filled = 0  # bytes of the page that is being written
        self._fence = allocate_lock()
        self._fence.acquire()

    def read(self) -> bytes:
        """The next bytes of requests; empty at the end of input. Raises OSError."""
        words = self._words
        # Only now, when its pages are written: a child that waits for a slot in the middle of a
        # piece has not consumed it, and by that the manager knows what it waits for.
        if self._piece:
            self._consumed += self._piece
            self._piece = 0
            self._full_fence()
            words[_CONSUMED] = self._consumed
            self._wake_manager(_UNTIL_PAGES_OR_ROOM)
        while not (size := words[_WRITTEN] - self._consumed):
            if not self._wait(_WRITTEN, self._consumed):
                return b""
        at = self._consumed % self._ring_bytes
        self._piece = size = min(size, PIECE_BYTES, self._ring_bytes - at)
        self._full_fence()
        return bytes(self._ring[at : at + size])

    def write(self, data: bytes) -> None:
        """Writes bytes of pages; each page is published when it is complete. Raises OSError, also
        if the input ends while the child waits for a free slot: then nobody takes pages."""
        at = 0
        while at < len(data):
            if not self._filled:
                while self._ready - self._words[_TAKEN] == self._slot_count:
                    if not self._wait(_TAKEN, self._ready - self._slot_count):
                        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
            size = min(len(data) - at, PAGE_SIZE - self._filled)
            start = self._ready % self._slot_count * PAGE_SIZE + self._filled
            self._slots[start : start + size] = data[at : at + size]
            at += size
            self._filled += size
            if self._filled == PAGE_SIZE:
                self._filled = 0
                self._ready += 1
                self._full_fence()
                self._words[_READY] = self._ready
                self._wake_manager(_UNTIL_PAGES)

    def _wake_manager(self, least: int) -> None:
        """Rings if the manager sleeps until this, after a counter was stored."""
        if not self._always_ring:
            self._full_fence()
            if self._words[_MANAGER_SLEEPS] < least:
                return
        self._words[_MANAGER_SLEEPS] = 0
        os.write(1, _BELL)

    def _wait(self, counter: int, value: int) -> bool:
        """Waits until a counter of the manager is no longer ``value``. Returns False at the end of
        input."""
        words = self._words
        if self._spun(counter, value):
            return True
        words[_CHILD_SLEEPS] = 1
        self._full_fence()
        awake = words[counter] != value or bool(os.read(0, _STALE_BYTES))
        words[_CHILD_SLEEPS] = 0
        # What was written before the end of input is still read.
        return awake or words[counter] != value

    def _spun(self, counter: int, value: int) -> bool:
        """Spins, unless that has failed lately. Returns whether the counter has changed."""
        if not self._spin_ns:
            return False
        if self._to_skip:
            self._to_skip -= 1
            return False
        words, till_ns = self._words, perf_counter_ns() + self._spin_ns
        while (same := words[counter] == value) and perf_counter_ns() < till_ns:
            pass
        self._to_skip = self._skip = min(max(1, 2 * self._skip), MAX_SKIPPED) if same else 0
        return not same

    def _full_fence(self) -> None:
        self._fence.release()
        self._fence.acquire()
