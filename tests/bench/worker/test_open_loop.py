"""The open loop that is measured, with managers that are functions and, mostly, a made-up clock.

Threads and tasks run the same tests, as in test_clients.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from types import SimpleNamespace, TracebackType
from typing import Any

import pytest

from bench.results.samples import SliceSamples
from bench.worker.clients import closed_loop as clients_module
from bench.worker.clients import open_loop, slice
from bench.worker.clients.arrivals import PoissonLoad, poisson_starts_ns
from bench.worker.clients.open_loop import run_open_tasks, run_open_threads
from bench.worker.clients.slice import Slice, SliceOutcome, Work, WrongPageError
from bench.worker.meters import Used
from bench.worker.protocol import FROM_CALL, PACER_LATE
from tests.support.made_up_managers import PAGES, REQUESTS, Clock, CountingMeter, Redo, right
from tests.support.made_up_managers import run_closed_loop as run_closed
from tests.support.managers import open_descriptors

SEED = "a seed"
US = 1_000
MS = 1_000_000


@pytest.fixture(params=["threads", "tasks"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def run(
    kind: str, redo: Redo, clients: int, rate_per_s: float, seconds: float, **options: Any
) -> SliceOutcome:
    """A slice; no thread, task or descriptor is left behind."""
    load = PoissonLoad(rate_per_s, SEED)
    meters = options.pop("meters", ())
    if kind == "threads":
        before = threading.active_count()
        work = Work([partial(redo, index) for index in range(REQUESTS)], PAGES)
        try:
            return run_open_threads(Slice(work, clients, seconds, meters), load=load, **options)
        finally:
            assert threading.active_count() == before

    async def answer(index: int) -> bytes:
        return redo(index)

    async def everything() -> SliceOutcome:
        calls: list[Callable[[], Awaitable[bytes]]] = [
            partial(answer, index) for index in range(REQUESTS)
        ]
        descriptors = open_descriptors()
        try:
            return await run_open_tasks(
                Slice(Work(calls, PAGES), clients, seconds, meters), load=load, **options
            )
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert open_descriptors() == descriptors

    return asyncio.run(everything())


def starts_ns(rate_per_s: float, seconds: float) -> list[int]:
    """The intended starts of the first slice."""
    return list(poisson_starts_ns(rate_per_s, seconds, f"{SEED}/0"))


def samples_of(outcome: SliceOutcome, clients: int) -> SliceSamples:
    return SliceSamples.from_payload(outcome.payload, clients, is_open=True)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that only readings, redos and waits move; a wait ends when it should."""
    made = Clock()

    class FakePacer:
        """Nobody else is there: the clock is put forward."""

        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            pass

        async def until(self, due_ns: int) -> None:
            made.now_ns = max(made.now_ns, due_ns)

        def __enter__(self) -> FakePacer:
            return self

        def __exit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            trace: TracebackType | None,
        ) -> None:
            pass

    fake_time = SimpleNamespace(sleep=lambda seconds: made.pass_ns(round(seconds * 1e9)))
    monkeypatch.setattr(clients_module, "_now_ns", made)
    monkeypatch.setattr(slice, "_now_ns", made)
    monkeypatch.setattr(open_loop, "_now_ns", made)
    monkeypatch.setattr(open_loop, "time", fake_time)
    monkeypatch.setattr(open_loop, "Pacer", FakePacer)
    return made


def test_latency_counts_from_the_intended_start(kind: str, clock: Clock) -> None:
    def redo(index: int) -> bytes:
        clock.pass_ns(99 * US)
        return PAGES[index]

    # Arrivals 10 ms apart: hardly one waits for the one before it.
    outcome = run(kind, redo, 1, 100.0, 2.0)
    samples = samples_of(outcome, 1)
    due_ns = starts_ns(100.0, 2.0)
    assert samples.latency_ns.size == len(due_ns)
    from_call_ns = outcome.series[FROM_CALL]
    assert set(from_call_ns) == {100 * US}  # the redo, and the reading of the clock after it
    alone = [
        at
        for at, (before, after) in enumerate(zip([-MS, *due_ns], due_ns, strict=False))
        if after - before > MS
    ]
    assert len(alone) > 100
    # And the readings of the clock, 1 us each, between the wait and the call.
    assert max(samples.latency_ns[alone]) <= 102 * US
    assert set(outcome.series[PACER_LATE]) <= {1 * US, 2 * US}
    assert len(outcome.series[PACER_LATE]) >= len(alone)


def test_a_stall_shows_in_the_open_loop_and_not_in_the_closed_one(kind: str, clock: Clock) -> None:
    stall_ns = 50 * MS
    stalled: list[int] = []

    def redo(index: int) -> bytes:
        clock.pass_ns(99 * US)
        if index == 10 and not stalled:
            stalled.append(index)
            clock.pass_ns(stall_ns)
        return PAGES[index]

    closed = SliceSamples.from_payload(run_closed(kind, redo, 1, 0.2).payload, 1)
    assert stalled.pop() == 10
    assert sum(closed.latency_ns > MS) == 1

    opened = run(kind, redo, 1, 1000.0, 0.2)
    samples, due_ns = samples_of(opened, 1), starts_ns(1000.0, 0.2)
    assert stalled == [10]
    # All that were to start during the stall waited for its end, the first of them longest.
    began_ns = due_ns[10]
    during = [at for at in range(11, len(due_ns)) if due_ns[at] < began_ns + stall_ns - MS]
    assert len(during) > 30
    for at in during:
        assert samples.latency_ns[at] >= began_ns + stall_ns - due_ns[at] > 0
    assert opened.counts["backlog_peak"] >= len(during)
    assert opened.counts["overloaded"] == 0
    # A client that counts from its own start saw one slow redo, as the closed loop did.
    assert sum(one > MS for one in opened.series[FROM_CALL]) == 1
    assert sum(samples.latency_ns > MS) > len(during) // 2


