"""The sync redo manager: callers are threads that block until their page has arrived.

``lifecycle`` holds the policy, ``sync_session`` the way in which threads share a child.
"""

from __future__ import annotations

import threading
from time import monotonic_ns
from types import TracebackType

from walredo import wire
from walredo.config import ManagerConfig
from walredo.errors import FailedAttempt, LaunchError, QuiescedError, ShutDownError
from walredo.lifecycle import Lifecycle, RetryState
from walredo.pipeline import PING_RECORDS
from walredo.request import RedoAttempt, RedoRequest
from walredo.status import ManagerStatus
from walredo.sync_session import Sleeper, SyncSession
from walredo.transport import TRANSPORTS
from walredo.transport.base import discard


class _OfThread(threading.local):
    """What each calling thread has of its own."""

    def __init__(self) -> None:
        self.sleeper = Sleeper()


class SyncRedoManager:
    """Redo manager for callers that are threads. Use it as a context manager, or call ``shutdown``.

    Thread safety: any number of threads may call any method, but not from a signal handler.

    Interrupts: a redo that KeyboardInterrupt interrupts ends the child, because no thread would
    take its page. The redos of other threads are retried on the next child.
    """

    def __init__(self, config: ManagerConfig) -> None:
        self._config = config
        self._life: Lifecycle[SyncSession] = Lifecycle(config)
        self._children = TRANSPORTS[config.transport](config)
        # Guards the life cycle. Notified when a launch or a reaping ends, and at shutdown.
        self._changed = threading.Condition()
        self._launch_error: LaunchError | None = None
        self._launches_ended = 0
        self._launcher: Sleeper | None = None
        self._own = _OfThread()

    def request_redo(
        self, request: RedoRequest, attempt: RedoAttempt = RedoAttempt.READ_PAGE
    ) -> bytes:
        """The page (8,192 bytes) that the request describes, within ``timeout_s`` of this call.

        A failed attempt is retried on a new child, as often as ``attempt`` allows. Raises
        ShutDownError, RedoTimeoutError, LaunchError or ChildError.
        """
        return self._answer(request.serialise(), request.page_head, len(request.records), attempt)

    def ping(self) -> bytes:
        """Sends a ping; returns its answer, a page of zeros. Retries and raises as a redo does."""
        return self._answer(wire.PING, wire.PING_HEAD, PING_RECORDS, RedoAttempt.READ_PAGE)

    def _answer(self, message: bytes, head: bytes, records: int, attempt: RedoAttempt) -> bytes:
        deadline_ns = monotonic_ns() + self._life.timeout_ns
        state: RetryState | None = None
        while True:
            ticket = None
            error: FailedAttempt | None
            session = self._life.current
            try:
                if session is None:
                    session = self._launched_session(deadline_ns)
                ticket = session.redo(message, head, records, deadline_ns, self._own.sleeper)
                if ticket.page is not None:
                    return ticket.page
                error = ticket.error
            except FailedAttempt as raised:
                error = raised
            except BaseException:
                self._interrupted()
                raise
            assert error is not None
            if state is None:
                state = RetryState(attempt, deadline_ns)
            with self._changed:
                self._life.attempt_failed(state, error, ticket, monotonic_ns())

    def quiesce(self, idle_s: float) -> bool:
        """Ends the child if it has been idle for ``idle_s`` or longer. Returns whether it did."""
        with self._changed:
            session = self._life.to_quiesce(round(idle_s * 1e9), monotonic_ns())
        if session is None:
            return False
        failure = QuiescedError(session.child.pid, f"idle for {idle_s:g} s")
        return session.fail(failure, if_idle=True)

    def shutdown(self) -> bool:
        """Ends the child; redos in flight and later ones raise ShutDownError.

        Returns when no child is left, running or zombie: True for the first call, otherwise False.
        """
        with self._changed:
            first = self._life.begin_shutdown()
            self._changed.notify_all()
            session = self._life.current
            retiring = tuple(self._life.retiring)
        if session is not None:
            session.fail(ShutDownError())
        for failed in retiring:
            failed.end()  # waits for the thread that ends it, or replaces an interrupted one
        with self._changed:
            self._changed.wait_for(lambda: self._life.childless)
        self._children.close()
        return first

    @property
    def child_pid(self) -> int | None:
        """The process id of the child in use, or None."""
        return self._life.child_pid

    def status(self) -> ManagerStatus:
        """A snapshot of state and counters."""
        with self._changed:
            return self._life.status(loop=None)

    def __enter__(self) -> SyncRedoManager:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()

    def _interrupted(self) -> None:
        """Cleans up after an interrupted redo: if this thread was launching, another thread must be
        able to launch."""
        with self._changed:
            if self._life.launching and self._launcher is self._own.sleeper:
                self._launch_over(None)
        self._own.sleeper = Sleeper()  # the old one may still hold a wake-up of this redo

    def _launched_session(self, deadline_ns: int) -> SyncSession:
        """Returns the current session, or launches one unless another thread is launching."""
        with self._changed, self._life.awaiting_child():
            while True:
                now_ns = monotonic_ns()
                if not self._life.launching:
                    self._launcher = self._own.sleeper  # set before a launch can be planned
                plan = self._life.plan(now_ns, deadline_ns)
                if plan.session is not None:
                    return plan.session
                if plan.launch:
                    break
                launches_ended = self._launches_ended
                wait_ns = min(deadline_ns - now_ns, plan.wait_ns or 1 << 62)
                self._changed.wait(wait_ns / 1e9)
                error = self._launch_error
                if launches_ended != self._launches_ended and error is not None:
                    raise LaunchError.from_error(error.command, error)
        session = self._launch()
        self._life.check_launch_deadline(monotonic_ns(), deadline_ns)
        return session

    def _launch(self) -> SyncSession:
        session: SyncSession | None = None
        error: LaunchError | None = None
        try:
            transport = self._children.launch()
            try:
                session = SyncSession(transport, self._life, self._changed)
            except BaseException:
                discard(transport)
                raise
        except Exception as raised:
            error = LaunchError.from_error(self._config.child_command, raised)
            raise error from raised
        finally:
            with self._changed:
                if session is None:
                    self._launch_over(error)
                else:
                    in_rotation = self._life.launched(session)
                    self._launch_over(None)
        if not in_rotation:
            session.fail(ShutDownError())
            raise ShutDownError
        return session

    def _launch_over(self, error: LaunchError | None) -> None:
        """Ends a launch and wakes the threads that wait for it. The caller holds ``_changed``."""
        if self._life.launching:
            self._life.launch_failed(monotonic_ns())
        self._launch_error = error
        self._launches_ended += 1
        self._changed.notify_all()
