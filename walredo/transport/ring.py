"""The shared memory of a manager and its child, from the manager's side: counters, ring and slots.

``fake_redo_child/PROTOCOL.md`` has the layout. This module does no I/O: it copies requests into the
ring and pages out of the slots, and says whether the child must be woken. The child is not trusted:
the manager's own counters are kept here and never read back, and what the child publishes must lie
within what was asked for.

**Order of memory accesses.** Publishing is "store the counter, then load the flag of the sleeper";
falling asleep is "store the flag, then load the counter". A processor may let the load overtake the
store, x86-64 too (Intel SDM, volume 3, section 9.2.3.4), and then both sides miss each other: a
redo that never ends. Python has no fence, but releasing and then acquiring an uncontended lock is
one:

- x86-64: both are locked instructions, which no load or store overtakes (same section, 9.2.3.9).
- arm64: the release is a store-release (or an atomic with release), the acquire a load-acquire.
  Accesses before the first come before it, accesses after the second come after it, and a
  load-acquire never overtakes an earlier store-release (Arm ARM, B2.3, "barrier-ordered-before").
  Acquiring and then releasing would not do: accesses could move in between from both sides.
- Both in CPython up to 3.12 (``sem_post`` and ``sem_trywait``) and from 3.13 on, free-threaded
  builds included (``PyMutex``: an atomic compare-and-exchange).

On arm64 the processor may also reorder two stores, or two loads, so there a fence stands between
data and counter, too (``_ORDERED`` is False). On any other machine both sides ring after every
publication and so need no flag (``HAS_FENCE`` is False).

An item of a memoryview of format ``Q`` is copied by a ``memcpy`` of 8 aligned bytes
(Objects/memoryobject.c), which compilers make one instruction: no counter is read in halves.
"""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable, Sequence

from walredo.wire import PAGE_SIZE, page_struct

MAGIC = int.from_bytes(b"WALREDO1", "little")
RING_BYTES = 1024 * 1024
SLOTS = 256
HEADER_BYTES = 4096
MEMORY_BYTES = HEADER_BYTES + RING_BYTES + SLOTS * PAGE_SIZE

# Word numbers in the header (PROTOCOL.md has them as byte offsets).
_MAGIC, _RING_BYTES, _SLOTS, _PAGE_BYTES, _SPIN_NS, _ALWAYS_RING = range(6)
WRITTEN, TAKEN, MANAGER_SLEEPS = 64, 80, 96
CONSUMED, READY, CHILD_SLEEPS = 128, 144, 160

AWAKE, UNTIL_PAGES, UNTIL_PAGES_OR_ROOM = 0, 1, 2
"""The values of ``MANAGER_SLEEPS``."""

COPIED_TWICE_BYTES = 4096
"""Shorter requests are joined before they are copied into the ring."""

MAX_SPIN_NS = 1_000_000
"""The longest spin of a child: it must see the end of its manager soon."""

HAS_FENCE = platform.machine() in ("x86_64", "aarch64", "arm64", "AMD64")
_ORDERED = platform.machine() in ("x86_64", "AMD64")

Chunks = Sequence[bytes | memoryview]


class BadCounter(Exception):  # noqa: N818 - a fact about the child, which the transport reports
    """The child has published an impossible counter."""


def new_fence() -> tuple[Callable[[], object], Callable[[], object]]:
    """Two functions that are a full memory barrier for one role if they are called one after the
    other. Only one thread at a time may do so. (One function for both would cost each batch a
    Python call.)"""
    lock = threading.Lock()
    lock.acquire()
    return lock.release, lock.acquire


