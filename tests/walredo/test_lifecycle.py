"""The managers' policy with pretended sessions and a clock that the test sets."""

from __future__ import annotations

import logging
from itertools import count
from types import SimpleNamespace
from typing import Any, cast

import pytest

from walredo.child import Child
from walredo.config import ManagerConfig, ManagerKind
from walredo.errors import (
    Cause,
    ChildExitedError,
    ChildIOError,
    FailedAttempt,
    LaunchError,
    QuiescedError,
    RedoInterrupted,
    RedoTimeoutError,
    ShutDownError,
    StreamsPoisonedError,
    UnexpectedOutputError,
)
from walredo.lifecycle import HOPELESS_AFTER, Lifecycle, Plan, RetryState
from walredo.pipeline import Pipeline, Ticket
from walredo.request import RedoAttempt
from walredo.session import Session
from walredo.wire import PAGE_SIZE

pytestmark = pytest.mark.pure("its pretended session inherits from a class that is compiled")

COMMAND = ("/no/such/child", "--option")
LATE_NS = 10**15
SECOND_NS = 10**9

pids = count(1001)


class PretendedSession(Session[int]):
    """A session without a child process."""

    def __init__(self, idle_since_ns: int = 0) -> None:
        pid = next(pids)
        child = SimpleNamespace(pid=pid, launch_ns=100 + pid, stdin_bytes=8192, stdout_bytes=16384)
        self.child = cast(Child, child)
        self.pipeline = Pipeline(pid, 65536)
        self.idle_since_ns = idle_since_ns

    def submit(self) -> Ticket[int]:
        return self.pipeline.submit(b"message", bytes(8), 2, LATE_NS, 0)

    def answer(self) -> None:
        """One redo, from its request to its page."""
        self.submit()
        self.pipeline.chunks_to_send()
        self.pipeline.sent(len(b"message"))
        self.pipeline.received(PAGE_SIZE)


Life = Lifecycle[PretendedSession]


def make(**settings: Any) -> Life:
    return Lifecycle(ManagerConfig(child_command=COMMAND, **settings))


def launch(life: Life, now_ns: int = 0) -> PretendedSession:
    assert life.plan(now_ns, LATE_NS).launch
    session = PretendedSession()
    assert life.launched(session)
    return session


def end(life: Life, session: PretendedSession, failure: FailedAttempt, now_ns: int = 0) -> None:
    session.pipeline.fail(failure)
    life.retire(session, failure, now_ns)
    life.reaped(session)


def fail_launch(life: Life, now_ns: int = 0) -> None:
    assert life.plan(now_ns, LATE_NS).launch
    life.launch_failed(now_ns)


def gone(pid: int = 1) -> ChildExitedError:
    return ChildExitedError(pid, "it closed its output")


def ticket(suspect: bool) -> Ticket[int]:
    made: Ticket[int] = Ticket(b"", 1, LATE_NS, 0)
    made.suspect = suspect
    return made


def state(attempt: RedoAttempt = RedoAttempt.READ_PAGE, deadline_ns: int = LATE_NS) -> RetryState:
    return RetryState(attempt, deadline_ns)


def held_back_s(life: Life, now_ns: int = 0) -> float:
    """How long the next launch has to wait."""
    plan = life.plan(now_ns, LATE_NS)
    if plan.launch:
        life.launching = False
        return 0.0
    assert type(plan.wait_ns) is int
    return plan.wait_ns / SECOND_NS


# --- launching ------------------------------------------------------------------------------------


def test_the_first_redo_launches_and_the_others_wait() -> None:
    life = make()
    assert life.plan(0, LATE_NS) == Plan(launch=True)
    for _ in range(3):
        assert life.plan(0, LATE_NS) == Plan()
    session = PretendedSession()
    assert life.launched(session) is True
    assert life.plan(0, LATE_NS) == Plan(session=session)


def test_a_failed_launch_is_tried_again() -> None:
    life = make()
    fail_launch(life)
    assert life.plan(0, LATE_NS).launch


