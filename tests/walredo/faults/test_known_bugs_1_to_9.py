"""Bugs 1 to 9 that published redo managers had and fixed: each by its number, for both managers.

Nothing here measures speed: it counts, and what must happen soon has SLACK_S. The others are in
``test_known_bugs_10_to_18.py``, and in ``test_known_bugs_latent.py`` those that were never fixed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import walredo.async_manager
import walredo.sync_manager
from tests.support.children import command_of, misbehaving
from tests.support.interference import (
    CLASSES,
    SMALL_PIPE,
    pid_of,
    serving,
    stopped_child,
)
from tests.support.managers import (
    SLACK_S,
    AsyncDriver,
    Driver,
    Result,
    Start,
    eventually,
    has_ended,
    is_gone,
    make_request,
    own_children,
    page_of,
)
from walredo import (
    GC_COMPACTION,
    AsyncRedoManager,
    Cause,
    ChildExitedError,
    FailedAttempt,
    LaunchError,
    ManagerConfig,
    ManagerKind,
    RedoRequest,
)
from walredo.child import Child
from walredo.transport.base import Chunks, Transport


def on_its_loop(driver: Driver, call: Callable[[], Result]) -> Result:
    """What the call gives, made where the manager's own code runs."""

    async def made() -> Result:
        return call()

    return driver.run(made()) if isinstance(driver, AsyncDriver) else call()


@contextlib.contextmanager
def storm() -> Iterator[list[int]]:
    """A signal with a handler that does nothing, to every thread, again and again.

    What it gives counts the signals that were handled. (No interval timer: pytest-timeout's.)
    """
    handled = [0]
    over = threading.Event()

    def handler(number: int, frame: object) -> None:
        handled[0] += 1

    def blow() -> None:
        while not over.wait(0.0005):
            for thread in threading.enumerate():
                if thread.ident is not None and thread is not threading.current_thread():
                    with contextlib.suppress(ProcessLookupError):  # it has just ended
                        signal.pthread_kill(thread.ident, signal.SIGUSR2)

    before = signal.signal(signal.SIGUSR2, handler)
    blower = threading.Thread(target=blow)
    blower.start()
    try:
        yield handled
    finally:
        over.set()
        blower.join()
        # A thread may have one pending still, whose default would end the test run: this drops it.
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        signal.signal(signal.SIGUSR2, before)


def storm_requests() -> list[RedoRequest]:
    return [
        make_request(number, (100_000, 60_000) if number % 4 == 0 else (90, 40))
        for number in range(200)
    ]


def test_bug_01_a_flood_on_stderr_does_not_delay_a_redo(start: Start) -> None:
    """1: a child that filled its stderr blocked, and all that waited for it."""
    driver = start(child_command=misbehaving("stderr-flood"), timeout_s=SLACK_S)
    assert driver.redo(make_request(1)) == page_of(make_request(1))
    assert driver.status().launches == 1


def test_bug_02_a_storm_of_signals_is_no_error(start: Start, c_child: tuple[str, ...]) -> None:
    """2: a signal while a caller waited in poll failed its redo (EINTR)."""
    driver = start(child_command=c_child, pipe_bytes=SMALL_PIPE)
    work = [(request, page_of(request)) for request in storm_requests()]
    with ThreadPoolExecutor(1) as pool, storm() as handled:
        others = pool.submit(driver.redo_many, work, 6, 200)
        assert [driver.redo(request) == page for request, page in work] == [True] * 200
        assert others.result(SLACK_S) == 0
        assert eventually(lambda: handled[0] > 0)
    status = driver.status()
    assert (status.errors, status.launches) == ({}, 1)


def test_bug_02_a_storm_of_signals_is_no_error_to_a_caller_that_waits(
    start: Start, c_child: tuple[str, ...]
) -> None:
    """2: the same where nothing but signals happens."""
    driver = start(child_command=c_child)
    pid = stopped_child(driver)
    with storm() as handled:

        def resume() -> None:
            assert eventually(lambda: handled[0] > 100)
            os.kill(pid, signal.SIGCONT)

        resuming = threading.Thread(target=resume)
        resuming.start()
        assert driver.redo(make_request(1)) == page_of(make_request(1))
        resuming.join()
    assert driver.status().errors == {}
    assert pid_of(driver) == pid


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_bug_02_a_storm_of_signals_is_no_error_on_the_main_threads_loop(loop: str) -> None:
    """2: where the handlers run between the loop's own callbacks."""
    new_loop = asyncio.new_event_loop
    if loop == "uvloop":
        new_loop = pytest.importorskip("uvloop").new_event_loop
    requests = storm_requests()

    async def body() -> None:
        # uvloop has every signal written to a socket, and a storm may well fill it.
        wakeup = signal.set_wakeup_fd(-1)
        if wakeup != -1:
            signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        config = ManagerConfig(command_of("c"), ManagerKind.ASYNC, pipe_bytes=SMALL_PIPE)
        async with asyncio.timeout(SLACK_S), AsyncRedoManager(config) as manager:
            with storm():
                pages = await asyncio.gather(*map(manager.request_redo, requests))
            status = await manager.status()
        assert pages == [page_of(request) for request in requests]
        assert (status.errors, status.launches) == ({}, 1)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(body())


