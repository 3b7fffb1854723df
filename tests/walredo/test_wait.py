"""Managers that poll for a while before they park: no less right, no busier than they were told."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable

import pytest

from bench.cases.config import load_profile, override
from bench.cases.matrix import cases_of
from bench.cases.names import spin_us
from fake_redo_child.build import FAULTS
from tests.support.fault_matrix import GRACE_S, TIMEOUT_S, Cell, run_cell, works_again
from tests.support.managers import (
    SLACK_S,
    AsyncDriver,
    Driver,
    eventually,
    in_parallel,
    make_request,
    page_of,
)
from walredo import AsyncRedoManager, ManagerConfig, ManagerKind, RedoAttempt, RedoTimeoutError

Start = Callable[..., Driver]


@pytest.mark.parametrize("spin_s", [0.0002, 1.0])
def test_pages_are_right(spin_s: float, start: Start, child: tuple[str, ...]) -> None:
    driver = start(child_command=child, spin_s=spin_s)
    work = [(make_request(number), page_of(make_request(number))) for number in range(64)]
    assert driver.redo_many(work, clients=1, redos=50) == 0
    assert driver.redo_many(work, clients=32, redos=3_000) == 0
    assert driver.status().redos == 3_050


@pytest.mark.parametrize("manager", ["sync", "async"])
@pytest.mark.parametrize("fault", FAULTS)
def test_faults(fault: str, manager: str) -> None:
    cell = Cell(fault, manager, "c", 32, RedoAttempt.READ_PAGE)
    outcome = run_cell(cell, spin_s=0.01)
    assert outcome.wrong_pages == 0
    assert outcome.pages + sum(outcome.errors.values()) == 64
    assert outcome.latest_s < TIMEOUT_S + GRACE_S
    assert not works_again(cell) or outcome.next_redo == "page"


def test_the_deadline_passes_while_it_spins(start: Start, c_child: tuple[str, ...]) -> None:
    driver = start(child_command=c_child, spin_s=1.0, timeout_s=0.2)
    driver.ping()
    pid = driver.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    began_s = time.monotonic()
    with pytest.raises(RedoTimeoutError):
        driver.redo(make_request(1))
    assert time.monotonic() - began_s < SLACK_S
    assert driver.redo(make_request(2)) == page_of(make_request(2))


def test_it_parks_when_its_time_is_over(start: Start, c_child: tuple[str, ...]) -> None:
    driver = start(child_command=c_child, spin_s=0.01)
    driver.ping()
    pid = driver.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)

    def redo_and_let_go() -> bytes:
        return driver.redo(make_request(1))

    def let_go_late() -> bytes:
        assert eventually(lambda: driver.status().in_flight == 1)
        time.sleep(0.05)
        before_s = time.process_time()
        time.sleep(0.3)
        used_s = time.process_time() - before_s
        os.kill(pid, signal.SIGCONT)
        return b"parked" if used_s < 0.15 else b"busy"

    page, state = in_parallel([redo_and_let_go, let_go_late])
    assert page == page_of(make_request(1))
    assert state == b"parked"


def test_other_tasks_run_while_the_loop_spins(c_child: tuple[str, ...]) -> None:
    config = ManagerConfig(child_command=c_child, kind=ManagerKind.ASYNC, spin_s=1.0)
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def main() -> None:
        async with AsyncRedoManager(config) as manager:
            await manager.ping()
            pid = manager.child_pid
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
            redo = asyncio.create_task(manager.request_redo(make_request(1)))
            counting = asyncio.create_task(count_turns())
            while turns < 100:
                await asyncio.sleep(0)
            assert not redo.done()
            os.kill(pid, signal.SIGCONT)
            assert await redo == page_of(make_request(1))
            counting.cancel()

    asyncio.run(main())


def test_spinning_ends_with_the_last_redo(c_child: tuple[str, ...]) -> None:
    driver = AsyncDriver(child_command=c_child, spin_s=1.0)
    try:
        driver.redo(make_request(1))
        session = driver.manager._life.current
        assert session is not None
        assert eventually(lambda: not session._spinning)
    finally:
        driver.close()


def test_only_managers_that_can_spin_have_a_case_of_it() -> None:
    config = override(
        load_profile("quick"),
        manager="sync,async,floor",
        workload="short",
        clients="1",
        wait="park,spin:50",
    )
    assert [case.name for case in cases_of(config)] == [
        "sync/short/n=1",
        "async/short/n=1",
        "floor/short/n=1",
        "sync/short/n=1/wait=spin:50",
        "async/short/n=1/wait=spin:50",
    ]
    only = override(config, wait="spin:50")
    assert [case.name for case in cases_of(only)][-1] == "floor/short/n=1"


def test_a_wait_is_park_or_so_many_microseconds() -> None:
    assert (spin_us("park"), spin_us("spin:50")) == (0, 50)
    for bad in ("", "spin", "spin:", "spin:0", "spin:-1", "spin:1.5", "spin:1000001", "park:5"):
        with pytest.raises(ValueError, match="expected park, or spin:US"):
            spin_us(bad)