def test_no_launch_before_the_failed_child_is_reaped() -> None:
    life = make()
    session = launch(life)
    life.retire(session, gone(), 0)
    assert life.plan(0, LATE_NS) == Plan()
    life.reaped(session)
    assert life.plan(0, LATE_NS).launch


def test_a_late_redo_gets_no_child_launched() -> None:
    life = make(timeout_s=2.5)
    with pytest.raises(RedoTimeoutError, match=r"within 2\.5 s \(waiting for a child"):
        life.plan(10, 10)
    assert not life.launching
    session = launch(life)
    assert life.plan(10, 10).session is session


def test_launches_are_counted_and_timed() -> None:
    life = make()
    sessions = []
    for _ in range(2):
        session = launch(life)
        session.answer()
        end(life, session, gone())
        sessions.append(session)
    fail_launch(life)
    status = life.status(None)
    assert status.launches == 2
    assert status.launch_ns_last == sessions[1].child.launch_ns
    assert status.launch_ns_total == sum(session.child.launch_ns for session in sessions)


def test_a_launch_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "walredo"):
        session = launch(make())
    assert [record.message for record in caplog.records] == [
        f"launched redo child {session.child.pid}"
    ]


def test_the_timeout_is_in_whole_nanoseconds() -> None:
    life = make(timeout_s=2.5)
    assert (life.timeout_ns, type(life.timeout_ns)) == (2_500_000_000, int)


# --- back-off -------------------------------------------------------------------------------------


def test_the_wait_doubles_up_to_its_most() -> None:
    life = make(backoff_after=3, backoff_first_s=0.5, backoff_most_s=3.0)
    waits = []
    for now_ns in range(0, 70 * SECOND_NS, 10 * SECOND_NS):
        fail_launch(life, now_ns)
        waits.append(held_back_s(life, now_ns))
    assert waits == [0.0, 0.0, 0.5, 1.0, 2.0, 3.0, 3.0]


def test_the_wait_stays_finite_whatever_the_number_of_failures() -> None:
    life = make(backoff_first_s=0.5, backoff_most_s=2.0)
    now_ns = 0
    for _ in range(3000):
        now_ns += 2 * SECOND_NS
        fail_launch(life, now_ns)
    assert held_back_s(life, now_ns) == 2.0


def test_the_wait_counts_from_the_failure() -> None:
    life = make(backoff_after=1, backoff_first_s=2.0)
    fail_launch(life, 5 * SECOND_NS)
    assert life.plan(6 * SECOND_NS, LATE_NS) == Plan(wait_ns=SECOND_NS)
    assert life.plan(7 * SECOND_NS - 1, LATE_NS) == Plan(wait_ns=1)
    assert life.plan(7 * SECOND_NS, LATE_NS) == Plan(launch=True)


def test_children_that_answer_nothing_are_held_back_like_failed_launches() -> None:
    life = make(backoff_after=2, backoff_first_s=1.0)
    end(life, launch(life), gone())
    assert held_back_s(life) == 0.0
    end(life, launch(life), gone())
    assert held_back_s(life) == 1.0


def test_a_child_that_answered_resets_the_wait() -> None:
    life = make(backoff_after=2, backoff_first_s=1.0)
    for now_ns in (0, 10 * SECOND_NS, 20 * SECOND_NS):
        fail_launch(life, now_ns)
    now_ns = 30 * SECOND_NS
    session = launch(life, now_ns)
    session.answer()
    end(life, session, gone(), now_ns)
    assert held_back_s(life, now_ns) == 0.0
    fail_launch(life, now_ns)
    assert held_back_s(life, now_ns) == 0.0
    fail_launch(life, now_ns)
    assert held_back_s(life, now_ns) == 1.0


