"""The yardstick manager: what of the managers' promises it makes, too."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator

import pytest

from bench.worker.subjects.streams_manager import StreamsManager
from tests.support import managers, promises
from tests.support.children import misbehaving
from tests.support.managers import (
    AsyncDriver,
    Driver,
    Start,
    eventually,
    is_gone,
    make_request,
    page_of,
)
from walredo import ChildExitedError, RedoTimeoutError

# With the fixture ``start`` below.
test_pages_are_right = promises.pages_are_right
test_no_child_before_the_first_redo = promises.no_child_before_the_first_redo
test_concurrent_first_redos_launch_one_child = promises.concurrent_first_redos_launch_one_child
test_requests_larger_than_the_pipes = promises.requests_larger_than_the_pipes
test_a_failed_launch_leaves_the_manager_usable = promises.a_failed_launch_leaves_the_manager_usable
test_shutdown_is_final = promises.shutdown_is_final
test_shutdown_before_any_redo = promises.shutdown_before_any_redo
test_shutdown_answers_redos_in_flight = promises.shutdown_answers_redos_in_flight
test_shutdown_while_redos_begin = promises.shutdown_while_redos_begin


@pytest.fixture
def kind() -> str:
    return "async"


@pytest.fixture
def start(start: Start, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Driver]]:
    """The async driver with the yardstick in it; nothing may be left, tasks neither."""
    monkeypatch.setattr(managers, "AsyncRedoManager", StreamsManager)
    drivers: list[AsyncDriver] = []

    def make(**settings: object) -> Driver:
        driver = start(**settings)
        assert isinstance(driver, AsyncDriver)
        drivers.append(driver)
        return driver

    yield make

    async def others() -> int:
        return len(asyncio.all_tasks()) - 1

    for driver in drivers:
        driver.shutdown()
        assert driver.run(others()) == 0


def test_own_pages(start: Start, child: tuple[str, ...]) -> None:
    promises.redos_get_their_own_pages(start(child_command=child), 10_000)


def stopped(driver: Driver) -> int:
    driver.ping()
    pid = driver.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    return pid


def test_a_deadline_ends_the_child(start: Start, c_child: tuple[str, ...]) -> None:
    driver = start(child_command=c_child, timeout_s=0.2)
    pid = stopped(driver)
    with pytest.raises(RedoTimeoutError):
        driver.redo(make_request(1))
    assert eventually(lambda: is_gone(pid))
    assert driver.redo(make_request(2)) == page_of(make_request(2))


def test_a_failure_is_told_at_once(start: Start) -> None:
    driver = start(child_command=misbehaving("exit"))
    with pytest.raises(ChildExitedError):
        driver.redo(make_request(1))
    assert driver.status().launches == 1


def test_it_keeps_its_child(start: Start, c_child: tuple[str, ...]) -> None:
    driver = start(child_command=c_child)
    driver.ping()
    assert driver.quiesce(0) is False
    assert driver.status().pid is not None


@pytest.mark.parametrize("leaves", [0, 3, 7])
def test_a_cancelled_redo_leaves_its_page_to_nobody(
    leaves: int, start: Start, c_child: tuple[str, ...]
) -> None:
    driver = start(child_command=c_child)
    assert isinstance(driver, AsyncDriver)
    pid = stopped(driver)

    async def body() -> list[object]:
        redos = [
            asyncio.create_task(driver.manager.request_redo(make_request(number)))
            for number in range(8)
        ]
        await asyncio.sleep(0.01)
        redos[leaves].cancel()
        os.kill(pid, signal.SIGCONT)
        return list(await asyncio.gather(*redos, return_exceptions=True))

    for number, outcome in enumerate(driver.run(body())):
        assert isinstance(outcome, BaseException) or outcome == page_of(make_request(number))
    assert eventually(lambda: is_gone(pid))
    assert driver.redo(make_request(9)) == page_of(make_request(9))
