"""Bugs L1 to L6, which published redo managers have still: as ``test_known_bugs_1_to_9.py``."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import threading
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.children import command_of
from tests.support.interference import (
    CLASSES,
    SMALL_PIPE,
    interrupt_main_when,
    pid_of,
    stopped_child,
)
from tests.support.managers import (
    SLACK_S,
    AsyncDriver,
    Driver,
    eventually,
    has_ended,
    in_parallel,
    is_gone,
    make_request,
    own_children,
    page_of,
)
from walredo import (
    GC_COMPACTION,
    PAGE_SIZE,
    READ_PAGE,
    BufferTag,
    Cause,
    ChildError,
    RedoRequest,
    RedoTimeoutError,
    ShutDownError,
    WalRecord,
)
from walredo.transport.base import Chunks, Transport

Start = Callable[..., Driver]


def leave(driver: Driver, request: RedoRequest, when: Callable[[], bool]) -> None:
    """A redo whose caller leaves once that holds: cancelled, or interrupted as by Ctrl-C."""
    if isinstance(driver, AsyncDriver):
        manager, left = driver.manager, threading.Event()

        async def redo() -> None:
            try:
                await manager.request_redo(request)
            finally:
                left.set()

        call = asyncio.run_coroutine_threadsafe(redo(), driver.loop)
        assert eventually(when)
        assert call.cancel()
        assert left.wait(SLACK_S)
        return
    before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    try:
        with ThreadPoolExecutor(1) as pool:
            interrupting = pool.submit(interrupt_main_when, when)
            with pytest.raises(KeyboardInterrupt):
                driver.redo(request)
            interrupting.result(SLACK_S)
    finally:
        signal.signal(signal.SIGUSR1, before)


def resume(pid: int) -> None:
    """Has a stopped child go on, if whoever left did not end it."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def test_bug_l1_pages_that_nobody_takes_do_not_pile_up(
    start: Start, c_child: tuple[str, ...]
) -> None:
    """L1: the page of a redo that was cancelled once it was sent stayed in the queue of pages, and
    so did one more for each later redo."""
    driver = start(child_command=c_child, pipe_bytes=65536)
    work = [(request, page_of(request)) for request in map(make_request, range(16))]
    driver.redo_many(work, 4, 100)
    tracemalloc.start()
    try:
        for number in range(4):
            pid = stopped_child(driver)
            request = make_request(100 + number)
            sent = driver.status().bytes_sent + len(request.serialise())
            leave(driver, request, lambda sent=sent: driver.status().bytes_sent == sent)  # type: ignore[misc]
            resume(pid)
            assert driver.redo_many(work, 4, 100) == 0
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 50 * PAGE_SIZE
    status = driver.status()
    assert status.in_flight == 0
    if isinstance(driver, AsyncDriver):
        assert (status.pages_dropped, status.launches) == (4, 1)
    else:
        assert status.kills == {Cause.INTERRUPTED: 4}


def test_bug_l2_pages_that_nobody_takes_do_not_block_the_child(
    start: Start, c_child: tuple[str, ...]
) -> None:
    """L2: with the pages of callers who had left, its output was full and the child blocked, and
    the manager with it in the next large request."""
    driver = start(child_command=c_child, pipe_bytes=SMALL_PIPE, timeout_s=SLACK_S)
    pid = stopped_child(driver)
    # An interrupted thread ends its child, so there is but one per child.
    for number in range(16 if isinstance(driver, AsyncDriver) else 1):
        leave(
            driver,
            make_request(number),
            lambda number=number: driver.status().in_flight == number + 1,  # type: ignore[misc]
        )
    resume(pid)
    large = [make_request(number, (300_000, 20)) for number in range(100, 104)]
    pages = in_parallel([lambda r=r: driver.redo(r) for r in large])  # type: ignore[misc]
    assert pages == [page_of(request) for request in large]


def alike(number: int, size: int = 9) -> RedoRequest:
    """One of the requests whose pages begin alike, so that this gives no wrong one away."""
    return RedoRequest(BufferTag(0, 1, 2, 3, number), (WalRecord(7, bytes([number]) * size),))