@pytest.mark.parametrize(
    "failure",
    [QuiescedError(1, "idle"), ShutDownError(), RedoInterrupted(1, "interrupted")],
    ids=lambda failure: type(failure).__name__,
)
def test_what_is_no_fault_of_the_child_holds_nothing_back(failure: FailedAttempt) -> None:
    life = make(backoff_after=1, backoff_first_s=1.0)
    end(life, launch(life), failure)
    assert held_back_s(life) == 0.0


def test_a_launch_held_back_past_the_deadline_is_an_error_at_once() -> None:
    life = make(backoff_after=1, backoff_first_s=2.0)
    fail_launch(life, 0)
    assert life.plan(0, 2 * SECOND_NS + 1) == Plan(wait_ns=2 * SECOND_NS)
    with pytest.raises(LaunchError, match=r"1 in a row.*held back for 2 s") as caught:
        life.plan(0, 2 * SECOND_NS)
    assert caught.value.command == COMMAND
    with pytest.raises(LaunchError, match=r"held back for 1 s"):
        life.plan(SECOND_NS, 2 * SECOND_NS)
    assert not life.launching


# --- taking children out of rotation --------------------------------------------------------------


def test_only_the_current_child_is_taken_out_of_rotation() -> None:
    life = make()
    old = launch(life)
    end(life, old, gone())
    new = launch(life)
    life.retire(old, gone(), 0)
    assert life.current is new
    assert not life.childless
    life.reaped(old)
    assert life.plan(0, LATE_NS).session is new