@pytest.mark.parametrize("fault", ["exit-before-reply", "killed", "close-stdout", "hang"])
def test_bug_03_a_child_that_failed_is_reaped(start: Start, fault: str) -> None:
    """3: children that failed were left behind, running or as zombies."""
    driver = start(child_command=command_of("c", "--fault", f"{fault}:at=2"), timeout_s=0.3)
    driver.redo(make_request(1))
    with pytest.raises(FailedAttempt):
        driver.redo(make_request(2), GC_COMPACTION)
    assert own_children() == set()


@pytest.mark.parametrize("reason", ["no such program", "no thread for it"])
def test_bug_03_a_failed_launch_leaves_no_process(
    start: Start, c_child: tuple[str, ...], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """3: what a launch had begun was left behind when the rest of it failed."""

    def refuse(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    command = ("/no/such/child",) if reason == "no such program" else c_child
    driver = start(child_command=command)
    with monkeypatch.context() as patched:
        patched.setattr(walredo.sync_manager, "SyncSession", refuse)
        patched.setattr(walredo.async_manager, "AsyncSession", refuse)
        with pytest.raises(LaunchError):
            driver.redo(make_request(1), GC_COMPACTION)
    assert own_children() == set()
    assert driver.status().launches == 0


def test_bug_04_a_child_killed_while_idle_costs_no_attempt(
    start: Start, c_child: tuple[str, ...]
) -> None:
    """4: the first redo after an idle child's death failed with EPIPE."""
    driver = start(child_command=c_child)
    driver.redo(make_request(1))
    pid = pid_of(driver)

    def kill() -> None:
        os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: has_ended(pid))

    request = make_request(2)
    if isinstance(driver, AsyncDriver):
        manager = driver.manager

        async def redo() -> bytes:
            kill()  # the loop cannot have seen it when the redo begins
            return await manager.request_redo(request, GC_COMPACTION)

        page = driver.run(redo())
    else:
        kill()
        page = driver.redo(request, GC_COMPACTION)
    assert page == page_of(request)
    assert driver.status().launches == 2


def test_bug_05_callers_that_fail_together_get_one_replacement(
    start: Start, c_child: tuple[str, ...]
) -> None:
    """5: each of the callers that saw the child's end ended the current child, whichever it was."""
    driver = start(child_command=c_child)
    pid = stopped_child(driver)
    requests = [make_request(number) for number in range(2)]
    with ThreadPoolExecutor(2) as pool:
        redos = [pool.submit(driver.redo, request) for request in requests]
        assert eventually(lambda: driver.status().in_flight == 2)
        os.kill(pid, signal.SIGKILL)
        assert [redo.result(SLACK_S) for redo in redos] == list(map(page_of, requests))
    replacement = pid_of(driver)
    assert driver.redo(make_request(3)) == page_of(make_request(3))
    assert pid_of(driver) == replacement != pid
    status = driver.status()
    assert (status.launches, status.kills) == (2, {Cause.CHILD_EXIT: 1})
    assert status.errors == {Cause.CHILD_EXIT: 1, Cause.POISONED: 1}


def test_bug_05_who_reports_late_does_not_hit_the_replacement(
    start: Start, c_child: tuple[str, ...]
) -> None:
    """5: a slow caller reported its error when the replacement was there, and ended that."""
    driver = start(child_command=c_child)
    pid = stopped_child(driver)
    old = driver.manager._life.current
    assert old is not None
    os.kill(pid, signal.SIGKILL)
    driver.ping()
    replacement = stopped_child(driver)
    with ThreadPoolExecutor(1) as pool:
        redo = pool.submit(driver.redo, make_request(1), GC_COMPACTION)
        assert eventually(lambda: driver.status().in_flight == 1)
        on_its_loop(driver, lambda: old.fail(ChildExitedError(pid, "it closed its input")))
        assert not is_gone(replacement)
        os.kill(replacement, signal.SIGCONT)
        assert redo.result(SLACK_S) == page_of(make_request(1))
    assert pid_of(driver) == replacement
    assert driver.status().kills == {Cause.CHILD_EXIT: 1}


CHAT = """
def chat():
    number = 0
    while True:
        os.write(2, b"LOG:  line %d\\n" % number)
        number += 1
        time.sleep(0.0002)
threading.Thread(target=chat, daemon=True).start()
"""


def test_bug_06_a_child_that_talks_all_the_time_disturbs_nobody(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """6: of two threads that polled stderr one got EAGAIN, which was taken for a failed redo."""
    work = [(request, page_of(request)) for request in map(make_request, range(64))]
    with caplog.at_level(logging.INFO, "walredo.child"):
        driver = start(child_command=serving(CHAT))
        assert driver.redo_many(work, clients=32, redos=2000) == 0
        assert eventually(lambda: len(caplog.records) > 100)
        status = driver.status()
        driver.shutdown()
    assert (status.errors, status.launches) == ({}, 1)
    # Whole and in order: one reader at a time.
    texts = [record.message for record in caplog.records if record.name == "walredo.child"]
    assert texts == [f"redo child {status.pid}: LOG:  line {n}" for n in range(len(texts))]


def cpu_s_of_waiting() -> float:
    """CPU time of this process in 0.3 s in which it has nothing to do."""
    before_s = time.process_time()
    time.sleep(0.3)
    return time.process_time() - before_s


def test_bug_07_an_output_that_is_closed_is_an_error_at_once(start: Start) -> None:
    """7: a hang-up was waited out, or polled again and again, until the deadline."""
    driver = start(child_command=misbehaving("close-stdout"), timeout_s=3 * SLACK_S)
    with pytest.raises(ChildExitedError, match="it closed its output"):
        driver.redo(make_request(1), GC_COMPACTION)
    assert driver.status().poll_calls < 10


def test_bug_07_a_page_with_a_hang_up_is_a_page(
    start: Start, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """7: a page that came together with the hang-up was thrown away."""
    kind = CLASSES[transport]
    original = kind.send

    def and_it_ends(transport: Transport, chunks: Chunks) -> int:
        count = original(transport, chunks)
        assert eventually(lambda: has_ended(transport.child.pid))
        return count

    monkeypatch.setattr(kind, "send", and_it_ends)
    driver = start(child_command=misbehaving("answer-then-exit"))
    assert driver.redo(make_request(1), GC_COMPACTION) == page_of(make_request(1))
    # Nor is the hang-up, which stays, looked at for ever.
    assert cpu_s_of_waiting() < 0.05
    status = driver.status()
    assert status.errors == {}
    assert status.poll_calls < 10


def test_bug_07_a_hang_up_of_stderr_is_seen_once(start: Start) -> None:
    """7: a stream that was hung up was always ready: whoever polled it did nothing else."""
    driver = start(child_command=serving("os.close(2)"))
    pid = stopped_child(driver)
    with ThreadPoolExecutor(1) as pool:
        redo = pool.submit(driver.redo, make_request(1))
        assert eventually(lambda: driver.status().in_flight == 1)
        before = driver.status().poll_calls
        assert cpu_s_of_waiting() < 0.05
        assert driver.status().poll_calls - before < 10
        os.kill(pid, signal.SIGCONT)
        assert redo.result(SLACK_S) == page_of(make_request(1))


EXIT_WITH_A_COUNT = """
os.read(0, 1)
with open({state!r}, "ab") as file:
    file.write(b"x")
os._exit(40 + os.path.getsize({state!r}))
"""


@pytest.mark.parametrize("transport", ["pipe"], indirect=True)  # from which its child reads
def test_bug_08_every_attempt_is_logged_with_its_cause(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """8: only the last error was told, and the first is the one that says what is wrong."""
    driver = start(child_command=serving(EXIT_WITH_A_COUNT.format(state=str(tmp_path / "count"))))
    with caplog.at_level(logging.WARNING, "walredo"), pytest.raises(ChildExitedError) as caught:
        driver.redo(make_request(1))
    assert caught.value.returncode == 43
    found = [re.search(r"at attempt (\d).*return code (\d+)", r.message) for r in caplog.records]
    assert [match.groups() for match in found if match] == [("1", "41"), ("2", "42"), ("3", "43")]


def test_bug_09_a_caller_may_leave_while_its_child_is_taken_down(
    start: Start, c_child: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """9: a redo awaited something after the kill; cancelled there, it left the rest undone."""
    driver = start(child_command=c_child)
    pid = stopped_child(driver)
    mine, others = make_request(0), make_request(1)
    leaving: list[Callable[[], None]] = []
    original = Child.kill_and_reap

    def left_meanwhile(child: Child) -> int:
        if leaving:
            leaving.pop()()
        return original(child)

    def other() -> bytes:
        assert eventually(lambda: driver.status().in_flight == 1)
        return driver.redo(others, GC_COMPACTION)

    def kill() -> None:
        assert eventually(lambda: driver.status().in_flight == 2)
        os.kill(pid, signal.SIGKILL)

    monkeypatch.setattr(Child, "kill_and_reap", left_meanwhile)
    with ThreadPoolExecutor(2) as pool:
        served, _ = pool.submit(other), pool.submit(kill)
        if isinstance(driver, AsyncDriver):
            manager, loop = driver.manager, driver.loop
            redo = asyncio.run_coroutine_threadsafe(manager.request_redo(mine), loop)

            def cancel() -> None:
                redo.cancel()

            leaving.append(cancel)
        else:

            def interrupt() -> None:
                raise KeyboardInterrupt

            leaving.append(interrupt)
            with pytest.raises(KeyboardInterrupt):
                driver.redo(mine)
        assert served.result(SLACK_S) == page_of(others)
    assert leaving == []
    assert own_children() == {pid_of(driver)} != {pid}
    assert driver.status().launches == 2
