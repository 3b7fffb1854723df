"""Callers who leave: cancelled on an event loop, interrupted by a signal on a thread.

Whatever the moment, the others get their own pages, nothing is held, and no child is left.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from bench.places import ROOT
from tests.support.children import command_of, misbehaving
from tests.support.interference import (
    LARGE,
    SMALL_PIPE,
    Gate,
    interrupt_main_when,
    replace_child,
    stop,
    stopped_child,
)
from tests.support.managers import (
    SLACK_S,
    SyncDriver,
    eventually,
    is_gone,
    make_request,
    open_descriptors,
    own_children,
    page_of,
)
from walredo import (
    GC_COMPACTION,
    READ_PAGE,
    AsyncRedoManager,
    Cause,
    ChildExitedError,
    LaunchError,
    ManagerConfig,
    ManagerKind,
    ManagerStatus,
    RedoAttempt,
    RedoRequest,
    ShutDownError,
)
from walredo.child import Child
from walredo.lifecycle import Plan
from walredo.sync_session import SyncSession

Body = Callable[[AsyncRedoManager], Awaitable[None]]
Drive = Callable[..., None]


# --- cancelled ------------------------------------------------------------------------------------


@pytest.fixture(params=["asyncio", "uvloop"])
def drive(request: pytest.FixtureRequest) -> Drive:
    """Runs a body with an async manager; nothing may be left, nor reported by the loop."""
    new_loop = asyncio.new_event_loop
    if request.param == "uvloop":
        new_loop = pytest.importorskip("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=new_loop) as first:
        first.run(asyncio.sleep(0))  # what a loop keeps for the whole process is opened now

    def run(body: Body, command: Sequence[str] | None = None, **settings: Any) -> None:
        gc.collect()
        before = open_descriptors()
        reported: list[dict[str, Any]] = []
        words = tuple(command or command_of("c"))
        manager = AsyncRedoManager(ManagerConfig(words, ManagerKind.ASYNC, **settings))

        async def main() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: reported.append(context))
            async with asyncio.timeout(SLACK_S), manager:
                await body(manager)
            assert (await manager.status()).pid is None
            gc.collect()  # a future whose exception nobody has seen reports it now
            await asyncio.sleep(0)

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())
        gc.collect()
        assert reported == []
        assert own_children() == set()
        assert len(open_descriptors()) == len(before)

    return run


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Waits for what must happen; ``drive`` limits how long."""
    while not await condition():
        await asyncio.sleep(0.002)


async def reaches(
    manager: AsyncRedoManager, condition: Callable[[ManagerStatus], bool]
) -> ManagerStatus:
    """The first status for which it holds."""
    while not condition(status := await manager.status()):
        await asyncio.sleep(0.002)
    return status


async def stop_child(manager: AsyncRedoManager) -> int:
    """The pid of the child, which has been launched and stopped."""
    await manager.ping()
    pid = (await manager.status()).pid
    assert pid is not None
    stop(pid)
    return pid


def begin(
    manager: AsyncRedoManager, request: RedoRequest, attempt: RedoAttempt = READ_PAGE
) -> asyncio.Task[bytes]:
    return asyncio.create_task(manager.request_redo(request, attempt))


async def cancelled(task: asyncio.Task[Any]) -> None:
    """Cancels it; it must end by that."""
    assert task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def right(tasks: Sequence[asyncio.Task[bytes]], requests: Sequence[RedoRequest]) -> None:
    assert await asyncio.gather(*tasks) == [page_of(request) for request in requests]


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    made = Gate()
    replace_child(monkeypatch, made)
    yield made
    made.open.set()


def test_cancelled_before_it_is_sent_leaves_no_trace(drive: Drive) -> None:
    requests = [make_request(0, LARGE), make_request(1), make_request(2, LARGE)]

    async def body(manager: AsyncRedoManager) -> None:
        pid = await stop_child(manager)
        tasks = [begin(manager, request) for request in requests]
        await reaches(manager, lambda status: status.in_flight == 3)
        await cancelled(tasks[1])
        assert (await manager.status()).in_flight == 2
        os.kill(pid, signal.SIGCONT)
        await right([tasks[0], tasks[2]], [requests[0], requests[2]])
        status = await manager.status()
        assert status.pages_dropped == 0
        assert status.bytes_sent == 5 + sum(len(requests[n].serialise()) for n in (0, 2))
        assert status.launches == 1

    drive(body, pipe_bytes=SMALL_PIPE)