@pytest.mark.parametrize(
    ("failure", "level"),
    [
        (gone(), logging.WARNING),
        (RedoTimeoutError(1, "a page"), logging.WARNING),
        (QuiescedError(1, "idle for 3 s"), logging.INFO),
        (ShutDownError(), logging.INFO),
    ],
    ids=["exit", "timeout", "quiesce", "shutdown"],
)
def test_the_end_of_a_child_is_counted_and_logged_with_its_cause(
    failure: FailedAttempt, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    life = make()
    session = launch(life)
    with caplog.at_level(logging.DEBUG, "walredo"):
        end(life, session, failure)
    assert life.status(None).kills == {failure.cause: 1}
    [record] = caplog.records
    assert record.levelno == level
    assert record.message == f"ending redo child {session.child.pid}: {failure}"


# --- retries --------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempt", RedoAttempt)
def test_a_suspect_is_tried_again_as_often_as_its_attempt_is_worth(attempt: RedoAttempt) -> None:
    life, redo = make(), state(attempt)
    for _ in range(attempt.retries):
        life.attempt_failed(redo, gone(), ticket(suspect=True), 0)
    last = gone()
    with pytest.raises(ChildExitedError) as caught:
        life.attempt_failed(redo, last, ticket(suspect=True), 0)
    assert caught.value is last
    assert life.status(None).errors == {Cause.CHILD_EXIT: attempt.retries + 1}


@pytest.mark.parametrize("met_before_submit", [False, True])
def test_who_merely_shared_the_child_keeps_the_retries(met_before_submit: bool) -> None:
    life, redo = make(), state(RedoAttempt.GC_COMPACTION)
    bystander = None if met_before_submit else ticket(suspect=False)
    for _ in range(50):
        life.attempt_failed(redo, StreamsPoisonedError(1, 5, gone()), bystander, 0)
    assert (redo.attempts, redo.charged) == (50, 0)


def test_everybody_is_charged_when_no_child_ever_answers() -> None:
    life = make(backoff_after=HOPELESS_AFTER + 1)
    redo = state(RedoAttempt.LEGACY_COMPACTION)
    for _ in range(HOPELESS_AFTER):
        life.attempt_failed(redo, gone(), ticket(suspect=False), 0)
        end(life, launch(life), gone())
    assert redo.charged == 0
    life.attempt_failed(redo, gone(), ticket(suspect=False), 0)
    with pytest.raises(ChildExitedError):
        life.attempt_failed(redo, gone(), ticket(suspect=False), 0)


def test_failed_launches_are_charged() -> None:
    life, redo = make(), state()
    for _ in range(2):
        life.attempt_failed(redo, LaunchError(COMMAND, "no"), None, 0)
    with pytest.raises(LaunchError):
        life.attempt_failed(redo, LaunchError(COMMAND, "no"), None, 0)
    assert life.status(None).errors == {Cause.LAUNCH: 3}


@pytest.mark.parametrize("deadline_ns", [5, LATE_NS])
def test_a_timeout_is_never_tried_again(deadline_ns: int) -> None:
    life, error = make(), RedoTimeoutError(1, "a page", 7)
    with pytest.raises(RedoTimeoutError) as caught:
        life.attempt_failed(state(deadline_ns=deadline_ns), error, ticket(suspect=False), 5)
    assert caught.value is error


def test_a_shut_down_is_never_tried_again_nor_logged(caplog: pytest.LogCaptureFixture) -> None:
    life, error = make(), ShutDownError()
    with caplog.at_level(logging.DEBUG, "walredo"), pytest.raises(ShutDownError) as caught:
        life.attempt_failed(state(deadline_ns=0), error, None, 5)
    assert caught.value is error
    assert caplog.records == []
    assert life.status(None).errors == {Cause.SHUT_DOWN: 1}


@pytest.mark.parametrize("suspect", [False, True])
def test_past_the_deadline_every_failure_is_a_timeout_with_its_cause(suspect: bool) -> None:
    life, error = make(timeout_s=3), gone()
    with pytest.raises(RedoTimeoutError, match="within 3 s") as caught:
        life.attempt_failed(state(deadline_ns=10), error, ticket(suspect), 10)
    assert caught.value.__cause__ is error
    assert life.status(None).errors == {Cause.TIMEOUT: 1}


def test_before_the_deadline_a_failure_is_what_it_is() -> None:
    life, redo = make(), state(deadline_ns=10)
    life.attempt_failed(redo, gone(), ticket(suspect=True), 9)
    assert life.status(None).errors == {Cause.CHILD_EXIT: 1}


def test_every_attempt_is_logged_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    life, redo = make(), state(RedoAttempt.LEGACY_COMPACTION)
    first, second = UnexpectedOutputError(7, "sent too much"), ChildIOError(8, "refused")
    with caplog.at_level(logging.INFO, "walredo"), pytest.raises(ChildIOError):
        life.attempt_failed(redo, first, ticket(suspect=True), 0)
        life.attempt_failed(redo, second, ticket(suspect=True), 0)
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (
            logging.WARNING,
            "redo (legacy_compaction) failed at attempt 1, trying again: "
            "redo child 7: sent too much",
        ),
        (
            logging.WARNING,
            "redo (legacy_compaction) failed at attempt 2: redo child 8: refused",
        ),
    ]


def test_the_oldest_redo_is_not_charged_for_another_callers_interruption() -> None:
    life = make()
    session = launch(life)
    session.answer()
    bystander = session.submit()
    session.pipeline.chunks_to_send()
    session.pipeline.sent(7)
    end(life, session, RedoInterrupted(1, "redo 9 was interrupted"))
    assert bystander.error is not None
    redo = state(RedoAttempt.GC_COMPACTION)
    life.attempt_failed(redo, bystander.error, bystander, 0)
    assert redo.charged == 0


# --- quiesce --------------------------------------------------------------------------------------


def test_an_idle_child_is_quiesced_once_it_has_been_idle_for_so_long() -> None:
    life = make()
    assert life.to_quiesce(0, 10**9) is None
    session = launch(life)
    session.idle_since_ns = 100
    assert life.to_quiesce(50, 149) is None
    assert life.to_quiesce(50, 150) is session


def test_a_child_with_a_redo_in_flight_is_not_quiesced() -> None:
    life = make()
    session = launch(life)
    waiting = session.submit()
    assert life.to_quiesce(0, LATE_NS) is None
    session.pipeline.abandon(waiting)
    assert life.to_quiesce(0, LATE_NS) is session


