"""Busy processes: that they spin, where, and that none outlives what it must not."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bench.places import ROOT
from bench.worker import background_load
from bench.worker.background_load import BackgroundLoad, BackgroundLoadError
from bench.worker.meters import ProcessGoneError, ProcessMeter
from tests.support.managers import eventually, has_ended, is_gone, open_descriptors, own_children

SPINS_NS = 5_000_000


@pytest.fixture
def load() -> Iterator[BackgroundLoad]:
    """One that leaves no process and no descriptor."""
    children, descriptors = own_children(), open_descriptors()
    with BackgroundLoad() as made:
        yield made
    assert own_children() == children
    assert len(open_descriptors()) == len(descriptors)


def test_they_spin_and_are_in_no_meter(load: BackgroundLoad) -> None:
    def of_children() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before, earlier = own_children(), of_children()
    load.start(2, None)
    pids = own_children() - before
    assert len(pids) == 2
    meters = [ProcessMeter(pid) for pid in pids]
    at_first = [meter.used().cpu_ns for meter in meters]
    for meter, then in zip(meters, at_first, strict=True):
        assert eventually(lambda m=meter, t=then: m.used().cpu_ns - t > SPINS_NS)  # type: ignore[misc]
    load.check()
    assert of_children() == earlier
    assert all(os.getpgid(pid) == os.getpgid(0) for pid in pids)
    assert all(
        os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, 0) for pid in pids
    )


def test_they_run_where_they_are_told_to(load: BackgroundLoad) -> None:
    cpu = max(os.sched_getaffinity(0))
    before = own_children()
    load.start(1, (cpu, cpu))
    (pid,) = own_children() - before
    assert os.sched_getaffinity(pid) == {cpu}


def test_none_is_no_process(load: BackgroundLoad) -> None:
    before = own_children()
    load.start(0, None)
    load.check()
    assert own_children() == before


def test_one_that_has_ended_is_named_and_left_for_the_end(load: BackgroundLoad) -> None:
    before = own_children()
    load.start(2, None)
    pid = min(own_children() - before)
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: has_ended(pid))
    for _ in range(2):
        with pytest.raises(ProcessGoneError, match=f"busy process, process {pid}"):
            load.check()
    assert not is_gone(pid)


def test_one_that_does_not_begin_is_an_error(
    load: BackgroundLoad, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background_load, "_BUSY", "pass")
    with pytest.raises(BackgroundLoadError, match="only 0 of 3 busy processes"):
        load.start(3, None)


def test_what_cannot_be_started_leaves_nothing(
    load: BackgroundLoad, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(FileNotFoundError):
        load.start(2, None)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_holder_leaves_none(how: signal.Signals) -> None:
    program = (
        "import sys\n"
        "from bench.worker.background_load import BackgroundLoad\n"
        "load = BackgroundLoad()\n"
        "load.start(2, None)\n"
        "print(*(process.pid for process in load._processes), flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as holder:
        assert holder.stdout
        pids = [int(pid) for pid in holder.stdout.readline().split()]
        assert len(pids) == 2
        assert not any(has_ended(pid) for pid in pids)
        holder.send_signal(how)
        holder.wait()
        for pid in pids:
            assert eventually(lambda pid=pid: has_ended(pid))  # type: ignore[misc]
