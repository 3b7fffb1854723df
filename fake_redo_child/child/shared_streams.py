"""The child's side of the shared memory (PROTOCOL.md), as ``shared_ring.h`` is for the C child.

The child loads this file by its path, and only if it is given ``--shared-memory``; so the file
imports the standard library only. ``walredo/transport/ring.py`` explains the fence.
"""

from __future__ import annotations

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
_MAX_RING_BYTES = 1 << 30
_MAX_SLOTS = 1 << 16
_WORD = 0xFFFF_FFFF_FFFF_FFFF
_WRITTEN, _TAKEN, _MANAGER_SLEEPS = 64, 80, 96
_CONSUMED, _READY, _CHILD_SLEEPS = 128, 144, 160
_UNTIL_PAGES, _UNTIL_PAGES_OR_ROOM = 1, 2
_BELL = b"\0"
_STALE_BYTES = 512


class BadMemoryError(Exception):
    """The descriptor is no memory of a manager. The message says why."""


class StreamError(Exception):
    """Nothing can be read or written any more. The message is the line for standard error."""


class SharedStreams:
    """Reads requests from the ring and writes the bytes of pages into the slots."""

    Error = StreamError

    def __init__(self, fd: int) -> None:
        """Maps the memory and closes the descriptor. Raises BadMemoryError."""
        try:
            size = os.fstat(fd).st_size
        except OSError as error:
            raise BadMemoryError(f"not an open descriptor (errno {error.errno})") from error
        if size < _RING_AT:
            raise BadMemoryError(f"it has {size} bytes, less than a header of {_RING_AT}")
        try:
            memory = memoryview(mmap.mmap(fd, size, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE))
        except OSError as error:
            problem = f"cannot be mapped for reading and writing (errno {error.errno})"
            raise BadMemoryError(problem) from error
        os.close(fd)
        self._words = words = memory[:_RING_AT].cast("Q")
        magic, ring_bytes, slots, page_bytes, spin_ns, always_ring = words[:6].tolist()
        if magic != _MAGIC:
            raise BadMemoryError("magic is not WALREDO1")
        for what, count, most in (
            ("ring_bytes", ring_bytes, _MAX_RING_BYTES),
            ("slots", slots, _MAX_SLOTS),
        ):
            if count & (count - 1) or not 0 < count <= most:
                raise BadMemoryError(f"{what} is {count}, not a power of two up to {most}")
        if page_bytes != PAGE_SIZE:
            raise BadMemoryError(f"page_bytes is {page_bytes}, not {PAGE_SIZE}")
        if always_ring > 1:
            raise BadMemoryError(f"always_ring is {always_ring}, not 0 or 1")
        wanted = _RING_AT + ring_bytes + slots * page_bytes
        if size != wanted:
            raise BadMemoryError(f"it has {size} bytes, but its header says {wanted}")
        self._ring = memory[_RING_AT : _RING_AT + ring_bytes]
        self._slots = memory[_RING_AT + ring_bytes :]
        self._ring_bytes, self._slot_count = ring_bytes, slots
        self._always_ring = bool(always_ring)
        self._spin_ns = min(spin_ns, MAX_SPIN_NS)
        self._skip = self._to_skip = 0
        self._consumed = self._ready = self._piece = 0
        self._filled = 0  # bytes of the page that is being written
        self._consumed_lie = self._ready_lie = 0  # what faults add to what is published
        self._fence = allocate_lock()
        self._fence.acquire()

    def read(self) -> bytes:
        """The next bytes of requests; empty at the end of input. Raises OSError and StreamError."""
        words = self._words
        # Only now, when its pages are written: a child that waits for a slot in the middle of a
        # piece has not consumed it, and by that the manager knows what it waits for.
        if self._piece:
            self._consumed += self._piece
            self._piece = 0
            self._publish_consumed()
        while not (size := words[_WRITTEN] - self._consumed):
            if not self._wait(_WRITTEN, self._consumed):
                return b""
        if not 0 < size <= self._ring_bytes:
            raise StreamError("more input is announced than the ring holds")
        at = self._consumed % self._ring_bytes
        self._piece = size = min(size, PIECE_BYTES, self._ring_bytes - at)
        self._full_fence()
        return bytes(self._ring[at : at + size])

    def write(self, data: bytes) -> None:
        """Writes bytes of pages; each page is published when it is complete. Raises OSError and
        StreamError."""
        at = 0
        while at < len(data):
            if not self._filled:
                # At least, since a manager that believed a lie may have taken more than there is.
                while self._ready - (taken := self._words[_TAKEN]) >= self._slot_count:
                    if not self._wait(_TAKEN, taken):
                        raise StreamError(
                            "cannot write a page: no slot is free, and input has ended"
                        )
            size = min(len(data) - at, PAGE_SIZE - self._filled)
            start = self._ready % self._slot_count * PAGE_SIZE + self._filled
            self._slots[start : start + size] = data[at : at + size]
            at += size
            self._filled += size
            if self._filled == PAGE_SIZE:
                self._filled = 0
                self._ready += 1
                self._full_fence()
                self._words[_READY] = (self._ready + self._ready_lie) & _WORD
                self._wake_manager(_UNTIL_PAGES)

    def drop_part(self) -> None:
        """Forgets the part of a page that is in the current slot: the next page begins there."""
        self._filled = 0

    def lie_in_consumed(self, by: int) -> None:
        """Publishes a false ``consumed`` now, and from now on."""
        self._consumed_lie += by
        self._publish_consumed()

    def lie_in_ready(self, by: int) -> None:
        """Publishes a false ``ready`` with the next page, and from then on."""
        self._ready_lie += by

    def _publish_consumed(self) -> None:
        self._full_fence()
        self._words[_CONSUMED] = (self._consumed + self._consumed_lie) & _WORD
        self._wake_manager(_UNTIL_PAGES_OR_ROOM)

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
