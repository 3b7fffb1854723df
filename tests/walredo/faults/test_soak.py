"""The soak itself, for some seconds, and that it would say so if something did not hold."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

import pytest

from tests.support.children import command_of
from tests.support.soak import (
    EXPLAINED,
    MOST_GROWTH,
    Footprint,
    Outcome,
    Tally,
    late_sleepers,
    soak,
    work_of,
)
from walredo import Cause, ManagerConfig, ShutDownError, SyncRedoManager
from walredo.config import TransportKind

CLIENTS = 64


@pytest.mark.parametrize("manager", ["sync", "async", "async-uvloop"])
def test_nothing_is_lost_and_nothing_grows(
    manager: str, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    # Pytest would keep each line that the manager logs, and that would be growth.
    caplog.set_level(logging.ERROR, logger="walredo")
    if manager == "async-uvloop":
        pytest.importorskip("uvloop")
    kind = TransportKind(transport)
    outcome = soak(manager, command_of("c"), redos=40_000, clients=CLIENTS, seed=1, transport=kind)
    assert outcome.problems() == []
    assert sum(outcome.tally.done) == outcome.status.redos + len(outcome.tally.errors) == 40_000
    # It was disturbed: a child in use was killed over and over, and stopped.
    assert outcome.status.kills[Cause.CHILD_EXIT] > 5
    assert outcome.stops > 0


@pytest.mark.parametrize("manager", ["sync", "async", "async-uvloop"])
@pytest.mark.parametrize("spin_s", [0.0, 50e-6])
def test_no_wake_up_is_lost_however_late_a_manager_falls_asleep(
    manager: str, spin_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, logger="walredo")
    if manager == "async-uvloop":
        pytest.importorskip("uvloop")
    for clients, redos in ((1, 2000), (8, 8000)):
        with late_sleepers(30, seed=1):
            shm = TransportKind.SHM
            outcome = soak(
                manager, command_of("c"), redos, clients, seed=1, transport=shm, spin_s=spin_s
            )
        # A lost wake-up is a redo without an answer.
        assert set(outcome.status.errors) <= EXPLAINED
        assert outcome.tally.wrong == []


def test_it_ends_when_its_time_is_over() -> None:
    began_s = time.monotonic()
    outcome = soak("async", command_of("c"), redos=10**9, clients=4, seed=1, seconds=0.2)
    assert 0 < sum(outcome.tally.done) < 10**9
    assert outcome.took_s <= time.monotonic() - began_s


def test_clients_share_no_request() -> None:
    pages = [page for client in range(CLIENTS) for _, page in work_of(client)]
    assert len(set(pages)) == len(pages)


@pytest.fixture
def good() -> Outcome:
    """An outcome where everything holds."""
    with SyncRedoManager(ManagerConfig(child_command=command_of("c"))) as manager:
        status = manager.status()
    now = Footprint.now()
    return Outcome("sync", Tally([1]), status, stops=0, start=now, end=now, took_s=1.0)


def test_a_wrong_page_is_a_problem(good: Outcome) -> None:
    (request, page), *_ = work_of(0)
    good.tally.take(0, request, page, page)
    assert good.problems() == []
    good.tally.take(0, request, page, page[:-1] + b"?")
    assert good.problems() == [f"wrong page: client 0, block {request.tag.block}"]
    assert "wrong pages  1" in str(good)


def test_an_error_that_no_kill_explains_is_a_problem(good: Outcome) -> None:
    explained = replace(good, status=replace(good.status, errors={Cause.CHILD_EXIT: 3}))
    assert explained.problems() == []
    unexplained = replace(good, status=replace(good.status, errors={Cause.TIMEOUT: 2}))
    assert len(unexplained.problems()) == 1
    assert "2 x timeout" in unexplained.problems()[0]


@pytest.mark.parametrize("what", MOST_GROWTH)
def test_growth_is_a_problem(what: str, good: Outcome) -> None:
    most = getattr(good.start, what) + MOST_GROWTH[what]
    assert replace(good, end=replace(good.start, **{what: most})).problems() == []
    problems = replace(good, end=replace(good.start, **{what: most + 1})).problems()
    assert len(problems) == 1
    assert what in problems[0]


def test_a_leak_is_seen() -> None:
    before = Footprint.now()
    held = [bytes(8192) for _ in range(500)]
    after = Footprint.now()
    assert after.malloc_bytes - before.malloc_bytes > MOST_GROWTH["malloc_bytes"]
    assert len(held) == 500


def test_errors_of_clients_are_listed_by_cause(good: Outcome) -> None:
    for _ in range(2):
        good.tally.failed(0, ShutDownError())
    assert "2 shut_down (to clients)" in str(good)
