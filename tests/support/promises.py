"""What every manager promises, as tests for those that hold a manager to it.

A test file gives them names that begin with ``test_``; the fixtures are those of conftest.py.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.support.managers import (
    SLACK_S,
    Driver,
    Start,
    eventually,
    in_parallel,
    is_gone,
    make_request,
    page_of,
)
from walredo import Cause, LaunchError, ShutDownError
from walredo.wire import ZERO_PAGE


def pages_are_right(start: Start, child: tuple[str, ...]) -> None:
    driver = start(child_command=child)
    for number in range(20):
        request = make_request(number)
        assert driver.redo(request) == page_of(request)
    assert driver.ping() == ZERO_PAGE


def no_child_before_the_first_redo(start: Start, child: tuple[str, ...]) -> None:
    driver = start(child_command=child)
    assert driver.status().pid is None
    driver.ping()
    assert driver.status().pid is not None


def concurrent_first_redos_launch_one_child(start: Start, child: tuple[str, ...]) -> None:
    driver = start(child_command=child)
    requests = [make_request(number) for number in range(32)]
    pages = in_parallel([lambda r=r: driver.redo(r) for r in requests])  # type: ignore[misc]
    assert pages == [page_of(request) for request in requests]
    assert driver.status().launches == 1


def redos_get_their_own_pages(driver: Driver, redos: int) -> None:
    """Those of 128 clients, all on one child."""
    requests = [make_request(number) for number in range(256)]
    work = [(request, page_of(request)) for request in requests]
    assert driver.redo_many(work, clients=128, redos=redos) == 0
    status = driver.status()
    assert status.redos == redos
    assert 1 < status.in_flight_peak <= 128
    assert status.launches == 1


def requests_larger_than_the_pipes(start: Start, child: tuple[str, ...]) -> None:
    driver = start(child_command=child, pipe_bytes=4096)
    requests = [make_request(number, sizes=(70_000, 30, 200_000)) for number in range(8)]
    pages = in_parallel([lambda r=r: driver.redo(r) for r in requests])  # type: ignore[misc]
    assert pages == [page_of(request) for request in requests]


def a_failed_launch_leaves_the_manager_usable(
    start: Start, tmp_path: Path, c_child: tuple[str, ...]
) -> None:
    program = tmp_path / "child"
    driver = start(child_command=(str(program),))
    with pytest.raises(LaunchError, match="No such file"):
        driver.redo(make_request(1))
    assert driver.status().launches == 0
    program.symlink_to(c_child[0])
    assert driver.redo(make_request(1)) == page_of(make_request(1))


def shutdown_is_final(start: Start, child: tuple[str, ...]) -> None:
    driver = start(child_command=child)
    driver.redo(make_request(1))
    pid = driver.status().pid
    assert pid is not None
    assert driver.shutdown() is True
    assert is_gone(pid)
    assert driver.shutdown() is False
    with pytest.raises(ShutDownError):
        driver.redo(make_request(2))
    assert driver.quiesce(0) is False
    with pytest.raises(ShutDownError):
        driver.ping()
    status = driver.status()
    assert status.shut_down
    assert status.launches == 1
    assert status.kills == {Cause.SHUT_DOWN: 1}


def shutdown_before_any_redo(start: Start, c_child: tuple[str, ...]) -> None:
    driver = start(child_command=c_child)
    assert driver.shutdown() is True
    with pytest.raises(ShutDownError):
        driver.ping()
    assert driver.status().launches == 0


def shutdown_answers_redos_in_flight(start: Start, c_child: tuple[str, ...]) -> None:
    driver = start(child_command=c_child)
    driver.ping()
    pid = driver.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    outcomes: list[object] = []
    redos = [lambda n=n: driver.redo(make_request(n)) for n in range(8)]
    callers = threading.Thread(target=lambda: outcomes.extend(in_parallel(redos)))
    callers.start()
    assert eventually(lambda: driver.status().in_flight == 8)
    assert driver.shutdown() is True
    callers.join(SLACK_S)
    assert [type(outcome) for outcome in outcomes] == [ShutDownError] * 8
    assert is_gone(pid)


def shutdown_while_redos_begin(start: Start, c_child: tuple[str, ...]) -> None:
    driver = start(child_command=c_child)
    redos = [lambda n=n: driver.redo(make_request(n)) for n in range(16)]
    outcomes: list[object] = []
    callers = threading.Thread(target=lambda: outcomes.extend(in_parallel(redos)))
    callers.start()
    time.sleep(0.001)
    driver.shutdown()
    callers.join(SLACK_S)
    assert len(outcomes) == 16
    for number, outcome in enumerate(outcomes):
        assert isinstance(outcome, ShutDownError) or outcome == page_of(make_request(number))
    assert driver.status().pid is None
