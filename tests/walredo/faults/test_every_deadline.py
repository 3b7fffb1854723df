"""A sync caller whose deadline passes, whatever it is doing then.

It gets its typed error and gets it then; the others, whose deadlines are later, get their pages,
and so does the next redo. (What an async caller waits for is one timer's business.)
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.children import command_of
from tests.support.interference import LARGE, Gate, replace_child, stop
from tests.support.managers import SLACK_S, Driver, SyncDriver, eventually, make_request, page_of
from walredo import (
    GC_COMPACTION,
    READ_PAGE,
    FailedAttempt,
    LaunchError,
    RedoAttempt,
    RedoTimeoutError,
    StreamsPoisonedError,
)
from walredo.child import Child

SHORT_S = 0.15
LONG_S = 3 * SLACK_S
SMALL_PIPE = 4096
SMALL = (90, 40)

Outcome = tuple[bytes | FailedAttempt, float]
"""What a redo gave, and how long it took in seconds."""


@pytest.fixture
def kind() -> str:
    return "sync"


class Callers:
    """Threads that redo pages with one manager, each with a deadline of its own."""

    def __init__(self, driver: SyncDriver) -> None:
        self.driver = driver
        self.pool = ThreadPoolExecutor(8)
        self.life = driver.manager._life

    def begin(
        self,
        number: int,
        sizes: tuple[int, ...] = SMALL,
        attempt: RedoAttempt = READ_PAGE,
        timeout_s: float = LONG_S,
    ) -> Future[Outcome]:
        """A redo in a thread; when this returns, its deadline is set."""
        request = make_request(number, sizes)
        begun = threading.Event()

        class Watching:
            """The manager's timeout, of which it has one only: told when it has been read."""

            def __radd__(self, now_ns: int) -> int:
                begun.set()
                return now_ns + round(timeout_s * 1e9)

        def redo() -> Outcome:
            start_s = time.monotonic()
            got: bytes | FailedAttempt
            try:
                got = self.driver.redo(request, attempt)
            except FailedAttempt as error:
                got = error
            return got, time.monotonic() - start_s

        self.life.timeout_ns = Watching()  # type: ignore[assignment]
        future = self.pool.submit(redo)
        assert begun.wait(SLACK_S)
        return future

    def late(self, number: int, sizes: tuple[int, ...] = SMALL) -> Future[Outcome]:
        """A redo whose deadline is going to pass."""
        return self.begin(number, sizes, timeout_s=SHORT_S)

    def in_flight(self, count: int) -> None:
        assert eventually(lambda: self.driver.status().in_flight == count)

    def stopped_child(self) -> int:
        """The pid of the child, which has been launched and stopped."""
        assert_page(self.begin(0), 0)
        pid = self.driver.status().pid
        assert pid is not None
        stop(pid)
        return pid


def assert_page(future: Future[Outcome], number: int, sizes: tuple[int, ...] = SMALL) -> None:
    assert future.result(LONG_S)[0] == page_of(make_request(number, sizes))


def assert_late(future: Future[Outcome], stage: str) -> RedoTimeoutError:
    """It ended with its deadline, waiting for that."""
    error, took_s = future.result(LONG_S / 2)
    assert isinstance(error, RedoTimeoutError)
    assert error.stage == stage
    assert SHORT_S <= took_s < SHORT_S + SLACK_S
    return error


def timed_out_child(error: RedoTimeoutError) -> int | None:
    """The pid of the child that was ended for it, which the error tells by its causes."""
    poisoned = error.__cause__
    assert isinstance(poisoned, StreamsPoisonedError)
    assert isinstance(poisoned.__cause__, RedoTimeoutError)
    return poisoned.__cause__.pid


def assert_all_is_well(callers: Callers) -> None:
    assert_page(callers.begin(99), 99)
    status = callers.driver.status()
    assert status.in_flight == 0
    assert status.launches - sum(status.kills.values()) == 1


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    made = Gate()
    replace_child(monkeypatch, made)
    return made


@pytest.fixture
def callers(start: Callable[..., Driver]) -> Iterator[Callable[..., Callers]]:
    """Makes a manager with threads to call it. A child that is stuck sets free who waits for it."""
    made: list[Callers] = []

    def make(command: tuple[str, ...] | None = None, **settings: Any) -> Callers:
        driver = start(child_command=command or command_of("c"), **settings)
        assert isinstance(driver, SyncDriver)
        made.append(Callers(driver))
        return made[-1]

    yield make
    for each in made:
        each.driver.shutdown()
        each.pool.shutdown()


def test_waiting_for_anothers_launch(callers: Callable[..., Callers], gate: Gate) -> None:
    us = callers()
    gate.open.clear()
    try:
        launching = us.begin(1)
        assert gate.waiting.wait(SLACK_S)
        assert_late(us.late(2), "a child to be launched")
    finally:
        gate.open.set()
    assert_page(launching, 1)
    assert_all_is_well(us)
    assert us.driver.status().launches == 1


