"""The read path in front of a redo: the data that clients hold, and how many are past which point.

Everything here belongs to one slice, and is thread-safe. The loops are in
`bench.worker.clients.reads`. Standard library only.
"""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bench.cases.notations import OVER_BUDGET, Admission
from bench.worker.protocol import WorkerSpec

_PAGE_BYTES: Final = resource.getpagesize()


class OverBudgetError(Exception):
    """The data of one more read would take more memory than the clients may hold."""

    def __init__(self, reads: int, data_bytes: int, budget_bytes: int) -> None:
        super().__init__(
            f"{OVER_BUDGET}: data of {reads} x {data_bytes} bytes is more than {budget_bytes}"
            " (--budget-bytes)"
        )


@dataclass(frozen=True, slots=True)
class ReadPath:
    """How a page is read.

    Each read collects ``data_bytes`` for its redo; a ``download_share`` of the reads waits
    ``download_s`` first. All clients together may hold ``budget_bytes`` (0: no limit).
    """

    admission: Admission
    data_bytes: int
    download_s: float
    download_share: float
    budget_bytes: int

    @classmethod
    def of(cls, spec: WorkerSpec) -> ReadPath:
        return cls(
            Admission.parse(spec.admission),
            spec.data_bytes,
            spec.download_ms / 1e3,
            spec.download_share,
            spec.budget_bytes,
        )


class Point:
    """A point of the path. It measures how many clients are past it, and for how long none is.

    A context manager: a client is past the point while it is inside. ``peak``: the most clients at
    the same time.
    """

    def __init__(self, now_ns: Callable[[], int] = time.perf_counter_ns) -> None:
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._inside = 0
        self._idle_ns = 0
        self._idle_since_ns = now_ns()
        self.peak = 0

    def opens(self, at_ns: int) -> None:
        """Starts measuring. Before, no client can be past the point."""
        self._idle_since_ns = at_ns

    def idle_ns(self, until_ns: int) -> int:
        """For how long no client was past it since it opened. Call it when no client is."""
        return self._idle_ns + until_ns - self._idle_since_ns

    def __enter__(self) -> None:
        at_ns = self._now_ns()
        with self._lock:
            if self._inside == 0:
                # The clock is read outside the lock, so the last client to leave may have read a
                # later time than this one.
                self._idle_ns += max(0, at_ns - self._idle_since_ns)
            self._inside += 1
            self.peak = max(self.peak, self._inside)

    def __exit__(self, *_: object) -> None:
        at_ns = self._now_ns()
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._idle_since_ns = at_ns


class Memory:
    """What all clients together hold, counted exactly, and never more than the budget."""

    def __init__(self, data_bytes: int, budget_bytes: int = 0) -> None:
        self._data_bytes = data_bytes
        self._budget_bytes = budget_bytes
        self._marks = b"\1" * -(-data_bytes // _PAGE_BYTES)
        self._lock = threading.Lock()
        self.held_bytes = 0
        self.peak_bytes = 0

    def data(self) -> _Data:
        """The data of one read: a context manager that holds it."""
        return _Data(self)

    def take(self) -> bytearray:
        """Allocates one read's data, every page of it touched. Raises OverBudgetError, before
        anything is allocated, and MemoryError."""
        with self._lock:
            held_bytes = self.held_bytes + self._data_bytes
            if 0 < self._budget_bytes < held_bytes:
                reads = held_bytes // self._data_bytes
                raise OverBudgetError(reads, self._data_bytes, self._budget_bytes)
            self.held_bytes = held_bytes
            self.peak_bytes = max(self.peak_bytes, held_bytes)
        try:
            data = bytearray(self._data_bytes)
        except MemoryError:
            self.give_back()
            raise
        data[::_PAGE_BYTES] = self._marks
        return data

    def give_back(self) -> None:
        """Counts the data of one read as freed."""
        with self._lock:
            self.held_bytes -= self._data_bytes


class _Data:
    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._data: bytearray | None = None

    def __enter__(self) -> None:
        self._data = self._memory.take()

    def __exit__(self, *_: object) -> None:
        self._data = None  # frees it, as there is no other reference
        self._memory.give_back()


@dataclass(frozen=True, slots=True)
class Passage:
    """The path in one slice: its memory, and its two points."""

    memory: Memory
    collecting: Point
    redoing: Point

    @classmethod
    def along(cls, path: ReadPath) -> Passage:
        return cls(Memory(path.data_bytes, path.budget_bytes), Point(), Point())

    def counts(self, until_ns: int) -> Mapping[str, int]:
        """What was counted until the last client's end."""
        return {
            "held_peak_bytes": self.memory.peak_bytes,
            "collecting_peak": self.collecting.peak,
            "redoing_peak": self.redoing.peak,
            "child_idle_ns": self.redoing.idle_ns(until_ns),
        }
