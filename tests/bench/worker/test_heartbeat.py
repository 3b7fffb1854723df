"""A heartbeat beside clients whose calls are functions: no manager, no child."""

from __future__ import annotations

import asyncio
import threading
import time
from array import array
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import pytest

from bench.results.samples import SliceSamples
from bench.worker.clients import heartbeat as heartbeat_module
from bench.worker.clients.closed_loop import run_tasks, run_threads
from bench.worker.clients.heartbeat import (
    Beats,
    LoopHeartbeat,
    ThreadHeartbeat,
    with_heartbeat,
    with_heartbeat_thread,
)
from bench.worker.clients.slice import Slice, SliceOutcome, Work, WrongPageError
from bench.worker.clients.timers import BeatTimer
from bench.worker.meters import Meter, Used
from bench.worker.protocol import IDLE_LATE, LATE, PERIOD_NS, REDO_END
from tests.support.made_up_managers import CountingMeter
from tests.support.managers import eventually, open_descriptors

PAGE = b"page" * 8
MS = PERIOD_NS
BLOCK_S = 0.05


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No thread and no descriptor; and no test waits for idle beats that it does not look at."""
    monkeypatch.setattr(heartbeat_module, "IDLE_S", 0.005)
    threads, descriptors = threading.active_count(), len(open_descriptors())
    yield
    assert eventually(lambda: threading.active_count() == threads)
    assert len(open_descriptors()) == descriptors


def work_of(call: Callable[[], bytes]) -> Work[bytes]:
    return Work([call], [PAGE])


def on_tasks(
    call: Callable[[], Awaitable[bytes]],
    kind: str,
    seconds: float = 0.01,
    meters: Sequence[Meter] = (),
) -> SliceOutcome:
    """A slice of two tasks; none is left."""

    async def everything() -> SliceOutcome:
        run = with_heartbeat(run_tasks, kind)
        try:
            return await run(Slice(Work([call], [PAGE]), 2, seconds, meters))
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}

    return asyncio.run(everything())


async def answer() -> bytes:
    await asyncio.sleep(0)
    return PAGE


def test_every_beat_that_falls_due_counts_with_its_own_lateness() -> None:
    beats = Beats()
    assert beats.begin(5 * MS) == 6 * MS
    beats.came(6 * MS - 1)
    assert not beats.late_ns
    beats.came(6 * MS + 30)
    assert beats.late_ns.tolist() == [30]
    beats.came(6 * MS + 40)  # woken for nothing
    assert beats.late_ns.tolist() == [30]
    beats.came(56 * MS + 7)  # something ran for 50 ms: no beat is omitted
    assert beats.late_ns.tolist() == [30, *(n * MS + 7 for n in range(49, -1, -1))]


def test_no_beat_is_due_before_the_beginning_or_after_the_end() -> None:
    beats = Beats()
    beats.came(10**18)
    beats.begin(0)
    beats.came(7 * MS, end_ns=3 * MS + 5)  # comes late, to an end that was in time
    assert beats.late_ns.tolist() == [6 * MS, 5 * MS, 4 * MS]


def test_a_blocked_loop_is_reported_as_long_as_it_was_blocked() -> None:
    async def block() -> bytes:
        time.sleep(BLOCK_S)
        return PAGE

    late_ns = on_tasks(block, "loop", seconds=0.0).series[LATE]
    # Two tasks, one blocking call each, one after the other: a beat is due within a period of the
    # first one's beginning, and one in every period from then on.
    assert max(late_ns) >= 2 * BLOCK_S * 1e9 - 2 * MS
    assert len(late_ns) >= 2 * BLOCK_S * 1e3 - 2
    assert sum(one > 40 * MS for one in late_ns) >= 50
    assert sum(one < 40 * MS for one in late_ns) >= 30
    assert min(late_ns) >= 0


def test_a_thread_beats_while_the_loop_is_blocked() -> None:
    beats_while_blocked: list[int] = []

    async def main() -> None:
        with ThreadHeartbeat() as heartbeat:
            heartbeat.start()
            # Blocks the loop, but lets go of the interpreter lock.
            assert eventually(lambda: len(heartbeat.beats.late_ns) >= 3)
            beats_while_blocked.append(len(heartbeat.beats.late_ns))

    asyncio.run(main())
    assert beats_while_blocked[0] >= 3


@pytest.mark.parametrize("kind", ["loop", "thread"])
def test_there_is_a_beat_for_every_period_of_the_slice(kind: str) -> None:
    outcome = on_tasks(answer, kind, seconds=0.02)
    end_ns = int(SliceSamples.from_payload(outcome.payload, 2).end_ns.max())
    late_ns, idle_ns = outcome.series[LATE], outcome.series[IDLE_LATE]
    assert len(late_ns) >= end_ns // MS
    assert len(idle_ns) >= 5
    assert min(*late_ns, *idle_ns) >= 0


@pytest.mark.parametrize("kind", ["loop", "thread", "beside threads"])
def test_what_the_slice_has_stays(kind: str) -> None:
    meters = CountingMeter(), CountingMeter()
    if kind == "beside threads":
        run = with_heartbeat_thread(partial(run_threads, gives_way=False))
        outcome = run(Slice(work_of(lambda: PAGE), 2, 0.003, meters))
    else:
        outcome = on_tasks(answer, kind, 0.003, meters)
    assert outcome.used == (Used(1000, 10, 1), Used(1000, 10, 1))
    assert SliceSamples.from_payload(outcome.payload, 2).clients == 2
    assert set(outcome.series) == {LATE, IDLE_LATE, REDO_END}
    assert outcome.series[LATE]


def test_series_and_counts_of_the_slice_stay() -> None:
    def run(this: Slice[bytes]) -> SliceOutcome:
        outcome = run_threads(this)
        return replace(outcome, series={"waited_ns": array("q", [7])}, counts={"late": 3})

    outcome = with_heartbeat_thread(run)(Slice(work_of(lambda: PAGE), 1, 0.0, ()))
    assert outcome.series["waited_ns"].tolist() == [7]
    assert outcome.counts == {"late": 3}


@pytest.mark.parametrize("kind", ["loop", "thread"])
def test_an_error_of_a_client_is_raised_and_the_heartbeat_ends(kind: str) -> None:
    async def wrong() -> bytes:
        return b""

    with pytest.raises(WrongPageError):
        on_tasks(wrong, kind)
    with pytest.raises(WrongPageError):
        with_heartbeat_thread(run_threads)(Slice(work_of(lambda: b""), 2, 0.01, ()))


@pytest.mark.parametrize("kind", ["loop", "thread"])
def test_an_error_before_the_barrier_is_raised_and_the_heartbeat_ends(kind: str) -> None:
    class BrokenMeter(CountingMeter):
        def used(self) -> Used:
            raise OSError("no such process")

    with pytest.raises(OSError, match="no such process"):
        on_tasks(answer, kind, meters=[BrokenMeter()])


@pytest.mark.parametrize("kind", ["loop", "thread"])
def test_a_cancelled_slice_ends_the_heartbeat(kind: str) -> None:
    async def never() -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    async def cancelled() -> None:
        run = with_heartbeat(run_tasks, kind)
        slice_ = asyncio.create_task(run(Slice(Work([never], [PAGE]), 2, 0.0, ())))
        await asyncio.sleep(0.02)
        slice_.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slice_
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(cancelled())


def test_a_thread_that_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: BeatTimer) -> None:
        raise OSError("no timer")

    monkeypatch.setattr(BeatTimer, "wait", broken)
    with pytest.raises(OSError, match="no timer"), ThreadHeartbeat() as heartbeat:
        heartbeat.start()


def test_beats_that_were_due_at_the_end_count_once() -> None:
    async def main() -> list[int]:
        with LoopHeartbeat() as heartbeat:
            heartbeat.start()
            time.sleep(0.003)
            heartbeat.stop()
            counted = heartbeat.beats.late_ns.tolist()
        assert heartbeat.beats.late_ns.tolist() == counted
        return counted

    assert len(asyncio.run(main())) >= 3


def test_a_timer_says_what_the_kernel_refuses() -> None:
    timer = BeatTimer()
    try:
        with pytest.raises(OSError, match="Invalid argument"):
            timer.arm(-1, PERIOD_NS)
    finally:
        timer.close()
