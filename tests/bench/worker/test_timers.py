"""Waiting until a moment: in order, never early, and nothing left behind."""

from __future__ import annotations

import asyncio
import ctypes
import time
from collections.abc import Callable

import pytest

from bench.worker.clients import timers
from bench.worker.clients.timers import Pacer, precise_sleep
from tests.support.managers import open_descriptors

NewLoop = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture(params=["asyncio", "uvloop"])
def new_loop(request: pytest.FixtureRequest) -> NewLoop:
    if request.param == "asyncio":
        return asyncio.SelectorEventLoop
    uvloop = pytest.importorskip("uvloop")
    made: NewLoop = uvloop.new_event_loop
    return made


def test_nobody_is_woken_early_and_all_are_in_order(new_loop: NewLoop) -> None:
    woken: list[tuple[int, int]] = []

    async def wait(pace: Pacer, due_ns: int) -> None:
        await pace.until(due_ns)
        woken.append((due_ns, time.perf_counter_ns()))

    async def everything() -> None:
        now_ns = time.perf_counter_ns()
        due = [now_ns + at for at in (-5, 200_000, 200_000, 3_000_000, 3_000_001)]
        with Pacer(asyncio.get_running_loop()) as pace:
            await asyncio.gather(*(wait(pace, due_ns) for due_ns in due))
        assert [due_ns for due_ns, _ in woken] == due

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(everything())
    assert all(at_ns >= due_ns for due_ns, at_ns in woken)


def test_it_can_be_used_again_once_nobody_waits(new_loop: NewLoop) -> None:
    async def twice() -> int:
        with Pacer(asyncio.get_running_loop()) as pace:
            for _ in range(2):
                due_ns = time.perf_counter_ns() + 100_000
                await pace.until(due_ns)
            await asyncio.sleep(0.002)  # the stopped timer wakes nobody
            return time.perf_counter_ns() - due_ns

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(twice()) > 0


def test_a_cancelled_waiter_holds_nobody_up(new_loop: NewLoop) -> None:
    async def everything() -> None:
        with Pacer(asyncio.get_running_loop()) as pace:
            due_ns = time.perf_counter_ns() + 1_000_000
            first, second = (asyncio.ensure_future(pace.until(due_ns + at)) for at in (0, 1))
            await asyncio.sleep(0)
            first.cancel()
            await second
            assert first.cancelled()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(everything())


def test_no_descriptor_is_left(new_loop: NewLoop) -> None:
    async def everything() -> None:
        before = open_descriptors()
        with Pacer(asyncio.get_running_loop()) as pace:
            await pace.until(time.perf_counter_ns())
            assert len(open_descriptors()) == len(before) + 1
        assert open_descriptors() == before

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(everything())


def test_a_system_call_that_fails_is_an_error() -> None:
    spec = ctypes.byref(timers._TimerSpec())
    with pytest.raises(OSError, match="timerfd_settime: Bad file descriptor"):
        timers._checked(timers._libc.timerfd_settime(-1, 0, spec, None), "timerfd_settime")


def test_the_timer_slack_is_as_before() -> None:
    def slack_ns() -> int:
        found: int = timers._libc.prctl(timers._PR_GET_TIMERSLACK, 0, 0, 0, 0)
        return found

    before = slack_ns()
    with precise_sleep():
        assert slack_ns() == 1
    assert slack_ns() == before