def serves_others(driver: Driver, count: int) -> None:
    """After the one time-out that there was, on another child."""
    requests = [alike(number) for number in range(100, 100 + count)]
    pages = in_parallel([lambda r=r: driver.redo(r) for r in requests])  # type: ignore[misc]
    assert pages == [page_of(request) for request in requests]
    status = driver.status()
    assert (status.errors, status.kills) == ({Cause.TIMEOUT: 1}, {Cause.TIMEOUT: 1})


def test_bug_l3_half_a_page_that_comes_too_late_is_nobody_elses(
    start: Start, transport: str
) -> None:
    """L3: after a time-out the rest of the page came, and a later caller took it for his own."""
    drips = command_of("c", "--fault", "drip:us=200,at=2")  # the second page takes 1.6 s
    driver = start(child_command=drips, timeout_s=0.5)
    assert driver.redo(alike(1)) == page_of(alike(1))
    with pytest.raises(RedoTimeoutError):
        driver.redo(alike(2))
    assert driver.status().fences == 1
    half_a_page = driver.status().bytes_received - 2 * PAGE_SIZE
    assert 0 < half_a_page < PAGE_SIZE if transport == "pipe" else half_a_page == 0
    serves_others(driver, 1)


@pytest.mark.parametrize("size", [9, 2_000_000], ids=["whole request", "half a request"])
def test_bug_l3_nor_is_what_comes_of_a_request_that_timed_out(
    start: Start, c_child: tuple[str, ...], size: int
) -> None:
    """L3: the same with a whole page, and where the child takes the next message for the rest of
    the one that was being written."""
    driver = start(child_command=c_child, timeout_s=0.3, pipe_bytes=SMALL_PIPE)
    pid = stopped_child(driver)
    before = driver.status().bytes_sent
    with pytest.raises(RedoTimeoutError):
        driver.redo(alike(2, size))
    whole = len(alike(2, size).serialise())
    assert (driver.status().bytes_sent - before == whole) == (whole < SMALL_PIPE)
    resume(pid)
    serves_others(driver, 8)
    assert is_gone(pid)


def test_bug_l3_a_page_sent_twice_is_not_a_neighbours_even_at_the_same_lsn(start: Start) -> None:
    """L3: streams out of step by a page, and nothing in the pages' heads to tell by."""
    driver = start(child_command=command_of("c", "--fault", "extra-page:at=2"))
    for batch in range(10):
        pid = stopped_child(driver)
        requests = [
            RedoRequest(
                BufferTag(0, 1, 2, 3, 10 * batch + block), (WalRecord(5000, b"changes" * block),)
            )
            for block in range(6)
        ]
        with ThreadPoolExecutor(6) as pool:
            redos = [pool.submit(driver.redo, request) for request in requests]
            assert eventually(lambda: driver.status().in_flight >= 6)
            os.kill(pid, signal.SIGCONT)
            for redo, request in zip(redos, requests, strict=True):
                with contextlib.suppress(ChildError):
                    assert redo.result(SLACK_S) == page_of(request)
    assert driver.status().errors[Cause.UNEXPECTED_OUTPUT] >= 10


def test_bug_l4_the_last_pages_of_a_child_that_ends_are_taken(start: Start) -> None:
    """L4: see 7: the end of the output was seen before the pages that came with it."""
    driver = start(child_command=command_of("c", "--fault", "exit-after-reply:at=4"))
    for batch in range(5):
        pid = stopped_child(driver)
        requests = [make_request(10 * batch + number) for number in range(4)]
        with ThreadPoolExecutor(4) as pool:
            redos = [pool.submit(driver.redo, request, GC_COMPACTION) for request in requests]
            assert eventually(lambda: driver.status().in_flight == 4)
            os.kill(pid, signal.SIGCONT)
            assert [redo.result(SLACK_S) for redo in redos] == list(map(page_of, requests))
        assert eventually(lambda pid=pid: has_ended(pid))  # type: ignore[misc]
    assert driver.status().launches == 5


