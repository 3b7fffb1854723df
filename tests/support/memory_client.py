"""A manager of the shared memory, as small as can be: for the tests of children that speak it.

Written from PROTOCOL.md alone. It has no fence, so it makes its memories with ``always_ring``
unless a test asks for the flags; then it waits in short steps, and a lost wake-up only delays it.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import select
import time
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType

from tests.support import page_model as model
from tests.support.children import LIMIT_S, RunningChild

HEAD = 4096
WRITTEN, TAKEN, MANAGER_SLEEPS = 64, 80, 96
CONSUMED, READY, CHILD_SLEEPS = 128, 144, 160
"""The positions of counters and flags, in words of eight bytes."""

STEP_S = 0.05


class Memory:
    """A memory that a child can inherit. The parameters are those of its header."""

    def __init__(
        self,
        *,
        ring: int = 4096,
        slots: int = 4,
        spin_ns: int = 0,
        always_ring: int = 1,
        magic: bytes = b"WALREDO1",
        page: int = model.PAGE,
        size: int | None = None,
    ) -> None:
        self.ring_bytes, self.slot_count = ring, slots
        self.size = HEAD + ring + slots * model.PAGE if size is None else size
        self.fd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, self.size)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, seals)
        self.map = mmap.mmap(self.fd, max(self.size, HEAD)) if self.size >= HEAD else None
        if self.map is None:
            return
        self.bytes = memoryview(self.map)
        self.words = self.bytes[:HEAD].cast("Q")
        self.bytes[:8] = magic
        self.words[1:6] = memoryview(
            b"".join(n.to_bytes(8, "little") for n in (ring, slots, page, spin_ns, always_ring))
        ).cast("Q")

    def reset(self) -> None:
        """As before a launch: all counters and flags are 0."""
        for word in (WRITTEN, TAKEN, MANAGER_SLEEPS, CONSUMED, READY, CHILD_SLEEPS):
            self.words[word] = 0

    def close(self) -> None:
        """May be called twice."""
        if self.fd < 0:
            return
        os.close(self.fd)
        self.fd = -1
        if self.map is not None:
            self.words.release()
            self.bytes.release()
            self.map.close()


class SharingChild(RunningChild):
    """A child with a memory; leaving the context ends both."""

    def __init__(self, command: Iterable[str], memory: Memory | None = None) -> None:
        self.memory = Memory() if memory is None else memory
        fd = self.memory.fd
        super().__init__([*command, "--shared-memory", str(fd)], inherit=[fd])
        self.written = self.taken = 0

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        self.memory.close()

    def bell(self) -> None:
        with suppress(BrokenPipeError):  # the end of its output says that the child has ended
            os.write(self.stdin.fileno(), b"\0")

    def publish(self, counter: int, value: int) -> None:
        """Store a counter, and ring if the child sleeps or the header asks for it."""
        words = self.memory.words
        words[counter] = value
        if words[5] or words[CHILD_SLEEPS]:
            words[CHILD_SLEEPS] = 0
            self.bell()

    def put(self, data: bytes, *, trusting: bool = True) -> int:
        """Put as much into the ring as it has room for, and publish it; returns how much.

        ``trusting``: that the child's counter says how much room there is; else there is enough.
        """
        ring = self.memory.ring_bytes
        room = ring - (self.written - self.memory.words[CONSUMED]) if trusting else ring
        now = min(len(data), room)
        at = self.written % ring
        first = min(now, ring - at)
        self.memory.bytes[HEAD + at : HEAD + at + first] = data[:first]
        self.memory.bytes[HEAD : HEAD + now - first] = data[first:now]
        if now:
            self.written += now
            self.publish(WRITTEN, self.written)
        return now

    def take(self) -> bytes:
        """The pages that are ready, copied out of their slots."""
        pages = b""
        memory = self.memory
        ready = memory.words[READY]
        assert ready - self.taken <= memory.slot_count
        for n in range(self.taken, ready):
            pages += self.slot(n)
        if ready != self.taken:
            self.taken = ready
            self.publish(TAKEN, ready)
        return pages

    def slot(self, number: int) -> bytes:
        """What is in the slot of this page."""
        memory = self.memory
        at = HEAD + memory.ring_bytes + number % memory.slot_count * model.PAGE
        return bytes(memory.bytes[at : at + model.PAGE])

    def seen(self) -> tuple[int, int]:
        """The child's counters."""
        return self.memory.words[CONSUMED], self.memory.words[READY]

    def sleep(self, value: int, seen: tuple[int, int], limit_s: float = STEP_S) -> bool:
        """Sleep until there is a bell, unless the counters have changed; False at its end."""
        words = self.memory.words
        words[MANAGER_SLEEPS] = value
        alive = True
        if self.seen() == seen and select.select([self.stdout], [], [], limit_s)[0]:
            alive = os.read(self.stdout.fileno(), 512) != b""
        words[MANAGER_SLEEPS] = 0
        return alive

    def ask(self, data: bytes, pages: int) -> bytes:
        """Send all of it and take this many pages; fewer if the child has ended."""
        got, alive = b"", True
        deadline = time.monotonic() + LIMIT_S
        while data or len(got) < pages * model.PAGE:
            assert time.monotonic() < deadline, "the child does not answer"
            seen = self.seen()
            data = data[self.put(data) :]
            fresh = self.take()
            got += fresh
            if not alive and not fresh:
                return got
            alive = self.sleep(2 if data else 1, seen)
        return got

    def end(self) -> int:
        """End its input and return its exit status."""
        self.stdin.close()
        return self.process.wait(LIMIT_S)
