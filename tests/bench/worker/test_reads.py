"""The read path and its semaphores, with managers that are functions: what is bounded, and counted.

Threads and tasks run the same tests: ``read`` hides which of the two it is.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import pytest

from bench.cases.notations import Admission
from bench.results.samples import SliceSamples
from bench.worker.clients import reads
from bench.worker.clients.read_path import Memory, OverBudgetError, Passage, Point, ReadPath
from bench.worker.clients.reads import read_in_tasks, read_in_threads
from bench.worker.clients.slice import Slice, SliceOutcome, Work, WrongPageError

REQUESTS = 64
PAGES = [bytes([index]) * 32 for index in range(REQUESTS)]
DATA_BYTES = 10_000
CLIENTS = 12

Redo = Callable[[int], bytes]


@pytest.fixture(params=["threads", "tasks"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(autouse=True)
def memories(monkeypatch: pytest.MonkeyPatch) -> list[Memory]:
    """Every memory of a slice that was run."""
    made: list[Memory] = []

    class Spied(Passage):
        @classmethod
        def along(cls, path: ReadPath) -> Passage:
            passage = Passage.along(path)
            made.append(passage.memory)
            return passage

    monkeypatch.setattr(reads, "Passage", Spied)
    return made


def path_of(
    admission: str, *, budget_bytes: int = 0, share: float = 0.5, data_bytes: int = DATA_BYTES
) -> ReadPath:
    return ReadPath(Admission.parse(admission), data_bytes, 0.0002, share, budget_bytes)


def read(
    kind: str, redo: Redo, path: ReadPath, clients: int = CLIENTS, seconds: float = 0.02
) -> SliceOutcome:
    """A slice whose request ``i`` is answered by ``redo(i)``, in tasks after one more turn of the
    loop; neither thread nor task is left behind."""
    if kind == "threads":
        before = threading.active_count()
        work = Work([partial(redo, index) for index in range(REQUESTS)], PAGES)
        try:
            return read_in_threads(Slice(work, clients, seconds, ()), path=path)
        finally:
            assert threading.active_count() == before

    async def answer(index: int) -> bytes:
        await asyncio.sleep(0)
        return redo(index)

    async def everything() -> SliceOutcome:
        calls: list[Callable[[], Awaitable[bytes]]] = [
            partial(answer, index) for index in range(REQUESTS)
        ]
        try:
            return await read_in_tasks(Slice(Work(calls, PAGES), clients, seconds, ()), path=path)
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}

    return asyncio.run(everything())


def right(index: int) -> bytes:
    return PAGES[index]


class Crowd:
    """A redo that notes how many are in it at once, and what is held meanwhile."""

    def __init__(self, memories: list[Memory]) -> None:
        self._memories = memories
        self._lock = threading.Lock()
        self._inside = 0
        self.peak = 0
        self.peak_held_bytes = 0

    def __call__(self, index: int) -> bytes:
        with self._lock:
            self._inside += 1
            self.peak = max(self.peak, self._inside)
            self.peak_held_bytes = max(self.peak_held_bytes, self._memories[-1].held_bytes)
        threading.Event().wait(0.0002)  # lets other threads in, if anything does
        with self._lock:
            self._inside -= 1
        return PAGES[index]


@pytest.mark.parametrize(
    ("admission", "data", "redo"),
    [
        ("unlimited", CLIENTS, CLIENTS),
        ("before:3", 3, 3),
        ("after:2", CLIENTS, 2),
        ("both:5,2", 5, 2),
        ("both:2,5", 2, 2),
        ("before:1", 1, 1),
    ],
)
def test_never_more_are_inside_than_may(
    kind: str, admission: str, data: int, redo: int, memories: list[Memory]
) -> None:
    crowd = Crowd(memories)
    counts = read(kind, crowd, path_of(admission)).counts
    assert 1 <= crowd.peak <= redo
    assert crowd.peak <= counts["redoing_peak"] <= redo
    assert counts["redoing_peak"] <= counts["collecting_peak"] <= data
    assert crowd.peak_held_bytes <= counts["held_peak_bytes"] <= data * DATA_BYTES
    assert counts["held_peak_bytes"] % DATA_BYTES == 0


def test_clients_that_queue_for_the_redo_hold_their_data(kind: str) -> None:
    """After: all have collected before the first redo ends. Before: one alone has."""
    held = {}
    for admission in ("after:1", "before:1"):
        counts = read(kind, right, path_of(admission, share=0.0), seconds=0.0).counts
        held[admission] = counts["held_peak_bytes"] // DATA_BYTES
    assert held["before:1"] == 1
    if kind == "tasks":  # threads may be so late that nobody queues
        assert held["after:1"] == CLIENTS


def test_threads_that_queue_for_the_redo_hold_their_data(memories: list[Memory]) -> None:
    def redo(index: int) -> bytes:
        while memories[-1].peak_bytes < CLIENTS * DATA_BYTES:
            threading.Event().wait(0.0005)
        return PAGES[index]

    counts = read("threads", redo, path_of("after:1"), seconds=0.0).counts
    assert counts["held_peak_bytes"] == CLIENTS * DATA_BYTES
    assert counts["redoing_peak"] == 1


@pytest.mark.parametrize("admission", ["unlimited", "before:2", "after:2", "both:3,2"])
def test_one_sample_and_one_redo_time_per_read(kind: str, admission: str) -> None:
    outcome = read(kind, right, path_of(admission))
    samples = SliceSamples.from_payload(outcome.payload, CLIENTS)
    redo_ns = outcome.series["redo_ns"]
    assert len(redo_ns) == samples.latency_ns.size
    # Within the read, so shorter than it, one by one.
    assert all(0 < own < whole for own, whole in zip(redo_ns, samples.latency_ns, strict=True))
    assert 0 <= outcome.counts["child_idle_ns"] <= int(samples.end_ns.max()) + samples.start_ns[0]


@pytest.mark.parametrize("admission", ["unlimited", "before:2", "after:2", "both:3,2"])
def test_all_data_is_freed_in_the_end(kind: str, admission: str, memories: list[Memory]) -> None:
    read(kind, right, path_of(admission))
    assert memories[-1].held_bytes == 0


class RefusedError(Exception):
    """What the manager of a test raises."""


@pytest.mark.parametrize("admission", ["unlimited", "before:2", "after:2", "both:3,2"])
def test_a_failing_redo_is_raised_and_frees_everything(
    kind: str, admission: str, memories: list[Memory]
) -> None:
    def redo(index: int) -> bytes:
        if index == 17:
            raise RefusedError("no redo today")
        return PAGES[index]

    with pytest.raises(RefusedError, match="no redo today"):
        read(kind, redo, path_of(admission), seconds=30.0)
    assert memories[-1].held_bytes == 0


def test_a_wrong_page_is_named(kind: str, memories: list[Memory]) -> None:
    def redo(index: int) -> bytes:
        return b"" if index == 2 else PAGES[index]

    with pytest.raises(WrongPageError, match="wrong page: client 0, request 2"):
        read(kind, redo, path_of("before:1"), clients=1, seconds=30.0)
    assert memories[-1].held_bytes == 0


def test_a_cancelled_slice_frees_everything(memories: list[Memory]) -> None:
    async def never(index: int) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    async def cancelled() -> None:
        calls: list[Callable[[], Awaitable[bytes]]] = [partial(never, index) for index in range(4)]
        work = Work(calls, PAGES[:4])
        path = path_of("both:3,1", share=0.0)
        slice_ = asyncio.create_task(read_in_tasks(Slice(work, 4, 0.0, ()), path=path))
        while not memories or memories[-1].held_bytes < 3 * DATA_BYTES:
            await asyncio.sleep(0)
        slice_.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slice_
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(cancelled())
    assert memories[-1].held_bytes == 0


# --- Over budget ----------------------------------------------------------------------------------


def test_over_budget_the_slice_ends_and_nothing_more_is_allocated(
    kind: str, memories: list[Memory]
) -> None:
    waiting = threading.Event()

    def redo(index: int) -> bytes:
        # So that all the others come to collect meanwhile; let go by the one that is refused.
        if kind == "threads":
            waiting.wait(20)
        return PAGES[index]

    class Telling(Memory):
        def take(self) -> bytearray:
            try:
                return super().take()
            except OverBudgetError:
                waiting.set()
                raise

    path = path_of("after:1", budget_bytes=3 * DATA_BYTES + 1, share=0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.worker.clients.read_path.Memory", Telling)
        with pytest.raises(OverBudgetError) as ended:
            read(kind, redo, path, seconds=30.0)
    assert str(ended.value) == (
        "over budget: data of 4 x 10000 bytes is more than 30001 (--budget-bytes)"
    )
    assert memories[-1].peak_bytes == 3 * DATA_BYTES
    assert memories[-1].held_bytes == 0


def test_a_semaphore_before_the_data_keeps_within_the_budget(kind: str) -> None:
    path = path_of("before:3", budget_bytes=3 * DATA_BYTES)
    assert read(kind, right, path).counts["held_peak_bytes"] <= 3 * DATA_BYTES


def test_memory_is_counted_exactly_and_refused_before_it_is_allocated() -> None:
    memory = Memory(5000, 10_000)
    with memory.data():
        assert memory.held_bytes == 5000
        with memory.data():
            assert memory.held_bytes == 10_000
            with pytest.raises(OverBudgetError), memory.data():
                raise AssertionError("it was allocated")
            assert memory.held_bytes == 10_000
        with pytest.raises(RefusedError), memory.data():
            raise RefusedError
        assert memory.held_bytes == 5000
    assert (memory.held_bytes, memory.peak_bytes) == (0, 10_000)


def test_memory_that_the_system_has_not_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(size: int) -> bytearray:
        raise MemoryError

    memory = Memory(5000)
    monkeypatch.setattr("bench.worker.clients.read_path.bytearray", none_left, raising=False)
    with pytest.raises(MemoryError), memory.data():
        raise AssertionError("it was allocated")
    assert memory.held_bytes == 0


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 300_000])
def test_data_is_there_and_every_page_of_it_touched(size: int) -> None:
    data = Memory(size).take()
    assert len(data) == size
    assert all(data[at] == 1 for at in range(0, size, 65_536))


# --- A made-up timeline ---------------------------------------------------------------------------


def timeline(*times_ns: int) -> Callable[[], int]:
    """A clock whose readings are these, after one when it is made."""
    readings: Iterator[int] = iter((0, *times_ns))
    return partial(next, readings)


def test_for_how_long_nobody_was_inside() -> None:
    #     opened 100    in 130, out 150    in 200    in 220, out 250, out 300    end 340
    point = Point(timeline(130, 150, 200, 220, 250, 300))
    point.opens(100)
    with point:
        assert point.peak == 1
    point.__enter__()
    with point:
        assert point.peak == 2
    point.__exit__()
    assert point.idle_ns(340) == (130 - 100) + (200 - 150) + (340 - 300)
    assert point.peak == 2


def test_a_clock_that_was_read_before_the_last_one_left_adds_nothing() -> None:
    point = Point(timeline(10, 50, 49, 60))
    point.opens(10)
    with point:
        pass
    with point:  # it came at 49, when the other was there still
        pass
    assert point.idle_ns(60) == 0


def test_an_error_inside_is_one_less_inside() -> None:
    point = Point(timeline(10, 20, 30, 40))
    point.opens(0)
    with pytest.raises(RefusedError), point:
        raise RefusedError
    with point:
        assert point.peak == 1
    assert point.idle_ns(45) == 10 + 10 + 5