def test_bug_l4_a_page_is_not_lost_to_anothers_broken_write(
    start: Start, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L4: a write that failed ended the child's streams, with the last page still in them."""
    requests = [make_request(1), make_request(2)]
    kind = CLASSES[transport]
    send, receive = kind.send, kind.receive
    pids: list[int] = []  # the first child's, once it has answered the ping
    writes: list[int] = []

    def and_the_child_ends(transport: Transport, chunks: Chunks) -> int:
        if not pids:
            return send(transport, chunks)
        writes.append(transport.child.pid)
        count = send(transport, chunks)
        assert transport.child.pid not in pids or eventually(lambda: has_ended(pids[0]))
        return count

    def not_before_the_second_write(
        transport: Transport, space: memoryview
    ) -> int | tuple[bytes, ...] | None:
        return None if pids and writes == pids else receive(transport, space)

    monkeypatch.setattr(kind, "send", and_the_child_ends)
    monkeypatch.setattr(kind, "receive", not_before_the_second_write)
    driver = start(child_command=command_of("c", "--fault", "exit-after-reply:at=1"))
    driver.ping()
    pid = pid_of(driver)
    pids.append(pid)
    if isinstance(driver, AsyncDriver):
        manager = driver.manager

        async def both() -> list[bytes]:
            attempts = (GC_COMPACTION, READ_PAGE)
            return await asyncio.gather(*map(manager.request_redo, requests, attempts))

        pages = driver.run(both())
    else:
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(driver.redo, requests[0], GC_COMPACTION)
            assert eventually(lambda: bool(writes))
            second = pool.submit(driver.redo, requests[1])
            pages = [first.result(SLACK_S), second.result(SLACK_S)]
    assert pages == list(map(page_of, requests))
    assert writes[:2] == [pid, pid]
    assert driver.status().launches == 2


def test_bug_l5_one_absolute_deadline(start: Start) -> None:
    """L5: every poll had a time-out of its own: a byte now and then kept a redo from ending."""
    drips = command_of("c", "--fault", "drip:us=20000,at=2")
    driver = start(child_command=drips, timeout_s=0.5)
    driver.redo(make_request(1))
    pid = pid_of(driver)
    with pytest.raises(RedoTimeoutError, match=r"no page within 0\.5 s"):
        driver.redo(make_request(2))
    assert is_gone(pid)
    status = driver.status()
    assert status.kills == {Cause.TIMEOUT: 1}
    assert status.errors == {Cause.TIMEOUT: 1}
    assert driver.redo(make_request(3)) == page_of(make_request(3))


@pytest.mark.parametrize("before", ["nothing", "a redo", "quiesce"])
def test_bug_l6_quiesce_does_not_bring_a_manager_back(
    start: Start, c_child: tuple[str, ...], before: str
) -> None:
    """L6: the idle child's end, after the manager's, gave it leave to launch another."""
    driver = start(child_command=c_child)
    if before != "nothing":
        driver.ping()
    if before == "quiesce":
        assert driver.quiesce(0) is True
    launches = driver.status().launches
    driver.shutdown()
    for _ in range(2):
        assert driver.quiesce(0) is False
        with pytest.raises(ShutDownError):
            driver.redo(make_request(1))
    status = driver.status()
    assert (status.shut_down, status.pid, status.launches) == (True, None, launches)
    assert own_children() == set()


def test_bug_l6_nor_does_one_at_the_same_time(start: Start, c_child: tuple[str, ...]) -> None:
    """L6: whichever of the two comes first."""
    for _ in range(20):
        driver = start(child_command=c_child)
        driver.ping()
        calls = [lambda d=driver: d.quiesce(0), driver.shutdown, lambda d=driver: d.quiesce(0)]  # type: ignore[misc]
        assert in_parallel(calls)[1] is True
        assert own_children() == set()
        with pytest.raises(ShutDownError):
            driver.ping()
        assert sum(driver.status().kills.values()) == driver.status().launches == 1
