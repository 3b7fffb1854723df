"""What both managers promise, against both children and against children that misbehave."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.support import promises
from tests.support.children import command_of, misbehaving
from tests.support.managers import (
    Start,
    in_parallel,
    make_request,
    page_of,
)
from walredo import (
    GC_COMPACTION,
    LEGACY_COMPACTION,
    READ_PAGE,
    Cause,
    ChildExitedError,
    RedoAttempt,
    StreamsPoisonedError,
)

# What the yardstick manager promises as well.
test_pages_are_right = promises.pages_are_right
test_no_child_before_the_first_redo = promises.no_child_before_the_first_redo
test_concurrent_first_redos_launch_one_child = promises.concurrent_first_redos_launch_one_child
test_requests_larger_than_the_pipes = promises.requests_larger_than_the_pipes
test_a_failed_launch_leaves_the_manager_usable = promises.a_failed_launch_leaves_the_manager_usable
test_shutdown_is_final = promises.shutdown_is_final
test_shutdown_before_any_redo = promises.shutdown_before_any_redo
test_shutdown_answers_redos_in_flight = promises.shutdown_answers_redos_in_flight
test_shutdown_while_redos_begin = promises.shutdown_while_redos_begin


@pytest.mark.parametrize(("child", "redos"), [("c", 100_000), ("python", 20_000)])
def test_redos_of_128_clients_get_their_own_pages(child: str, redos: int, start: Start) -> None:
    promises.redos_get_their_own_pages(start(child_command=command_of(child)), redos)


def test_status_counts(start: Start, transport: str, c_child: tuple[str, ...]) -> None:
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
    assert status.transport == transport
    assert status.launches == 1
    assert status.launch_ns_total > 0
    # Over shared memory only the bells are system calls: fewer, where a side was awake.
    calls = (status.read_calls, status.write_calls, status.poll_calls)
    assert min(calls) >= 6 if transport == "pipe" else 1 <= sum(calls) <= 20
    assert status.errors == {}
    assert status.kills == {}


def test_status_says_what_it_is(start: Start, kind: str, c_child: tuple[str, ...]) -> None:
    status = start(child_command=c_child).status()
    assert status.kind == kind
    assert status.loop == (None if kind == "sync" else "asyncio")


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
