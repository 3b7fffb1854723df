"""What a process has used: of this one, of another, of one that is gone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.worker.meters import (
    DescendantsMeter,
    Meter,
    OwnMeter,
    ProcessGoneError,
    ProcessMeter,
    Used,
    children_of,
    peak_rss_bytes,
)
from tests.support.managers import SLACK_S, eventually

BUSY = "while True: pass"
IDLE = "import sys; print(flush=True); sys.stdin.read()"
TICK_NS = 30_000_000  # user and system time are told in ticks of 10 ms


@pytest.fixture
def busy() -> Iterator[int]:
    """The pid of a process that burns CPU."""
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", BUSY])
    yield process.pid
    process.kill()
    process.wait()


def burn(meter: Meter, ns: int) -> None:
    """Uses this process's CPU until the meter has seen that much."""
    before, end_s = meter.used().cpu_ns, time.monotonic() + SLACK_S
    while meter.used().cpu_ns - before < ns:
        assert time.monotonic() < end_s


def burnt_elsewhere(meter: Meter, ns: int) -> bool:
    before = meter.used().cpu_ns
    return eventually(lambda: meter.used().cpu_ns - before >= ns)


def state_of(pid: int) -> str:
    """As in proc(5): R running, S sleeping, T stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_own_time_grows_with_work() -> None:
    meter = OwnMeter()
    before = meter.used()
    burn(meter, TICK_NS)
    used = meter.used().since(before)
    assert used.cpu_ns >= TICK_NS
    assert min(used.voluntary_switches, used.involuntary_switches) >= 0
    share = meter.user_share()
    assert share is not None
    assert 0 <= share <= 1


def test_own_time_is_that_of_all_threads() -> None:
    meter = OwnMeter()
    before = meter.used().cpu_ns
    own_before = time.thread_time_ns()
    thread = threading.Thread(target=burn, args=(meter, TICK_NS))
    thread.start()
    thread.join()
    assert meter.used().cpu_ns - before >= TICK_NS
    assert time.thread_time_ns() - own_before < TICK_NS  # it was not this thread


def test_waiting_is_a_voluntary_switch() -> None:
    meter = OwnMeter()
    before = meter.used()
    for _ in range(20):
        time.sleep(0.001)
    assert meter.used().since(before).voluntary_switches >= 20


def test_another_process(busy: int) -> None:
    meter = ProcessMeter(busy)
    assert burnt_elsewhere(meter, TICK_NS)
    share = meter.user_share()
    assert share is not None
    assert 0 <= share <= 1
    # What it does is not this process's, and a loop without a call is user time.
    assert share > 0.5


def test_the_other_process_is_not_this_one() -> None:
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", IDLE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        meter = ProcessMeter(process.pid)
        assert eventually(lambda: state_of(process.pid) == "S")
        before = meter.used()
        burn(OwnMeter(), TICK_NS)
        assert meter.used().since(before) == Used(0, 0, 0)


def test_a_stopped_process_uses_nothing(busy: int) -> None:
    meter = ProcessMeter(busy)
    assert burnt_elsewhere(meter, 1)
    os.kill(busy, signal.SIGSTOP)
    assert eventually(lambda: state_of(busy) == "T")
    before = meter.used()
    burn(OwnMeter(), TICK_NS)
    assert meter.used().since(before).cpu_ns == 0


def test_a_process_that_is_gone_is_an_error() -> None:
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", ""])
    meter = ProcessMeter(process.pid)
    process.wait()
    for read in (meter.used, meter.user_share):
        with pytest.raises(ProcessGoneError, match=str(process.pid)):
            read()


@pytest.fixture
def meter() -> DescendantsMeter:
    """Of what this test starts: other tests may have left children that are there already."""
    return DescendantsMeter(but_for=children_of(os.getpid()))


def test_children_are_counted_when_they_have_ended_too(meter: DescendantsMeter) -> None:
    seen = [meter.used().cpu_ns]
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-I", "-S", "-c", BUSY]) as process:
            assert burnt_elsewhere(meter, TICK_NS)
            share = meter.user_share()
            assert share is not None
            assert 0 <= share <= 1
            process.kill()
        seen.append(meter.used().cpu_ns)
    assert seen[1] - seen[0] >= TICK_NS
    assert seen[2] - seen[1] >= TICK_NS


def test_several_children_are_added_up(meter: DescendantsMeter) -> None:
    with contextlib.ExitStack() as stack:
        ended = meter.used()
        pids = []
        for _ in range(2):
            process = subprocess.Popen([sys.executable, "-I", "-S", "-c", BUSY])
            stack.enter_context(process)
            stack.callback(process.kill)
            assert burnt_elsewhere(ProcessMeter(process.pid), TICK_NS)
            os.kill(process.pid, signal.SIGSTOP)
            pids.append(process.pid)
        for pid in pids:
            assert eventually(lambda pid=pid: state_of(pid) == "T")  # type: ignore[misc]
        first, second = (ProcessMeter(pid).used() for pid in pids)
        assert meter.used().since(ended) == first.plus(second)


GRANDCHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-I', '-S', '-c', {BUSY!r}])"


def test_children_of_children_are_counted(meter: DescendantsMeter) -> None:
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", GRANDCHILD])
    try:
        assert eventually(lambda: bool(children_of(process.pid)))
        own = ProcessMeter(process.pid)
        assert burnt_elsewhere(meter, own.used().cpu_ns + 5 * TICK_NS)
        assert own.used().cpu_ns + 2 * TICK_NS < meter.used().cpu_ns
        assert DescendantsMeter(process.pid).used().cpu_ns > 2 * TICK_NS
    finally:
        for pid in (*children_of(process.pid), process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()


def test_what_was_there_before_is_not_counted() -> None:
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", BUSY]) as process:
        meter = DescendantsMeter(but_for=children_of(os.getpid()))
        before = meter.used()
        assert burnt_elsewhere(ProcessMeter(process.pid), 2 * TICK_NS)
        assert meter.used() == before
        process.kill()


def test_a_child_that_has_ended_and_is_not_reaped_is_counted_once(meter: DescendantsMeter) -> None:
    before = meter.used()
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", "sum(range(10**6))"]) as process:
        assert eventually(lambda: state_of(process.pid) == "Z")
        as_zombie = meter.used()
    reaped = meter.used()
    assert as_zombie.cpu_ns > before.cpu_ns
    assert abs(reaped.cpu_ns - as_zombie.cpu_ns) < TICK_NS


def test_a_share_before_there_is_any_time() -> None:
    # A process that has just been made has used less than the tick that time is told in.
    process = subprocess.Popen(["sleep", "30"])
    try:
        assert ProcessMeter(process.pid).user_share() in {None, 0.0, 1.0}
    finally:
        process.kill()
        process.wait()


def test_since_subtracts_each() -> None:
    assert Used(10, 20, 30).since(Used(1, 2, 3)) == Used(9, 18, 27)


def test_the_peak_of_memory_is_this_process_s_own() -> None:
    code = "from bench.worker.meters import peak_rss_bytes; print(peak_rss_bytes())"
    of_child = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert 0 < int(of_child.stdout) < peak_rss_bytes()