def test_launching_itself(callers: Callable[..., Callers], gate: Gate) -> None:
    us = callers()
    gate.open.clear()
    try:
        late = us.late(1)
        assert gate.waiting.wait(SLACK_S)
        waiting = us.begin(2)
        time.sleep(SHORT_S)
    finally:
        gate.open.set()
    assert_late(late, "a child to be launched")
    # The child that came too late for one is good for the other.
    assert_page(waiting, 2)
    assert_all_is_well(us)
    assert us.driver.status().launches == 1


def test_held_back(callers: Callable[..., Callers], tmp_path: Path) -> None:
    """A launch that is held back past the deadline is an error at once."""
    program = tmp_path / "child"
    us = callers((str(program),), backoff_after=1, backoff_first_s=4 * SHORT_S)
    assert isinstance(us.begin(0, attempt=GC_COMPACTION).result(SLACK_S)[0], LaunchError)
    program.symlink_to(command_of("c")[0])
    waiting = us.begin(1)
    late, _ = us.late(2).result(SLACK_S)
    assert isinstance(late, LaunchError)
    assert "held back" in late.reason
    assert_page(waiting, 1)
    assert_all_is_well(us)


def test_reading(callers: Callable[..., Callers]) -> None:
    us = callers()
    pid = us.stopped_child()
    late = us.late(1)
    us.in_flight(1)
    sleeping = us.begin(2)
    assert timed_out_child(assert_late(late, "its page")) == pid
    assert_page(sleeping, 2)
    assert_all_is_well(us)


def test_sleeping_while_another_reads(callers: Callable[..., Callers]) -> None:
    us = callers()
    pid = us.stopped_child()
    reading = us.begin(1)
    us.in_flight(1)
    late = us.late(2)
    sleeping = us.begin(3)
    assert timed_out_child(assert_late(late, "its page")) == pid
    assert_page(reading, 1)
    assert_page(sleeping, 3)
    assert_all_is_well(us)


def test_writing_into_a_full_pipe(callers: Callable[..., Callers]) -> None:
    us = callers(pipe_bytes=SMALL_PIPE)
    us.stopped_child()
    sent = us.driver.status().bytes_sent
    late = us.late(1, LARGE)
    assert eventually(lambda: us.driver.status().bytes_sent > sent or late.done())
    behind = us.begin(2)
    assert_late(late, "its page")
    assert_page(behind, 2)
    assert_all_is_well(us)


def test_queued_behind_a_full_pipe(callers: Callable[..., Callers]) -> None:
    us = callers(pipe_bytes=SMALL_PIPE)
    us.stopped_child()
    writing = us.begin(1, LARGE)
    us.in_flight(1)
    late = us.late(2)
    behind = us.begin(3, LARGE)
    assert_late(late, "its page")
    assert_page(writing, 1, LARGE)
    assert_page(behind, 3, LARGE)
    assert_all_is_well(us)


class SlowReaping:
    """In place of ``Child.kill_and_reap``: the child is dead at once, and reaped on demand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        original = Child.kill_and_reap

        def slow(child: Child) -> int:
            os.killpg(child.pid, signal.SIGKILL)
            self.begun.set()
            assert self.may_end.wait(LONG_S)
            return original(child)

        monkeypatch.setattr(Child, "kill_and_reap", slow)


def test_waiting_for_its_child_to_be_reaped(
    callers: Callable[..., Callers], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its attempt has failed, with another's: the error is to tell how the child ended."""
    us = callers()
    us.stopped_child()
    with monkeypatch.context() as patched:
        slow = SlowReaping(patched)
        reaping = us.begin(1, timeout_s=0.01)
        us.in_flight(1)
        late, waiting = us.late(2), us.begin(3)
        try:
            assert slow.begun.wait(SLACK_S)
            error = assert_late(late, "its page")
            assert isinstance(error.__cause__, StreamsPoisonedError)
            assert not waiting.done()
            assert not reaping.done()
        finally:
            slow.may_end.set()
        assert isinstance(reaping.result(SLACK_S)[0], RedoTimeoutError)
        assert_page(waiting, 3)
    assert_all_is_well(us)


def test_waiting_for_another_child_to_be_reaped(
    callers: Callable[..., Callers], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes when the child is dead and the next one must not be launched yet."""
    us = callers()
    us.stopped_child()
    with monkeypatch.context() as patched:
        slow = SlowReaping(patched)
        reaping = us.begin(1, timeout_s=0.01)
        try:
            assert slow.begun.wait(SLACK_S)
            late, waiting = us.late(2), us.begin(3)
            assert_late(late, "a child to be launched")
            assert not waiting.done()
        finally:
            slow.may_end.set()
        assert isinstance(reaping.result(SLACK_S)[0], RedoTimeoutError)
        assert_page(waiting, 3)
    assert_all_is_well(us)
