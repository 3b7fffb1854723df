"""The async redo manager: callers await their page, and the event loop waits for the child.

``lifecycle`` holds the policy, ``async_session`` the way in which callers share a child.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from time import monotonic_ns
from types import TracebackType
from typing import Any

from walredo import wire
from walredo.async_session import AsyncSession
from walredo.config import ManagerConfig
from walredo.errors import FailedAttempt, LaunchError, QuiescedError, ShutDownError
from walredo.lifecycle import Lifecycle, RetryState
from walredo.pipeline import PING_RECORDS
from walredo.request import RedoAttempt, RedoRequest
from walredo.status import ManagerStatus
from walredo.transport import TRANSPORTS
from walredo.transport.base import Transport, discard


class AsyncRedoManager:
    """Redo manager for callers on an event loop (asyncio or uvloop).

    Use it as an async context manager, or call ``shutdown`` before the loop ends. The first redo
    binds it to the running loop.

    Thread safety: none. All calls must be made on that loop.

    Cancel safety: every method may be cancelled at any await. A cancelled redo of which no byte was
    sent is removed. Otherwise the child completes it and its page is dropped, so that it does not
    affect other callers. A cancelled ``shutdown`` still shuts the manager down.
    """

    def __init__(self, config: ManagerConfig) -> None:
        self._config = config
        self._life: Lifecycle[AsyncSession] = Lifecycle(config)
        self._children = TRANSPORTS[config.transport](config)
        self._changed: asyncio.Future[LaunchError | None] | None = None

    def request_redo(
        self, request: RedoRequest, attempt: RedoAttempt = RedoAttempt.READ_PAGE
    ) -> Coroutine[Any, Any, bytes]:
        """The page (8,192 bytes) that the request describes, within ``timeout_s`` of this call.

        A failed attempt is retried on a new child, as often as ``attempt`` allows. Raises
        ShutDownError, RedoTimeoutError, LaunchError or ChildError.
        """
        # It returns the coroutine of _answer, since another one around it would cost every redo.
        return self._answer(request.serialise(), request.page_head, len(request.records), attempt)

    async def ping(self) -> bytes:
        """Sends a ping; returns its answer, a page of zeros. Retries and raises as a redo does."""
        return await self._answer(wire.PING, wire.PING_HEAD, PING_RECORDS, RedoAttempt.READ_PAGE)

    async def _answer(
        self, message: bytes, head: bytes, records: int, attempt: RedoAttempt
    ) -> bytes:
        deadline_ns = monotonic_ns() + self._life.timeout_ns
        state: RetryState | None = None
        while True:
            ticket = None
            session = self._life.current
            try:
                if session is None:
                    with self._life.awaiting_child():
                        session = await self._launched_session(deadline_ns)
                ticket = session.submit(message, head, records, deadline_ns)
                return await ticket.owner
            except FailedAttempt as error:
                if state is None:
                    state = RetryState(attempt, deadline_ns)
                self._life.attempt_failed(state, error, ticket, monotonic_ns())
            except asyncio.CancelledError:
                if session is not None and ticket is not None:
                    session.pipeline.abandon(ticket)
                raise

    async def quiesce(self, idle_s: float) -> bool:
        """Ends the child if it has been idle for ``idle_s`` or longer. Returns whether it did."""
        session = self._life.to_quiesce(round(idle_s * 1e9), monotonic_ns())
        if session is None:
            return False
        session.fail(QuiescedError(session.child.pid, f"idle for {idle_s:g} s"))
        return True

    async def shutdown(self) -> bool:
        """Ends the child; redos in flight and later ones raise ShutDownError.

        Returns when no child is left, running or zombie: True for the first call, otherwise False.
        """
        first = self._life.begin_shutdown()
        self._wake_waiters()
        if self._life.current is not None:
            self._life.current.fail(ShutDownError())
        for failed in tuple(self._life.retiring):
            failed.end()  # an interrupt left it half done
        while not self._life.childless:
            await self._wait_for_change(None)
        self._children.close()
        return first

    @property
    def child_pid(self) -> int | None:
        """The process id of the child in use, or None."""
        return self._life.child_pid

    async def status(self) -> ManagerStatus:
        """A snapshot of state and counters."""
        loop = asyncio.get_running_loop()
        return self._life.status(type(loop).__module__.partition(".")[0])

    async def __aenter__(self) -> AsyncRedoManager:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.shutdown()

    async def _launched_session(self, deadline_ns: int) -> AsyncSession:
        """Returns the current session, or launches one unless a launch is in progress."""
        launches = self._life.counters.launches
        while True:
            life = self._life
            if launches != life.counters.launches and life.current is None and not life.shut_down:
                # This redo waited for a child that ended before it could get a request. That must
                # count as an attempt, or a child that always ends would be launched for ever.
                raise LaunchError(
                    self._config.child_command, "it ended before it could be given a redo"
                )
            now_ns = monotonic_ns()
            plan = life.plan(now_ns, deadline_ns)
            if plan.session is not None:
                return plan.session
            if plan.launch:
                self._start_launch()
            error = await self._wait_for_change(min(deadline_ns - now_ns, plan.wait_ns or 1 << 62))
            if error is not None:
                raise LaunchError.from_error(error.command, error)

    def _start_launch(self) -> None:
        """Launches a child in a thread, so that the loop is not blocked.

        The launch continues if the redo that started it is cancelled, since others may wait for it.
        """
        loop = asyncio.get_running_loop()

        def launch() -> None:
            outcome: Transport | LaunchError
            try:
                outcome = self._children.launch()
            except Exception as error:  # noqa: BLE001 - passed to the waiting redos
                outcome = LaunchError.from_error(self._config.child_command, error)
            try:
                loop.call_soon_threadsafe(self._launch_ended, loop, outcome)
            except RuntimeError:  # the loop was closed without a shutdown, so nobody waits
                if not isinstance(outcome, LaunchError):
                    discard(outcome)

        try:
            threading.Thread(target=launch, name="redo-child-launch", daemon=True).start()
        except RuntimeError as error:  # the thread could not be started
            failed = LaunchError.from_error(self._config.child_command, error)
            loop.call_soon(self._launch_ended, loop, failed)

    def _launch_ended(
        self, loop: asyncio.AbstractEventLoop, outcome: Transport | LaunchError
    ) -> None:
        session: AsyncSession | None = None
        error: LaunchError | None = None
        if isinstance(outcome, LaunchError):
            error = outcome
        else:
            try:
                session = AsyncSession(outcome, self._life, loop)
            except Exception as raised:  # noqa: BLE001 - passed to the waiting redos
                discard(outcome)
                error = LaunchError.from_error(self._config.child_command, raised)
        if session is None:
            self._life.launch_failed(monotonic_ns())
        elif not self._life.launched(session):
            session.fail(ShutDownError())
        self._wake_waiters(error)

    async def _wait_for_change(self, timeout_ns: int | None) -> LaunchError | None:
        """Waits until a launch ends or the manager is shut down, for at most ``timeout_ns``.

        Returns the error if a launch failed.
        """
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        changed = self._changed
        await asyncio.wait([changed], timeout=None if timeout_ns is None else timeout_ns / 1e9)
        return changed.result() if changed.done() else None

    def _wake_waiters(self, error: LaunchError | None = None) -> None:
        if self._changed is not None:
            self._changed.set_result(error)
            self._changed = None