def test_a_child_that_redos_wait_for_is_not_quiesced() -> None:
    life = make()
    with life.awaiting_child(), life.awaiting_child():
        session = launch(life)
        assert life.to_quiesce(0, 10**15) is None
    assert life.to_quiesce(0, 10**15) is session


def test_nothing_is_quiesced_while_launching_or_after_shutdown() -> None:
    life = make()
    assert life.plan(0, LATE_NS).launch
    assert life.to_quiesce(0, LATE_NS) is None
    life.launched(PretendedSession())
    life.begin_shutdown()
    assert life.to_quiesce(0, LATE_NS) is None


# --- shutdown -------------------------------------------------------------------------------------


def test_only_the_first_shutdown_is_the_first() -> None:
    life = make()
    assert [life.begin_shutdown() for _ in range(3)] == [True, False, False]
    assert life.status(None).shut_down


def test_after_shutdown_no_redo_is_taken_not_even_by_a_child_that_is_there() -> None:
    life = make()
    launch(life)
    life.begin_shutdown()
    for deadline_ns in (0, LATE_NS):
        with pytest.raises(ShutDownError):
            life.plan(5, deadline_ns)


def test_childless_means_none_running_launching_or_unreaped() -> None:
    life = make()
    assert life.childless
    assert life.plan(0, LATE_NS).launch
    assert not life.childless
    session = PretendedSession()
    life.launched(session)
    assert not life.childless
    life.retire(session, gone(), 0)
    assert not life.childless
    life.reaped(session)
    assert life.childless


def test_a_shutdown_during_a_launch_ends_the_child_that_comes() -> None:
    life = make()
    assert life.plan(0, LATE_NS).launch
    life.begin_shutdown()
    session = PretendedSession()
    assert life.launched(session) is False
    assert not life.childless
    end(life, session, ShutDownError())
    assert life.childless
    status = life.status(None)
    assert (status.launches, status.kills) == (1, {Cause.SHUT_DOWN: 1})


# --- status ---------------------------------------------------------------------------------------


def test_status_sums_over_children() -> None:
    life = make()
    for redos in (3, 1):
        session = launch(life)
        for _ in range(redos):
            session.answer()
        end(life, session, gone())
    session = launch(life)
    session.answer()
    waiting = [session.submit() for _ in range(2)]
    status = life.status("asyncio")
    assert (status.redos, status.records) == (5, 10)
    assert (status.bytes_sent, status.bytes_received) == (5 * 7, 5 * PAGE_SIZE)
    assert (status.read_calls, status.write_calls) == (5, 5)
    assert (status.in_flight, status.in_flight_peak) == (len(waiting), 2)
    assert (status.pid, status.pipe_bytes) == (session.child.pid, (8192, 16384))
    assert (status.launches, status.kills) == (3, {Cause.CHILD_EXIT: 2})
    assert status.loop == "asyncio"
    assert life.status("asyncio") == status


def test_a_child_reaped_twice_is_counted_once() -> None:
    life = make()
    session = launch(life)
    session.answer()
    end(life, session, gone())
    life.reaped(session)
    assert life.childless
    assert life.status(None).redos == 1


def test_the_peak_is_that_of_one_child() -> None:
    life = make()
    session = launch(life)
    for _ in range(3):
        session.submit()
    end(life, session, gone())
    launch(life).submit()
    assert life.status(None).in_flight_peak == 3


def test_status_without_a_child() -> None:
    status = make(kind="async").status(None)
    assert status.kind is ManagerKind.ASYNC
    assert (status.pid, status.pipe_bytes, status.launch_ns_last) == (None, None, None)
    assert (status.in_flight, status.redos, status.launches) == (0, 0, 0)
    assert not status.shut_down


def test_status_is_a_snapshot() -> None:
    life = make()
    session = launch(life)
    before = life.status(None)
    session.answer()
    end(life, session, gone())
    life.attempt_failed(state(), gone(), ticket(suspect=True), 0)
    assert (before.redos, before.kills, before.errors) == (0, {}, {})
