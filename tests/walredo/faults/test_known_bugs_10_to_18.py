"""Bugs 10 to 18 that published redo managers had and fixed: as ``test_known_bugs_1_to_9.py``."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from math import log2
from typing import Any

import pytest

from tests.support.children import command_of, misbehaving
from tests.support.interference import (
    Gate,
    pid_of,
    replace_child,
    serving,
    stop,
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
    Cause,
    ChildExitedError,
    FailedAttempt,
    RedoRequest,
    ShutDownError,
    WalRecord,
)
from walredo.child import Child
from walredo.lifecycle import Plan

Start = Callable[..., Driver]


def test_bug_10_a_cold_start_stalls_nothing_else(
    start: Start, c_child: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """10: a launch while others waited for it stalled the executor they all shared."""
    driver = start(child_command=c_child)
    life: Any = driver.manager._life
    beats, plans, kept_pace = [0], [0], []
    over = threading.Event()
    original = life.plan

    def counted(now_ns: int, deadline_ns: int) -> Plan[Any]:
        plans[0] += 1
        planned: Plan[Any] = original(now_ns, deadline_ns)
        return planned

    def slow(*arguments: Any, **options: Any) -> Child:
        """Takes 100 beats, in which all the clients wait."""
        all_wait = eventually(lambda: plans[0] >= 128)
        goal = beats[0] + 100
        kept_pace.append(all_wait and eventually(lambda: beats[0] >= goal))
        return Child(*arguments, **options)

    def beat() -> None:
        while not over.wait(0.001):
            driver.status()  # takes a turn of the loop, or the threads' lock
            beats[0] += 1

    monkeypatch.setattr(life, "plan", counted)
    replace_child(monkeypatch, slow)
    work = [(request, page_of(request)) for request in map(make_request, range(128))]
    heart = threading.Thread(target=beat)
    heart.start()
    try:
        assert driver.redo_many(work, clients=128, redos=128) == 0
    finally:
        over.set()
        heart.join()
    assert kept_pace == [True]
    assert driver.status().launches == 1


# Over shared memory it gets one descriptor more, and closes it (test_shared_memory.py).
@pytest.mark.parametrize("transport", ["pipe"], indirect=True)
def test_bug_11_a_child_gets_no_environment_and_no_descriptor(
    start: Start, c_child: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """11: descriptors of the manager's process were open in the child, another child's among
    them."""
    start(child_command=c_child).ping()
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    try:
        with caplog.at_level(logging.INFO, "walredo.child"):
            # It does not close what it finds open, as the usual children do.
            driver = start(child_command=misbehaving("environment"))
            driver.redo(make_request(1))
            seen = sorted(os.listdir(f"/proc/{pid_of(driver)}/fd"))  # noqa: PTH208 - names only
            driver.shutdown()
        assert "env [] fds [0, 1, 2]" in caplog.text
        assert seen == ["0", "1", "2"]
    finally:
        os.close(reader)
        os.close(writer)


def test_bug_11_nothing_keeps_a_launch_from_being_fast(
    start: Start, c_child: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """11: with a hook before the exec a launch copies the whole process instead of using vfork."""
    launches: list[dict[str, Any]] = []
    original = subprocess.Popen.__init__

    def noted(self: subprocess.Popen[bytes], *words: Any, **options: Any) -> None:
        launches.append(options)
        original(self, *words, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", noted)
    start(child_command=c_child).ping()
    [options] = launches
    # What subprocess cannot do in a child made by vfork.
    hindrances = ("preexec_fn", "user", "group", "extra_groups")
    assert {name: options.get(name) for name in hindrances} == dict.fromkeys(hindrances)


@pytest.mark.parametrize("state", ["idle", "in flight", "launching"])
def test_bug_12_no_child_is_left_when_a_shutdown_returns(
    start: Start, c_child: tuple[str, ...], state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """12: a shutdown left its child running, or returned before it was reaped."""
    gate = Gate()
    driver = start(child_command=c_child)
    replace_child(monkeypatch, gate)
    if state == "launching":
        gate.open.clear()
    else:
        driver.ping()
    if state == "in flight":
        stop(pid_of(driver))

    def shut_down() -> tuple[bool, set[int]]:
        return driver.shutdown(), own_children()

    with ThreadPoolExecutor(4) as pool:
        redos = [] if state == "idle" else [pool.submit(driver.redo, make_request(1))]
        if state == "launching":
            assert gate.waiting.wait(SLACK_S)
        elif state == "in flight":
            assert eventually(lambda: driver.status().in_flight == 1)
        shutdowns = [pool.submit(shut_down) for _ in range(3)]
        assert eventually(lambda: driver.status().shut_down)
        if state == "launching":
            assert not any(shutdown.done() for shutdown in shutdowns)
        gate.open.set()
        outcomes = [shutdown.result(SLACK_S) for shutdown in shutdowns]
        assert sorted(outcomes) == [(False, set()), (False, set()), (True, set())]
        assert [type(redo.exception(SLACK_S)) for redo in redos] == [ShutDownError] * len(redos)


def test_bug_13_an_idle_child_is_ended(start: Start, child: tuple[str, ...]) -> None:
    """13: children that nobody used were kept until the machine ran out of memory."""
    driver = start(child_command=child)
    assert driver.quiesce(0) is False
    driver.redo(make_request(1))
    pid = pid_of(driver)
    assert driver.quiesce(3600) is False
    assert driver.quiesce(0) is True
    assert is_gone(pid)
    assert driver.status().pid is None
    assert driver.status().kills == {Cause.QUIESCE: 1}
    assert driver.redo(make_request(2)) == page_of(make_request(2))
    assert driver.status().launches == 2


def test_bug_13_a_child_with_a_redo_in_flight_is_spared(
    start: Start, c_child: tuple[str, ...]
) -> None:
    """13: what is to be spared when idle children are ended."""
    driver = start(child_command=c_child)
    pid = stopped_child(driver)
    with ThreadPoolExecutor(1) as pool:
        redo = pool.submit(driver.redo, make_request(1))
        assert eventually(lambda: driver.status().in_flight == 1)
        assert driver.quiesce(0) is False
        os.kill(pid, signal.SIGCONT)
        assert redo.result(SLACK_S) == page_of(make_request(1))
    assert pid_of(driver) == pid


def test_bug_13_a_child_is_not_idle_before_the_redo_that_launched_it(
    start: Start, c_child: tuple[str, ...]
) -> None:
    """13: a child that had just been launched for a redo was idle until that redo took its turn."""
    driver = start(child_command=c_child)
    request = make_request(1)
    if isinstance(driver, AsyncDriver):
        manager = driver.manager

        async def quiesced_all_the_time() -> bytes:
            redo = asyncio.ensure_future(manager.request_redo(request, GC_COMPACTION))
            while not redo.done():
                await manager.quiesce(0)
                await asyncio.sleep(0)
            return redo.result()

        page = driver.run(quiesced_all_the_time())
    else:
        with ThreadPoolExecutor(1) as pool:
            redo = pool.submit(driver.redo, request, GC_COMPACTION)
            while not redo.done():
                driver.quiesce(0)
            page = redo.result()
    assert page == page_of(request)


def test_bug_13_a_redo_that_begins_just_then_is_spared(
    start: Start, c_child: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """13: a child that was idle when it was looked at need not be so when it is ended."""
    driver = start(child_command=c_child)
    pid = stopped_child(driver)
    request = make_request(1)
    life: Any = driver.manager._life
    original = life.to_quiesce
    redos: list[Future[bytes]] = []

    with ThreadPoolExecutor(1) as pool:

        def and_a_redo_begins(idle_ns: int, now_ns: int) -> object:
            session = original(idle_ns, now_ns)
            if isinstance(driver, AsyncDriver):
                redo = driver.manager.request_redo(request, GC_COMPACTION)
                redos.append(asyncio.run_coroutine_threadsafe(redo, driver.loop))
            else:
                redos.append(pool.submit(driver.redo, request, GC_COMPACTION))
                assert eventually(lambda: session.pipeline.in_flight == 1)
            return session

        monkeypatch.setattr(life, "to_quiesce", and_a_redo_begins)
        if not driver.quiesce(0):
            os.kill(pid, signal.SIGCONT)
        [redo] = redos
        assert redo.result(SLACK_S) == page_of(request)
    assert driver.status().errors == {}


def test_bug_14_a_child_that_always_crashes_is_launched_ever_more_seldom(
    start: Start,
) -> None:
    """14: a child that crashed at every request was launched again and again, for ever."""
    first_s = 0.005
    command = command_of("c", "--fault", "exit-before-reply")
    driver = start(child_command=command, backoff_after=2, backoff_first_s=first_s)
    start_s = time.monotonic()

    def client() -> None:
        while time.monotonic() - start_s < 0.3:
            with pytest.raises(FailedAttempt):
                driver.redo(make_request(1), GC_COMPACTION)

    assert in_parallel([client] * 4) == [None] * 4
    took_s = time.monotonic() - start_s
    # Two without a wait; the n-th after them when 1 + 2 + ... + 2 ** (n - 1) first waits are over.
    assert 4 <= driver.status().launches <= 2 + log2(took_s / first_s + 1)


def test_bug_14_a_child_that_works_is_launched_without_delay(start: Start) -> None:
    """14: what is to be launched at once: a child whose predecessor had answered."""
    driver = start(
        child_command=command_of("c", "--fault", "exit-after-reply"),
        timeout_s=SLACK_S,
        backoff_after=1,
        backoff_first_s=10 * SLACK_S,
        backoff_most_s=10 * SLACK_S,
    )
    for number in range(6):
        assert driver.redo(make_request(number), GC_COMPACTION) == page_of(make_request(number))
        assert eventually(lambda: all(map(has_ended, own_children())))
    assert driver.status().launches == 6


def test_bug_15_one_bad_request_does_not_use_up_the_retries_of_good_ones(start: Start) -> None:
    """15: whoever shared a child with a poisonous request was charged for each of its crashes."""
    driver = start(child_command=misbehaving("poison", at=0))
    requests = [make_request(number) for number in range(9)]
    pages = in_parallel([lambda r=r: driver.redo(r) for r in requests])  # type: ignore[misc]
    assert isinstance(pages[0], ChildExitedError)
    assert pages[1:] == [page_of(request) for request in requests[1:]]


def test_bug_15_nor_do_as_many_as_it_has_attempts(start: Start) -> None:
    """15: the same, with a bad request ahead of the good ones on each of three children."""
    driver = start(child_command=misbehaving("poison", at=0))
    pid = stopped_child(driver)
    good = [make_request(number) for number in range(1, 5)]
    with ThreadPoolExecutor(7) as pool:
        bad_redos = [pool.submit(driver.redo, make_request(0), GC_COMPACTION) for _ in range(3)]
        assert eventually(lambda: driver.status().in_flight == 5)  # their fences among them
        good_redos = [pool.submit(driver.redo, request) for request in good]
        assert eventually(lambda: driver.status().in_flight == 9)
        os.kill(pid, signal.SIGCONT)
        assert [type(redo.exception(SLACK_S)) for redo in bad_redos] == [ChildExitedError] * 3
        assert [redo.result(SLACK_S) for redo in good_redos] == list(map(page_of, good))


def test_bug_16_what_a_child_tells_has_the_level_it_says(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """16: whatever a child wrote to its stderr was logged as an error."""
    lines = {
        "LOG:  started, no errors so far": logging.INFO,
        "something without a level": logging.INFO,
        "NOTICE:  not an ERROR: a notice": logging.INFO,
        "WARNING:  careful": logging.WARNING,
        "ERROR:  cannot": logging.ERROR,
    }
    text = "".join(line + "\n" for line in lines)
    with caplog.at_level(logging.DEBUG, "walredo.child"):
        driver = start(child_command=serving(f"os.write(2, {text.encode()!r})"))
        driver.ping()
        driver.shutdown()
    records = [record for record in caplog.records if record.name == "walredo.child"]
    assert {r.message.partition(": ")[2]: r.levelno for r in records} == lines


def test_bug_17_a_small_record_after_a_large_one(start: Start, child: tuple[str, ...]) -> None:
    """17: a record larger than the child's buffer, then a small one, crashed the child."""
    driver = start(child_command=child)
    for size in (65_536, 65_538, 2_000_000):
        for sizes in ((size, 2), (2,), (40, size, 4), (60, 30)):
            request = make_request(size % 1000, sizes)
            assert driver.redo(request, GC_COMPACTION) == page_of(request)
    assert driver.status().launches == 1


def test_bug_18_a_malformed_first_record_is_told(start: Start, child: tuple[str, ...]) -> None:
    """18: with no record before it, the child crashed while it put the error into words."""
    driver = start(child_command=child)
    for message, error in (
        (b"A\0\0\0\x0b" + bytes(7), "has length 11"),  # its LSN is cut short
        (b"A\0\0\0\x03", "has length 3"),  # shorter than its own length
        (b"A\xff\xff\xff\xff" + bytes(100), "over the maximum"),  # 4 GiB
        (b"Z\0\0\0\x04", "unknown message type"),  # of no known type
    ):
        record = WalRecord(1, b"")
        object.__setattr__(record, "message", message)  # it could not be made in another way
        malformed = RedoRequest(make_request(1).tag, (record,))
        with pytest.raises(ChildExitedError, match=f"FATAL: .*{error}") as caught:
            driver.redo(malformed, GC_COMPACTION)
        assert caught.value.returncode == 1
    assert driver.redo(make_request(2)) == page_of(make_request(2))