def test_an_overload_ends_the_slice_soon(kind: str, clock: Clock) -> None:
    def redo(index: int) -> bytes:
        clock.pass_ns(10 * MS)
        return PAGES[index]

    outcome = run(kind, redo, 1, 1000.0, 10.0)  # ten times what it can do
    samples = samples_of(outcome, 1)
    bound = 500
    assert outcome.counts["overloaded"] == 1
    assert bound < outcome.counts["backlog_peak"] < bound + 30
    # Those that waited when it was found out are served, and no others.
    served = samples.latency_ns.size
    assert bound < served < 700
    assert outcome.counts["arrivals"] == len(starts_ns(1000.0, 10.0)) > 10 * served
    # The last of them, due at the end, waited for all that were served after it came.
    assert samples.latency_ns.max() > 0.8 * outcome.counts["backlog_peak"] * 10 * MS


@pytest.mark.parametrize("clients", [1, 3, 16])
def test_every_arrival_is_one_redo(kind: str, clients: int) -> None:
    done: list[int] = []

    def redo(index: int) -> bytes:
        done.append(index)
        return PAGES[index]

    outcome = run(kind, redo, clients, 1000.0, 0.03)
    samples = samples_of(outcome, clients)
    assert samples.clients == clients
    assert samples.latency_ns.size == len(done) == len(starts_ns(1000.0, 0.03))
    assert len(outcome.series[FROM_CALL]) == len(done)
    assert min(outcome.series[PACER_LATE], default=0) >= 0


def test_no_redo_is_called_before_its_time(kind: str) -> None:
    # So what counts from the intended start is never less than what counts from the call.
    outcome = run(kind, right, 1, 2000.0, 0.05)
    latency_ns = samples_of(outcome, 1).latency_ns.tolist()
    assert all(
        whole >= own > 0 for whole, own in zip(latency_ns, outcome.series[FROM_CALL], strict=True)
    )


def test_a_client_may_have_nothing_to_do(kind: str) -> None:
    clients = 64
    outcome = run(kind, right, clients, 500.0, 0.02)  # some ten arrivals
    samples = samples_of(outcome, clients)
    assert 0 < samples.latency_ns.size < clients
    idle = samples.redos == 0
    assert idle.any()
    assert (samples.end_ns[idle] == samples.start_ns[idle]).all()


def test_each_slice_has_other_arrivals(kind: str, clock: Clock) -> None:
    load = PoissonLoad(1000.0, SEED)
    counts = [load.next_slice(1.0).counts()["arrivals"] for _ in range(3)]
    assert len(set(counts)) == 3
    assert counts[0] == len(starts_ns(1000.0, 1.0))


def test_a_wrong_page_is_named(kind: str) -> None:
    def redo(index: int) -> bytes:
        return PAGES[(index + 1) % REQUESTS] if index == 2 else PAGES[index]

    with pytest.raises(WrongPageError, match=r"wrong page: client 0, request 2"):
        run(kind, redo, 1, 1e5, 1.0)


def test_a_failing_call_is_raised_and_the_others_end(kind: str) -> None:
    def redo(index: int) -> bytes:
        raise OSError(f"request {index}")

    with pytest.raises(OSError, match="request"):
        run(kind, redo, 8, 1000.0, 0.05)


def test_meters_are_read_just_before_and_just_after(kind: str) -> None:
    done: list[int] = []

    def redo(index: int) -> bytes:
        done.append(index)
        return PAGES[index]

    meter = CountingMeter(lambda: len(done))
    outcome = run(kind, redo, 4, 2000.0, 0.02, meters=[meter])
    assert outcome.used == (Used(1000, 10, 1),)
    assert meter.done_when_read == [0, len(done)]


@pytest.mark.parametrize("gives_way", [True, False])
def test_a_client_gives_way_after_each_redo_if_it_is_to(
    kind: str, gives_way: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    yields: list[int] = []
    if kind == "threads":
        monkeypatch.setattr("os.sched_yield", lambda: yields.append(1))
    else:

        async def yielding() -> None:
            yields.append(1)

        monkeypatch.setattr(open_loop, "give_way", yielding)
    outcome = run(kind, right, 1, 5000.0, 0.01, gives_way=gives_way)
    assert len(yields) == (samples_of(outcome, 1).latency_ns.size if gives_way else 0)


def test_a_cancelled_slice_leaves_no_task_and_no_descriptor() -> None:
    async def never(index: int) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    async def cancelled() -> None:
        calls: list[Callable[[], Awaitable[bytes]]] = [partial(never, index) for index in range(4)]
        before = open_descriptors()
        work = Work(calls, PAGES[:4])
        load = PoissonLoad(1000.0, SEED)
        slice_ = asyncio.create_task(run_open_tasks(Slice(work, 4, 10.0, ()), load=load))
        await asyncio.sleep(0.01)
        slice_.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slice_
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert open_descriptors() == before

    asyncio.run(cancelled())
