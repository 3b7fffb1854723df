"""Threads that share one child: who waits for whom, and what one's end does to the others."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from tests.support.managers import SLACK_S, Driver, eventually, is_stopped, make_request, page_of
from walredo import (
    GC_COMPACTION,
    BufferTag,
    ChildExitedError,
    RedoRequest,
    WalRecord,
)
from walredo.child import Child
from walredo.wire import ZERO_PAGE

Start = Callable[..., Driver]

READ_EXACTLY = """
import os, signal, time
def read_exactly(size):
    while size:
        size -= len(os.read(0, size))
"""

STOP_ANSWER_ONE_AND_READ_NO_MORE = """
os.kill(os.getpid(), signal.SIGSTOP)
read_exactly({size})
os.write(1, bytes(8192))
time.sleep(3600)
"""

CLOSE_INPUT_AFTER_ONE = """
read_exactly({size})
os.close(0)
time.sleep(3600)
"""


# Their children read and write the pipes themselves.
is_pipe = pytest.mark.parametrize("transport", ["pipe"], indirect=True)


def child(code: str, first: RedoRequest) -> tuple[str, ...]:
    """The command of a child that reads the first request and then does as ``code`` says."""
    code = READ_EXACTLY + code.format(size=len(first.serialise()))
    return (sys.executable, "-I", "-S", "-c", code)


@is_pipe
def test_a_page_that_has_come_is_not_kept_back_by_anothers_request(start: Start) -> None:
    """Whoever writes for others must not be stuck with that when the child reads no more."""
    first = RedoRequest(BufferTag(0, 1, 2, 3, 4), (WalRecord(0, bytes(100_000)),))
    second = make_request(2, (200_000,))
    command = child(STOP_ANSWER_ONE_AND_READ_NO_MORE, first)
    driver = start(child_command=command, pipe_bytes=4096, timeout_s=3 * SLACK_S)
    with ThreadPoolExecutor(2) as pool:
        served = pool.submit(driver.redo, first)
        assert eventually(lambda: driver.status().in_flight == 1)
        stuck = pool.submit(driver.redo, second, GC_COMPACTION)
        assert eventually(lambda: driver.status().in_flight == 2)
        time.sleep(0.05)  # until both wait: one writes, one reads
        pid = driver.status().pid
        assert pid is not None
        assert eventually(lambda: is_stopped(pid))  # or it would stop after it is woken, for ever
        os.kill(pid, signal.SIGCONT)
        try:
            assert served.result(SLACK_S / 4) == ZERO_PAGE
            assert not stuck.done()
        finally:
            driver.shutdown()


@is_pipe
def test_an_exit_is_described_before_any_caller_sees_it(
    start: Start, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest finds the end of the output while somebody else, who found the end of the input
    first, is still reaping the child."""
    if kind == "async":
        pytest.skip("nothing happens on the loop while it reaps")
    first = make_request(1)
    driver = start(child_command=child(CLOSE_INPUT_AFTER_ONE, first))
    may_reap = threading.Event()
    original = Child.kill_and_reap

    def slow(killed: Child) -> int:
        os.killpg(killed.pid, signal.SIGKILL)
        assert may_reap.wait(SLACK_S)
        return original(killed)

    seen: list[int | None] = []

    def oldest() -> None:
        with pytest.raises(ChildExitedError) as caught:
            driver.redo(first, GC_COMPACTION)
        seen.append(caught.value.returncode)

    with monkeypatch.context() as patched, ThreadPoolExecutor(2) as pool:
        patched.setattr(Child, "kill_and_reap", slow)
        waiting = pool.submit(oldest)
        assert eventually(lambda: driver.status().bytes_sent == len(first.serialise()))
        time.sleep(0.3)  # until the child has closed its input
        other = pool.submit(driver.redo, make_request(2), GC_COMPACTION)
        wait([waiting], timeout=0.5)
        may_reap.set()
        waiting.result(SLACK_S)
        driver.shutdown()
        assert other.exception(SLACK_S) is not None
    assert seen == [-signal.SIGKILL]


def test_a_page_of_each_when_threads_come_and_go(start: Start, c_child: tuple[str, ...]) -> None:
    """Every caller is a thread of its own: it begins without a role and ends without one."""
    driver = start(child_command=c_child)
    outcomes: dict[int, bool] = {}

    def redo(number: int) -> None:
        request = make_request(number, (40, 3000) if number % 3 else (20_000,))
        outcomes[number] = driver.redo(request) == page_of(request)

    for batch in range(0, 200, 20):
        threads = [threading.Thread(target=redo, args=(batch + n,)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SLACK_S)
    assert outcomes == dict.fromkeys(range(200), True)
    assert driver.status().launches == 1
