"""The policy that all managers share: launch once, take out of rotation, retry, back off, quiesce,
shut down, status.

No I/O, no waiting, no clock of its own: a manager asks, does what it is told, and reports. Every
method is called with the manager's lock held, or on its event loop.
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
"""After so many children in a row that answered nothing, a failure is charged to every redo that it
meets, not only to the suspect: it is the child that is bad, not one request."""

_NOBODYS_FAULT = (Cause.QUIESCE, Cause.SHUT_DOWN, Cause.INTERRUPTED)


@dataclass(slots=True)
class RetryState:
    """The failed attempts at one redo. Made at its first failure."""

    attempt: RedoAttempt
    deadline_ns: int
    attempts: int = 0
    charged: int = 0


@dataclass(frozen=True, slots=True)
class Plan(Generic[AnySession]):
    """What a redo without a session does next: use ``session``, or ``launch`` one, or wait until
    something changes, ``wait_ns`` at most (None: until its deadline)."""

    session: AnySession | None = None
    launch: bool = False
    wait_ns: int | None = None


class Lifecycle(Generic[AnySession]):
    """The state of one manager."""

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
        self._fruitless = 0
        self._no_launch_before_ns = 0

    # -- launching

    @contextmanager
    def awaiting_child(self) -> Iterator[None]:
        """Around what a redo does to get a session: as long, the child that it gets is not idle."""
        self._awaiting_child += 1
        try:
            yield
        finally:
            self._awaiting_child -= 1

    def plan(self, now_ns: int, deadline_ns: int) -> Plan[AnySession]:
        """What to do for a redo; a plan to launch binds the caller to report the launch's end.

        A launch waits for failed children to be reaped. Raises ShutDownError, RedoTimeoutError, and
        LaunchError where the next launch is held back past the deadline.
        """
        if self.shut_down:
            raise ShutDownError
        if self.current is not None:
            return Plan(session=self.current)
        self.check_launch_deadline(now_ns, deadline_ns)
        if self.launching or self.retiring:
            return Plan()
        held_back_ns = self._no_launch_before_ns - now_ns
        if held_back_ns <= 0:
            self.launching = True
            return Plan(launch=True)
        if now_ns + held_back_ns >= deadline_ns:
            raise LaunchError(
                self.config.child_command,
                f"{self._fruitless} in a row failed before they answered anything;"
                f" the next launch is held back for {held_back_ns / 1e9:.3g} s",
            )
        return Plan(wait_ns=held_back_ns)

    def check_launch_deadline(self, now_ns: int, deadline_ns: int) -> None:
        """Raises RedoTimeoutError if a child is, or was, launched too late for that redo: the child
        must not be given what can only fail on it."""
        if now_ns >= deadline_ns:
            raise RedoTimeoutError(self.config.timeout_s, "a child to be launched")

    def launched(self, session: AnySession) -> bool:
        """The launch succeeded. False: the manager was shut down meanwhile, fail the session."""
        self.launching = False
        self.counters.launches += 1
        self.counters.launch_ns_last = session.child.launch_ns
        self.counters.launch_ns_total += session.child.launch_ns
        logger.info("launched redo child %d", session.child.pid)
        self.current = session
        return not self.shut_down

    def launch_failed(self, now_ns: int) -> None:
        """The launch failed, or was interrupted."""
        self.launching = False
        self._hold_back(now_ns)

    # -- failures

    def retire(self, session: AnySession, failure: FailedAttempt, now_ns: int) -> None:
        """Takes a failed session out of rotation if it is still the current one: a slow caller that
        sees an old child's error must not hit its replacement. ``reaped`` follows."""
        if self.current is session:
            self.current = None
        self.retiring.add(session)
        self.counters.kills[failure.cause] += 1
        if session.pipeline.pages_answered:
            self._fruitless = 0
        elif failure.cause not in _NOBODYS_FAULT:
            self._hold_back(now_ns)
        level = logging.INFO if failure.cause in _NOBODYS_FAULT else logging.WARNING
        logger.log(level, "ending redo child %d: %s", session.child.pid, failure)

    def reaped(self, session: AnySession) -> None:
        """The retired session's child is gone. To say so again changes nothing."""
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
        """Returns if the redo is to be tried again, else raises what its caller gets.

        ``ticket``: None if the attempt ended before it had one. An attempt counts against the
        attempt type's retries if its own request may have caused the failure, or if nothing works
        at all; a redo that merely shared the child with a bad one keeps its retries.
        """
        state.attempts += 1
        if now_ns >= state.deadline_ns and not isinstance(error, ShutDownError | RedoTimeoutError):
            late = RedoTimeoutError(self.config.timeout_s, "its page")
            late.__cause__ = error
            error = late
        self.counters.errors[error.cause] += 1
        if isinstance(error, ShutDownError):
            raise error
        hopeless = self._fruitless >= HOPELESS_AFTER
        suspect = ticket is not None and ticket.suspect and error.cause not in _NOBODYS_FAULT
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
        """The current session if it has been idle for so long, else None."""
        session = self.current
        if session is None or self.shut_down or session.pipeline.in_flight:
            return None
        if self._awaiting_child:
            return None  # it was launched for them a moment ago
        return session if now_ns - session.idle_since_ns >= idle_ns else None

    def begin_shutdown(self) -> bool:
        """No redo is taken any more. True for the first call only."""
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
        """A snapshot; the counts of the current child's streams may be a moment old."""
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
        )

    def _hold_back(self, now_ns: int) -> None:
        """Counts a child or launch that gave nothing, and delays the next launch accordingly."""
        self._fruitless += 1
        excess = self._fruitless - self.config.backoff_after
        if excess >= 0:
            delay_s = min(
                self.config.backoff_first_s * 2.0 ** min(excess, 64), self.config.backoff_most_s
            )
            self._no_launch_before_ns = now_ns + round(delay_s * 1e9)