def test_cancelled_while_it_is_half_written(drive: Drive) -> None:
    requests = [make_request(0, LARGE), make_request(1), make_request(2, LARGE)]

    async def body(manager: AsyncRedoManager) -> None:
        pid = await stop_child(manager)
        tasks = [begin(manager, request) for request in requests]
        await reaches(manager, lambda status: status.bytes_sent > 5)
        assert (await manager.status()).bytes_sent < len(requests[0].serialise())
        await cancelled(tasks[0])
        assert (await manager.status()).in_flight == 3
        os.kill(pid, signal.SIGCONT)
        await right(tasks[1:], requests[1:])
        status = await manager.status()
        assert (status.pages_dropped, status.redos, status.in_flight) == (1, 2, 0)
        assert status.pid == pid
        assert status.errors == {}

    drive(body, pipe_bytes=SMALL_PIPE)


@pytest.mark.parametrize("leaves", [0, 1, 3])
def test_cancelled_after_it_was_sent(drive: Drive, leaves: int) -> None:
    requests = [make_request(number) for number in range(4)]

    async def body(manager: AsyncRedoManager) -> None:
        pid = await stop_child(manager)
        tasks = [begin(manager, request) for request in requests]
        whole = 5 + sum(len(request.serialise()) for request in requests)
        await reaches(manager, lambda status: status.bytes_sent == whole)
        await cancelled(tasks[leaves])
        os.kill(pid, signal.SIGCONT)
        stay = [number for number in range(4) if number != leaves]
        await right([tasks[n] for n in stay], [requests[n] for n in stay])
        status = await reaches(manager, lambda status: status.in_flight == 0)
        assert (status.pages_dropped, status.redos) == (1, 3)
        assert status.pid == pid

    drive(body)


def test_all_cancelled_after_they_were_sent(drive: Drive) -> None:
    async def body(manager: AsyncRedoManager) -> None:
        pid = await stop_child(manager)
        tasks = [begin(manager, make_request(number)) for number in range(5)]
        await reaches(manager, lambda status: status.in_flight == 5)
        for task in tasks:
            await cancelled(task)
        assert await manager.quiesce(0) is False
        os.kill(pid, signal.SIGCONT)
        await reaches(manager, lambda status: status.in_flight == 0)
        assert await manager.request_redo(make_request(9)) == page_of(make_request(9))
        assert (await manager.status()).pages_dropped == 5

    drive(body)


def test_cancelled_when_its_page_has_just_come(drive: Drive) -> None:
    """The page is lost, and nobody else's with it."""

    async def body(manager: AsyncRedoManager) -> None:
        await manager.ping()
        for number in range(50):
            task = begin(manager, make_request(number))
            other = begin(manager, make_request(1000 + number))
            for _ in range(number % 10):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled() or task.result() == page_of(make_request(number))
            assert await other == page_of(make_request(1000 + number))
        status = await reaches(manager, lambda status: status.in_flight == 0)
        assert status.launches == 1
        assert status.errors == {}

    drive(body)


def test_cancelled_when_its_child_has_just_failed(drive: Drive) -> None:
    """Its future holds an error that nobody is going to see."""

    async def body(manager: AsyncRedoManager) -> None:
        for number in range(10):
            pid = await stop_child(manager)
            task = begin(manager, make_request(number))
            await reaches(manager, lambda status: status.in_flight == 1)
            session = manager._life.current
            assert session is not None
            # In one turn of the loop, so that the redo is cancelled before it can see its error.
            session.fail(ChildExitedError(pid, "it closed its output"))
            assert is_gone(pid)
            await cancelled(task)
        assert (await manager.status()).errors == {}

    drive(body)


