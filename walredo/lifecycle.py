"""The policy that all managers share: launch once, take out of rotation, retry, back off, quiesce,
shut down, status.

It does no I/O, does not wait and reads no clock. A manager asks what to do, does it, and reports
the result. Every method is called with the manager's lock held, or on its event loop.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from walredo.config import ManagerConfig
from walredo.errors import (
    Cause,
    FailedAttempt,
    LaunchError,
    RedoTimeoutError,
    ShutDownError,
)
from walredo.pipeline import Ticket
from walredo.request import RedoAttempt
from walredo.session import Session
from walredo.status import LifeCounters, ManagerStatus, StreamCounters

logger = logging.getLogger("walredo")

AnySession = TypeVar("AnySession", bound=Session[Any])

HOPELESS_AFTER = 3
"""After this many children in a row that answered nothing, a failure is charged to every redo in
flight, not only to the suspect: then the child is at fault and not a single request."""

_NOT_A_CHILD_FAULT = (Cause.QUIESCE, Cause.SHUT_DOWN, Cause.INTERRUPTED)


@dataclass(slots=True)
class RetryState:
    """The failed attempts at one redo. Created at its first failure.

    ``charged``: the attempts that count against the retries of the attempt type.
    """

    attempt: RedoAttempt
    deadline_ns: int
    attempts: int = 0
    charged: int = 0


@dataclass(frozen=True, slots=True)
class Plan(Generic[AnySession]):
    """What a redo without a session does next: use ``session``, or ``launch`` one, or wait for a
    change, for at most ``wait_ns`` (None: until its deadline)."""

    session: AnySession | None = None
    launch: bool = False
    wait_ns: int | None = None


class Lifecycle(Generic[AnySession]):
    """The state of one manager: the child in use, those being reaped, failures and counters."""

    def __init__(self, config: ManagerConfig) -> None:
        self.config = config
        self.timeout_ns = round(config.timeout_s * 1e9)
        self.current: AnySession | None = None
        self.launching = False
        self.retiring: set[AnySession] = set()
        self._awaiting_child = 0
        self.shut_down = False
        self.counters = LifeCounters()
        self._ended = StreamCounters()
        self._failures_in_row = 0
        self._no_launch_before_ns = 0

    # -- launching

    @contextmanager
    def awaiting_child(self) -> Iterator[None]:
        """Marks that a redo waits for a session, so that ``quiesce`` leaves the new child alone."""
        self._awaiting_child += 1
        try:
            yield
        finally:
            self._awaiting_child -= 1

    def plan(self, now_ns: int, deadline_ns: int) -> Plan[AnySession]:
        """Decides what a redo does to get a session.

        After a plan with ``launch`` the caller must call ``launched`` or ``launch_failed``. No
        child is launched while a failed one is being reaped. Raises ShutDownError,
        RedoTimeoutError, and LaunchError if back-off delays the next launch beyond the deadline.
        """
        if self.shut_down:
            raise ShutDownError
        if self.current is not None:
            return Plan(session=self.current)
        self.check_launch_deadline(now_ns, deadline_ns)
        if self.launching or self.retiring:
            return Plan()
        delay_ns = self._no_launch_before_ns - now_ns
        if delay_ns <= 0:
            self.launching = True
            return Plan(launch=True)
        if now_ns + delay_ns >= deadline_ns:
            raise LaunchError(
                self.config.child_command,
                f"{self._failures_in_row} in a row failed before they answered anything;"
                f" the next launch is held back for {delay_ns / 1e9:.3g} s",
            )
        return Plan(wait_ns=delay_ns)

    def check_launch_deadline(self, now_ns: int, deadline_ns: int) -> None:
        """Raises RedoTimeoutError if the deadline has passed before or during a launch: a new child
        must not get a request that can only fail on it."""
        if now_ns >= deadline_ns:
            raise RedoTimeoutError(self.config.timeout_s, "a child to be launched")

    def launched(self, session: AnySession) -> bool:
        """Reports a successful launch. Returns False if the manager was shut down meanwhile; the
        caller must then fail the session."""
        self.launching = False
        self.counters.launches += 1
        self.counters.launch_ns_last = session.child.launch_ns
        self.counters.launch_ns_total += session.child.launch_ns
        logger.info("launched redo child %d", session.child.pid)
        self.current = session
        return not self.shut_down

    def launch_failed(self, now_ns: int) -> None:
        """Reports a launch that failed or was interrupted."""
        self.launching = False
        self._count_failure(now_ns)

    # -- failures

    def retire(self, session: AnySession, failure: FailedAttempt, now_ns: int) -> None:
        """Records a failed session. The caller must call ``reaped`` once its child is reaped.

        Takes it out of rotation only if it is still the current session: a slow caller that sees
        the error of an old child must not end the child that replaced it.
        """
        if self.current is session:
            self.current = None
        self.retiring.add(session)
        self.counters.kills[failure.cause] += 1
        if session.pipeline.pages_answered:
            self._failures_in_row = 0
        elif failure.cause not in _NOT_A_CHILD_FAULT:
            self._count_failure(now_ns)
        level = logging.INFO if failure.cause in _NOT_A_CHILD_FAULT else logging.WARNING
        logger.log(level, "ending redo child %d: %s", session.child.pid, failure)

    def reaped(self, session: AnySession) -> None:
        """Reports that the child of a retired session is reaped. May be called again."""
        if session in self.retiring:
            self.retiring.remove(session)
            self._ended.add(session.pipeline.counters)

    def attempt_failed(
        self,
        state: RetryState,
        error: FailedAttempt,
        ticket: Ticket[Any] | None,
        now_ns: int,
    ) -> None:
        """Returns if the redo is to be retried, otherwise raises the error for its caller.

        ``ticket``: None if the attempt failed before it got a ticket. An attempt counts against the
        retries of its type if its request may have caused the failure, or if no child answers at
        all. A redo that merely shared its child with a bad request keeps its retries.
        """
        state.attempts += 1
        if now_ns >= state.deadline_ns and not isinstance(error, ShutDownError | RedoTimeoutError):
            late = RedoTimeoutError(self.config.timeout_s, "its page")
            late.__cause__ = error
            error = late
        self.counters.errors[error.cause] += 1
        if isinstance(error, ShutDownError):
            raise error
        hopeless = self._failures_in_row >= HOPELESS_AFTER
        suspect = ticket is not None and ticket.suspect and error.cause not in _NOT_A_CHILD_FAULT
        if suspect or hopeless or isinstance(error, LaunchError):
            state.charged += 1
        name = state.attempt.name.lower()
        if isinstance(error, RedoTimeoutError) or state.charged > state.attempt.retries:
            logger.warning("redo (%s) failed at attempt %d: %s", name, state.attempts, error)
            raise error
        logger.warning(
            "redo (%s) failed at attempt %d, trying again: %s", name, state.attempts, error
        )

    # -- ends

    def to_quiesce(self, idle_ns: int, now_ns: int) -> AnySession | None:
        """The current session if it has been idle for ``idle_ns`` or longer, otherwise None."""
        session = self.current
        if session is None or self.shut_down or session.pipeline.in_flight:
            return None
        if self._awaiting_child:
            return None  # redos that waited for this child are about to use it
        return session if now_ns - session.idle_since_ns >= idle_ns else None

    def begin_shutdown(self) -> bool:
        """Makes every later ``plan`` raise ShutDownError. Returns True for the first call only."""
        first, self.shut_down = not self.shut_down, True
        return first

    @property
    def child_pid(self) -> int | None:
        """The process id of the child in use, None if there is none."""
        session = self.current
        return None if session is None else session.child.pid

    @property
    def childless(self) -> bool:
        """Whether no child is running, being launched or being reaped."""
        return self.current is None and not self.launching and not self.retiring

    def status(self, loop: str | None) -> ManagerStatus:
        """A snapshot. The counts of the current child may be slightly out of date, because the
        session's lock is not taken. ``loop``: the event loop's module, None for a sync manager."""
        streams = StreamCounters()
        streams.add(self._ended)
        session = self.current
        if session is not None:
            streams.add(session.pipeline.counters)
        counters = self.counters
        return ManagerStatus(
            kind=self.config.kind,
            loop=loop,
            pid=self.child_pid,
            shut_down=self.shut_down,
            pipe_bytes=(
                None if session is None else (session.child.stdin_bytes, session.child.stdout_bytes)
            ),
            in_flight=0 if session is None else session.pipeline.in_flight,
            **asdict(streams),
            launches=counters.launches,
            launch_ns_total=counters.launch_ns_total,
            launch_ns_last=counters.launch_ns_last,
            kills=dict(counters.kills),
            errors=dict(counters.errors),
            transport=self.config.transport,
        )

    def _count_failure(self, now_ns: int) -> None:
        """Counts a failed launch or a child that answered nothing; may delay the next launch."""
        self._failures_in_row += 1
        excess = self._failures_in_row - self.config.backoff_after
        if excess >= 0:
            delay_s = min(
                self.config.backoff_first_s * 2.0 ** min(excess, 64), self.config.backoff_most_s
            )
            self._no_launch_before_ns = now_ns + round(delay_s * 1e9)