class SharedRing:
    """The manager's side of one memory, for one child after another.

    ``memory``: a writable view of MEMORY_BYTES bytes that the child has mapped as well.

    Thread safety: one thread at a time may call ``put``, and one thread at a time the others; these
    two may differ and run at once.
    """

    def __init__(self, memory: memoryview) -> None:
        self._words = memory[:HEADER_BYTES].cast("Q")
        self._ring = memory[HEADER_BYTES : HEADER_BYTES + RING_BYTES]
        self._slots = memory[HEADER_BYTES + RING_BYTES :]
        self._fence_put, self._fenced_put = new_fence()
        self._fence_take, self._fenced_take = new_fence()
        self._always_ring = not HAS_FENCE
        self._written = self._taken = self._consumed = 0

    def reset(self, spin_ns: int) -> None:
        """Prepares the memory for a new child. No other child may have it mapped and run."""
        words = self._words
        header = (MAGIC, RING_BYTES, SLOTS, PAGE_SIZE, min(spin_ns, MAX_SPIN_NS), not HAS_FENCE)
        for number, value in enumerate(header):
            words[number] = value
        for counter in (WRITTEN, TAKEN, MANAGER_SLEEPS, CONSUMED, READY, CHILD_SLEEPS):
            words[counter] = 0
        self._written = self._taken = self._consumed = 0

    def release(self) -> None:
        """Gives the views back, so that the memory can be unmapped."""
        for view in (self._words, self._ring, self._slots):
            view.release()

    # -- requests

    def put(self, chunks: Chunks) -> tuple[int, bool]:
        """Puts as much of the chunks as fits into the ring. Returns the number of bytes, and
        whether the child must be woken for them. Raises BadCounter."""
        size = len(chunks[0]) if len(chunks) == 1 else sum(map(len, chunks))
        written = self._written
        if size > RING_BYTES - (written - self._consumed):
            size = min(size, self.room())
            if not size:
                return 0, False
        # Short chunks are copied twice, which is faster than one by one.
        if len(chunks) > 1 and size < COPIED_TWICE_BYTES * len(chunks):
            chunks = (b"".join(chunks),)
        ring, left = self._ring, size
        for chunk in chunks:
            data = chunk if len(chunk) <= left else memoryview(chunk)[:left]
            at = written % RING_BYTES
            end = at + len(data)
            if end <= RING_BYTES:
                ring[at:end] = data
            else:
                first = RING_BYTES - at
                ring[at:] = data[:first]
                ring[: end - RING_BYTES] = data[first:]
            written += len(data)
            left -= len(data)
            if not left:
                break
        self._written = written
        words = self._words
        if not _ORDERED:
            self._fence_put()
            self._fenced_put()
        words[WRITTEN] = written
        if self._always_ring:
            return size, True
        self._fence_put()
        self._fenced_put()
        if words[CHILD_SLEEPS]:
            words[CHILD_SLEEPS] = 0
            return size, True
        return size, False

    @property
    def child_is_awake(self) -> bool:
        """Whether the child does not say that it sleeps."""
        return not self._words[CHILD_SLEEPS]

    def room(self) -> int:
        """How many bytes ``put`` can take now. Raises BadCounter."""
        consumed = self._words[CONSUMED]
        if not self._consumed <= consumed <= self._written:
            raise BadCounter(
                f"says that it consumed {consumed} bytes of requests, after {self._consumed}"
                f" of {self._written}"
            )
        self._consumed = consumed
        return RING_BYTES - (self._written - consumed)

    @property
    def has_room(self) -> bool:
        """Whether ``put`` has room, or something to raise."""
        return self._words[CONSUMED] != self._written - RING_BYTES

    # -- pages

    def has_pages(self) -> bool:
        """Whether ``take`` has something to return or to raise."""
        return self._words[READY] != self._taken

    def take(self) -> tuple[bytes, ...]:
        """The pages that have arrived since the last call, copied; empty if there are none. Raises
        BadCounter."""
        taken = self._taken
        ready = self._words[READY]
        count = ready - taken
        if not count:
            return ()
        if not 0 < count <= SLOTS:
            raise BadCounter(f"says that {ready} pages are ready, of which {taken} were taken")
        if not _ORDERED:
            self._fence_take()
            self._fenced_take()
        first = taken % SLOTS
        before_wrap = min(count, SLOTS - first)
        pages = page_struct(before_wrap).unpack_from(self._slots, first * PAGE_SIZE)
        if before_wrap < count:
            pages += page_struct(count - before_wrap).unpack_from(self._slots)
        self._taken = ready
        if not _ORDERED:
            self._fence_take()
            self._fenced_take()
        self._words[TAKEN] = ready
        return pages

    def child_awaits_a_slot(self, taken: int) -> bool:
        """Whether the child must be woken because it sleeps until slots are taken.

        To be asked after each ``take`` with the number of its pages, and with 0 once
        ``fall_asleep`` has returned True: its fence makes sure that no such sleep is missed.
        """
        if self._always_ring:
            return taken > 0
        # A child has half of the slots to go on with. It sleeps for want of a slot only if it has
        # not consumed all that was written.
        words = self._words
        if 0 < taken < SLOTS // 2 or not words[CHILD_SLEEPS] or words[CONSUMED] == self._written:
            return False
        words[CHILD_SLEEPS] = 0
        return True

    # -- sleeping

    def fall_asleep(self, until: int) -> bool:
        """Announces that the manager will block. Returns False, and announces nothing, if there is
        no reason to block (any more)."""
        words = self._words
        words[MANAGER_SLEEPS] = until
        self._fence_take()
        self._fenced_take()
        if self.has_pages() or (until == UNTIL_PAGES_OR_ROOM and self.has_room):
            words[MANAGER_SLEEPS] = AWAKE
            return False
        return True

    def wake_up(self) -> None:
        """Withdraws the announcement."""
        self._words[MANAGER_SLEEPS] = AWAKE
