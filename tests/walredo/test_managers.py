"""What both managers promise, against both children and against children that misbehave."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.places import ROOT
from tests.support.children import command_of
from tests.support.managers import (
    SLACK_S,
    Driver,
    eventually,
    in_parallel,
    is_gone,
    make_request,
    page_of,
)
from walredo import (
    GC_COMPACTION,
    LEGACY_COMPACTION,
    READ_PAGE,
    Cause,
    ChildExitedError,
    LaunchError,
    RedoAttempt,
    ShutDownError,
    StreamsPoisonedError,
)
from walredo.wire import ZERO_PAGE

Start = Callable[..., Driver]
MISBEHAVING = ROOT / "tests" / "support" / "misbehaving_child.py"


def misbehaving(fault: str, at: int = 1, once: Path | None = None) -> tuple[str, ...]:
    """The command of a child with a fault; with ``once`` only its first process has it."""
    words = (sys.executable, "-I", str(MISBEHAVING), fault, str(at))
    return words if once is None else (*words, str(once / "happened"))


def test_pages_are_right(start: Start, child: tuple[str, ...]) -> None:
    driver = start(child_command=child)
    for number in range(20):
        request = make_request(number)
        assert driver.redo(request) == page_of(request)
    assert driver.ping() == ZERO_PAGE


def test_no_child_before_the_first_redo(start: Start, child: tuple[str, ...]) -> None:
    driver = start(child_command=child)
    assert driver.status().pid is None
    driver.ping()
    assert driver.status().pid is not None


def test_concurrent_first_redos_launch_one_child(start: Start, child: tuple[str, ...]) -> None:
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


@pytest.mark.parametrize(("child", "redos"), [("c", 100_000), ("python", 20_000)])
def test_redos_of_128_clients_get_their_own_pages(child: str, redos: int, start: Start) -> None:
    redos_get_their_own_pages(start(child_command=command_of(child)), redos)


def test_requests_larger_than_the_pipes(start: Start, child: tuple[str, ...]) -> None:
    driver = start(child_command=child, pipe_bytes=4096)
    requests = [make_request(number, sizes=(70_000, 30, 200_000)) for number in range(8)]
    pages = in_parallel([lambda r=r: driver.redo(r) for r in requests])  # type: ignore[misc]
    assert pages == [page_of(request) for request in requests]


def test_status_counts(start: Start, c_child: tuple[str, ...]) -> None:
    driver = start(child_command=c_child)
    requests = [make_request(number, sizes=(30, 30, 30)) for number in range(5)]
    for request in requests:
        driver.redo(request)
    driver.ping()
    status = driver.status()
    assert (status.redos, status.records, status.pings) == (5, 15, 1)
    assert status.bytes_sent == sum(len(request.serialise()) for request in requests) + 5
    assert status.bytes_received == 6 * 8192
    assert status.in_flight == 0
    assert status.in_flight_peak == 1
    assert status.launches == 1
    assert status.launch_ns_total > 0
    assert min(status.read_calls, status.write_calls, status.poll_calls) >= 6
    assert status.errors == {}
    assert status.kills == {}


def test_status_says_what_it_is(start: Start, kind: str, c_child: tuple[str, ...]) -> None:
    status = start(child_command=c_child).status()
    assert status.kind == kind
    assert status.loop == (None if kind == "sync" else "asyncio")


def test_a_failed_launch_leaves_the_manager_usable(
    start: Start, tmp_path: Path, c_child: tuple[str, ...]
) -> None:
    program = tmp_path / "child"
    driver = start(child_command=(str(program),))
    with pytest.raises(LaunchError, match="No such file"):
        driver.redo(make_request(1))
    assert driver.status().launches == 0
    program.symlink_to(c_child[0])
    assert driver.redo(make_request(1)) == page_of(make_request(1))


@pytest.mark.parametrize(
    ("attempt", "launches"), [(READ_PAGE, 3), (LEGACY_COMPACTION, 2), (GC_COMPACTION, 1)]
)
def test_attempts_by_type(
    start: Start,
    attempt: RedoAttempt,
    launches: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    driver = start(child_command=misbehaving("exit"))
    with caplog.at_level(logging.WARNING, "walredo"), pytest.raises(ChildExitedError) as caught:
        driver.redo(make_request(1), attempt)
    assert caught.value.returncode == 3
    status = driver.status()
    assert status.launches == launches
    assert status.errors == {Cause.CHILD_EXIT: launches}
    assert status.kills == {Cause.CHILD_EXIT: launches}
    assert status.pid is None
    attempts = [r for r in caplog.records if "failed at attempt" in r.message]
    assert len(attempts) == launches
    assert all("return code 3" in record.message for record in attempts)


@pytest.mark.parametrize(
    "fault", ["exit", "half-then-exit", "answer-then-exit", "killed", "twice", "close-stdout"]
)
@pytest.mark.parametrize("clients", [1, 16])
def test_a_failure_is_survived_by_all_callers(
    start: Start, tmp_path: Path, fault: str, clients: int
) -> None:
    driver = start(child_command=misbehaving(fault, at=1, once=tmp_path))
    requests = [make_request(number) for number in range(clients)]
    pages = in_parallel([lambda r=r: driver.redo(r) for r in requests])  # type: ignore[misc]
    assert pages == [page_of(request) for request in requests]
    # What the child sent too much, or that it ended, shows at the next redo at the latest.
    assert driver.redo(make_request(99)) == page_of(make_request(99))
    assert driver.status().launches == 2


def test_a_child_that_never_works_is_given_up_by_everybody(start: Start) -> None:
    driver = start(child_command=misbehaving("exit"), backoff_first_s=0.001)
    outcomes = in_parallel([lambda n=n: driver.redo(make_request(n)) for n in range(16)])  # type: ignore[misc]
    assert {type(outcome) for outcome in outcomes} <= {ChildExitedError, StreamsPoisonedError}
    assert driver.status().launches <= 12


def test_shutdown_is_final(start: Start, child: tuple[str, ...]) -> None:
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


def test_shutdown_before_any_redo(start: Start, c_child: tuple[str, ...]) -> None:
    driver = start(child_command=c_child)
    assert driver.shutdown() is True
    with pytest.raises(ShutDownError):
        driver.ping()
    assert driver.status().launches == 0


def test_shutdown_answers_redos_in_flight(start: Start, c_child: tuple[str, ...]) -> None:
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


def test_shutdown_while_redos_begin(start: Start, c_child: tuple[str, ...]) -> None:
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