def test_10_000_cancelled_redos_are_not_held(drive: Drive) -> None:
    request = make_request(1)
    size = len(request.serialise())

    async def body(manager: AsyncRedoManager) -> None:
        pid = await stop_child(manager)
        most = 0
        for number in range(10_000):
            task = begin(manager, request)
            for _ in range(number % 3):
                await asyncio.sleep(0)
            task.cancel()
            if number % 100 == 99:
                await asyncio.wait([task])
                most = max(most, (await manager.status()).in_flight)
        waiting = begin(manager, make_request(2))
        await reaches(manager, lambda status: status.in_flight > most // 2)
        # What has left, and not more than the last hundred besides; a fence goes before each.
        assert 1 < most <= 2 * (65536 // size + 100)
        os.kill(pid, signal.SIGCONT)
        assert await waiting == page_of(make_request(2))
        status = await reaches(manager, lambda status: status.in_flight == 0)
        assert status.pages_dropped > 1
        assert status.redos == 1
        pings = status.pings + status.fences
        last = len(make_request(2).serialise())
        assert status.bytes_sent == 5 * pings + size * status.pages_dropped + last
        assert status.bytes_received == 8192 * (pings + status.pages_dropped + 1)
        assert status.launches == 1

    drive(body, pipe_bytes=65536)


def test_cancelled_while_launching(drive: Drive, gate: Gate) -> None:
    """The launch is everybody's: it goes on."""

    async def body(manager: AsyncRedoManager) -> None:
        gate.open.clear()
        tasks = [begin(manager, make_request(number)) for number in range(3)]
        await gate.reached()
        await cancelled(tasks[0])
        await cancelled(tasks[2])
        gate.open.set()
        await right([tasks[1]], [make_request(1)])
        status = await manager.status()
        assert (status.launches, status.bytes_sent) == (1, len(make_request(1).serialise()))

    drive(body)


def test_all_cancelled_while_launching(drive: Drive, gate: Gate) -> None:
    async def body(manager: AsyncRedoManager) -> None:
        gate.open.clear()
        tasks = [begin(manager, make_request(number)) for number in range(3)]
        await gate.reached()
        for task in tasks:
            await cancelled(task)
        gate.open.set()
        await reaches(manager, lambda status: status.pid is not None)
        assert await manager.request_redo(make_request(5)) == page_of(make_request(5))
        assert (await manager.status()).launches == 1

    drive(body)


def test_all_cancelled_while_a_launch_fails(drive: Drive, gate: Gate, tmp_path: Path) -> None:
    async def body(manager: AsyncRedoManager) -> None:
        gate.open.clear()
        task = begin(manager, make_request(1))
        await gate.reached()
        await cancelled(task)
        gate.open.set()
        await until(lambda: nobody_launches(manager))
        with pytest.raises(LaunchError):
            await manager.request_redo(make_request(1), GC_COMPACTION)

    drive(body, command=(str(tmp_path / "missing"),))


async def nobody_launches(manager: AsyncRedoManager) -> bool:
    return not manager._life.launching


def test_cancelled_during_back_off(drive: Drive, tmp_path: Path) -> None:
    program = tmp_path / "child"

    async def body(manager: AsyncRedoManager) -> None:
        tasks = [begin(manager, make_request(number)) for number in range(4)]
        await reaches(manager, lambda status: status.errors.get(Cause.LAUNCH) == 4)
        await cancelled(tasks[0])
        await cancelled(tasks[3])
        program.symlink_to(command_of("c")[0])
        await right(tasks[1:3], [make_request(1), make_request(2)])
        assert (await manager.status()).launches == 1

    drive(body, command=(str(program),), backoff_after=1, backoff_first_s=0.3)


@pytest.mark.parametrize("leaves", [0, 1])
def test_cancelled_during_a_retry(drive: Drive, gate: Gate, tmp_path: Path, leaves: int) -> None:
    async def body(manager: AsyncRedoManager) -> None:
        await manager.ping()
        gate.open.clear()
        tasks = [begin(manager, make_request(number)) for number in range(2)]
        await gate.reached()
        assert (await manager.status()).kills == {Cause.CHILD_EXIT: 1}
        await cancelled(tasks[leaves])
        gate.open.set()
        await right([tasks[1 - leaves]], [make_request(1 - leaves)])
        status = await manager.status()
        assert (status.launches, status.redos) == (2, 1)

    drive(body, command=misbehaving("exit", once=tmp_path))


def test_a_timeout_of_the_caller_is_a_cancellation(drive: Drive) -> None:
    async def body(manager: AsyncRedoManager) -> None:
        pid = await stop_child(manager)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(manager.request_redo(make_request(1)), 0.01)
        os.kill(pid, signal.SIGCONT)
        assert await manager.request_redo(make_request(2)) == page_of(make_request(2))
        assert (await manager.status()).pages_dropped == 1

    drive(body)


def test_a_cancelled_shutdown_leaves_no_child(drive: Drive, gate: Gate) -> None:
    async def body(manager: AsyncRedoManager) -> None:
        gate.open.clear()
        redo = begin(manager, make_request(1))
        await gate.reached()
        shutdown = asyncio.create_task(manager.shutdown())
        await asyncio.sleep(0)
        await cancelled(shutdown)
        with pytest.raises(ShutDownError):
            await redo
        gate.open.set()
        await reaches(manager, lambda status: status.kills == {Cause.SHUT_DOWN: 1})
        assert own_children() == set()
        with pytest.raises(ShutDownError):
            await manager.ping()
        assert await manager.shutdown() is False

    drive(body)


def test_a_shutdown_during_a_launch_waits_for_its_child_to_be_gone(
    drive: Drive, gate: Gate
) -> None:
    async def body(manager: AsyncRedoManager) -> None:
        gate.open.clear()
        redo = begin(manager, make_request(1))
        await gate.reached()
        shutdowns = [asyncio.create_task(manager.shutdown()) for _ in range(2)]
        await asyncio.sleep(0.01)
        assert not any(shutdown.done() for shutdown in shutdowns)
        gate.open.set()
        assert await asyncio.gather(*shutdowns) == [True, False]
        assert own_children() == set()
        with pytest.raises(ShutDownError):
            await redo

    drive(body)


def test_quiesce_during_a_launch_spares_it(drive: Drive, gate: Gate) -> None:
    async def body(manager: AsyncRedoManager) -> None:
        gate.open.clear()
        redo = begin(manager, make_request(1))
        await gate.reached()
        assert await manager.quiesce(0) is False
        gate.open.set()
        await right([redo], [make_request(1)])
        status = await manager.status()
        assert (status.launches, status.kills) == (1, {})

    drive(body)


def test_a_launch_that_fails_in_an_unforeseen_way_holds_nobody_up(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full process table gives a RuntimeError where a thread is started, say."""

    def refuse(*_: object, **__: object) -> Child:
        raise RuntimeError("can't start new thread")

    async def body(manager: AsyncRedoManager) -> None:
        with monkeypatch.context() as patched:
            replace_child(patched, refuse)
            patched.setattr(threading, "excepthook", lambda _: None)
            async with asyncio.timeout(2):
                with pytest.raises((LaunchError, RuntimeError)):
                    await manager.request_redo(make_request(1))
        assert await manager.request_redo(make_request(1)) == page_of(make_request(1))

    drive(body, timeout_s=SLACK_S)


# --- interrupted ----------------------------------------------------------------------------------


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGUSR1 is to the main thread what Ctrl-C is."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    yield
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # what is pending still is dropped
    signal.signal(signal.SIGUSR1, before)


@pytest.fixture
def driver(interruptible: None) -> Iterator[Callable[..., SyncDriver]]:
    gc.collect()
    before, threads = open_descriptors(), threading.active_count()
    made: list[SyncDriver] = []

    def make(**settings: Any) -> SyncDriver:
        made.append(SyncDriver(child_command=command_of("c"), **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()
    gc.collect()
    assert own_children() == set()
    assert eventually(lambda: threading.active_count() <= threads)
    assert len(open_descriptors()) == len(before)


Redo = tuple[RedoRequest, RedoAttempt]


def interrupted_redo(
    driver: SyncDriver, mine: RedoRequest, before: Sequence[Redo], after: Sequence[Redo]
) -> tuple[list[Future[bytes]], int]:
    """Interrupts a redo of the main thread while others, begun before and after it, are in flight.

    The futures of the others, and the pid of the child that they shared.
    """
    pid = stopped_child(driver)
    with ThreadPoolExecutor(len(before) + len(after) + 1) as pool:
        futures = [pool.submit(driver.redo, *redo) for redo in before]
        assert eventually(lambda: driver.status().in_flight == len(before))

        def others() -> list[Future[bytes]]:
            assert eventually(lambda: driver.status().in_flight == len(before) + 1)
            joined = [pool.submit(driver.redo, *redo) for redo in after]
            total = len(before) + 1 + len(after)
            interrupt_main_when(lambda: driver.status().in_flight == total)
            return joined

        joining = pool.submit(others)
        with pytest.raises(KeyboardInterrupt):
            driver.redo(mine)
        futures += joining.result(SLACK_S)
    return futures, pid


@pytest.mark.parametrize("role", ["reader", "sleeper", "writer"])
def test_an_interrupted_redo_costs_the_others_nothing(
    driver: Callable[..., SyncDriver], role: str
) -> None:
    """Whatever the main thread was doing: reading for all, sleeping, writing for all."""
    manager = driver(pipe_bytes=SMALL_PIPE)
    before = [make_request(1)] if role == "sleeper" else []
    after = [make_request(number) for number in range(2, 6)]
    mine = make_request(0, LARGE if role == "writer" else (90, 40))
    # Who is the oldest in flight meets the interruption first; see the next test.
    others = [(request, READ_PAGE) for request in before + after]
    futures, pid = interrupted_redo(manager, mine, others[: len(before)], others[len(before) :])
    assert is_gone(pid)
    pages = [future.result(SLACK_S) for future in futures]
    assert pages == [page_of(request) for request in before + after]
    assert manager.redo(make_request(7)) == page_of(make_request(7))
    status = manager.status()
    assert status.kills == {Cause.INTERRUPTED: 1}
    assert status.launches == 2
    assert status.in_flight == 0


def test_an_interrupted_redo_costs_the_oldest_no_retry(driver: Callable[..., SyncDriver]) -> None:
    manager = driver()
    requests = [make_request(number) for number in (1, 2)]
    before, after = ([(request, GC_COMPACTION)] for request in requests)
    futures, _ = interrupted_redo(manager, make_request(0), before, after)
    assert [future.exception(SLACK_S) for future in futures] == [None, None]
    assert [future.result() for future in futures] == [page_of(request) for request in requests]


def test_interruptions_in_a_row(driver: Callable[..., SyncDriver]) -> None:
    manager = driver()
    for number in range(5):
        _, pid = interrupted_redo(manager, make_request(number), [], [])
        assert is_gone(pid)
    assert manager.redo(make_request(9)) == page_of(make_request(9))
    assert manager.status().kills == {Cause.INTERRUPTED: 5}


def test_an_interrupted_wait_for_a_launch(
    driver: Callable[..., SyncDriver], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    gate.open.clear()
    replace_child(monkeypatch, gate)
    manager = driver()
    with ThreadPoolExecutor(2) as pool:
        launching = pool.submit(manager.redo, make_request(1))
        assert gate.waiting.wait(SLACK_S)
        interrupting = pool.submit(interrupt_main_when, lambda: True)
        with pytest.raises(KeyboardInterrupt):
            manager.redo(make_request(2))
        interrupting.result(SLACK_S)
        gate.open.set()
        assert launching.result(SLACK_S) == page_of(make_request(1))
    assert manager.status().launches == 1


def test_an_interrupted_launch_leaves_the_manager_usable(
    driver: Callable[..., SyncDriver], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    gate.open.clear()
    manager = driver()
    with monkeypatch.context() as patched, ThreadPoolExecutor(2) as pool:
        replace_child(patched, gate)
        interrupting = pool.submit(interrupt_main_when, gate.waiting.is_set)
        waiting = pool.submit(lambda: gate.waiting.wait(SLACK_S) and manager.redo(make_request(1)))
        with pytest.raises(KeyboardInterrupt):
            manager.redo(make_request(2))
        gate.open.set()
        interrupting.result(SLACK_S)
        assert waiting.result(SLACK_S) == page_of(make_request(1))
    assert manager.redo(make_request(3)) == page_of(make_request(3))
    assert manager.status().launches == 1


def test_an_interrupted_shutdown_can_be_repeated(
    driver: Callable[..., SyncDriver], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the child is being reaped must not make the next shutdown wait for ever."""
    manager = driver()
    manager.ping()
    pid = manager.status().pid
    assert pid is not None
    original, calls = Child.kill_and_reap, []

    def interrupted_once(child: Child) -> int:
        calls.append(child.pid)
        if len(calls) == 1:
            signal.raise_signal(signal.SIGUSR1)
        return original(child)

    monkeypatch.setattr(Child, "kill_and_reap", interrupted_once)
    with pytest.raises(KeyboardInterrupt):
        manager.shutdown()
    again = threading.Thread(target=manager.shutdown, daemon=True)
    again.start()
    again.join(SLACK_S / 4)
    assert not again.is_alive()
    assert is_gone(pid)


def interrupt_main() -> None:
    """As if Ctrl-C came just now."""
    ident = threading.main_thread().ident
    assert ident is not None
    signal.pthread_kill(ident, signal.SIGUSR1)


class InterruptingLock:
    """A lock whose first release is followed by Ctrl-C."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._interrupted = False

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if not self._interrupted:
            self._interrupted = True
            interrupt_main()


def in_another_thread(manager: SyncDriver, request: RedoRequest) -> bytes:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(manager.redo, request).result(SLACK_S)


def test_interrupted_right_after_the_request_was_queued(
    driver: Callable[..., SyncDriver],
) -> None:
    """Where the lock has been given back and the writing has not begun."""
    manager = driver(timeout_s=2)
    manager.ping()
    session = manager.manager._life.current
    assert session is not None
    session._lock = InterruptingLock(session._lock)  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        manager.redo(make_request(1))
    assert in_another_thread(manager, make_request(2)) == page_of(make_request(2))


def test_interrupted_right_after_a_launch_was_planned(
    driver: Callable[..., SyncDriver], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the life cycle counts on a launch that has not begun."""
    manager = driver(timeout_s=2)
    life = manager.manager._life
    original = life.plan

    def interrupted(now_ns: int, deadline_ns: int) -> Plan[SyncSession]:
        plan = original(now_ns, deadline_ns)
        interrupt_main()
        return plan

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(life, "plan", interrupted)
        manager.redo(make_request(1))
    try:
        assert in_another_thread(manager, make_request(2)) == page_of(make_request(2))
    finally:
        life.launching = False  # or a shutdown would wait for it for ever


INTERRUPTED_AFTER_THE_START = """
import os, signal, subprocess, sys, threading
from pathlib import Path
from walredo import BufferTag, ManagerConfig, RedoRequest, SyncRedoManager

started = []
original = subprocess.Popen.__init__

def interrupted(popen, *words, **options):
    original(popen, *words, **options)
    started.append(popen.pid)
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
subprocess.Popen.__init__ = interrupted
manager = SyncRedoManager(ManagerConfig(tuple(sys.argv[1:])))
try:
    manager.ping()
except KeyboardInterrupt:
    print("interrupted", flush=True)
manager.shutdown()
for pid in started:
    print("left" if Path(f"/proc/{pid}").exists() else "gone")
"""


def test_interrupted_right_after_the_child_was_started() -> None:
    """Where the process is there and nobody holds its handle yet."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_AFTER_THE_START, *command_of("c")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "interrupted\ngone\n"
