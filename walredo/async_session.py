"""The async session: one child on an event loop, one future per redo.

It only waits: callbacks, futures and one timer. ``pipeline`` decides what is sent and which request
a page answers; ``lifecycle`` decides what happens after a failure.
"""

from __future__ import annotations

import asyncio
from time import monotonic_ns

from walredo.errors import ChildError, FailedAttempt, RedoTimeoutError
from walredo.lifecycle import Lifecycle
from walredo.pipeline import Ticket
from walredo.session import Session
from walredo.transport.base import Transport

PageFuture = asyncio.Future[bytes]

NEVER_NS = 1 << 63
"""Later than any deadline."""


class AsyncSession(Session[PageFuture]):
    """One child on one event loop. Every method must be called on that loop."""

    def __init__(
        self,
        transport: Transport,
        lifecycle: Lifecycle[AsyncSession],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(transport)
        self._lifecycle = lifecycle
        self._loop = loop
        self._flush_due = False
        # The last read woke several callers, so a request will hardly be the only one of its turn.
        # All in one write wake a child once: that is worth more than to begin with the first.
        self._others_follow = False
        self._awaiting_room = False
        self._deadline_timer: asyncio.TimerHandle | None = None
        self._timer_due_ns = NEVER_NS
        # A transport that is not a matter of system calls looks for its pages by itself.
        self._spin_ns = 0 if transport.whole_pages else round(lifecycle.config.spin_s * 1e9)
        self._linger = transport.linger if transport.whole_pages else None
        self._spin_till_ns = 0
        self._spinning = False
        self._failed_tickets: list[Ticket[PageFuture]] = []
        self._ended = False
        transport.watch_pages(loop, self._on_output)
        loop.add_reader(self.child.stderr, self._on_stderr)

    def submit(
        self, message: bytes, head: bytes, records: int, deadline_ns: int
    ) -> Ticket[PageFuture]:
        """Sends the request now if the child is idle and no others will follow in this turn of the
        loop, otherwise once per turn with others.

        The ticket's owner is a future for the page. Raises StreamsPoisonedError or ShutDownError
        after a failure.
        """
        future = self._loop.create_future()
        ticket = self.pipeline.submit(message, head, records, deadline_ns, future)
        if deadline_ns < self._timer_due_ns:
            self._arm_deadline_timer(deadline_ns)
        if not self._flush_due:
            if not self._others_follow and self.pipeline.nothing_on_its_way:
                self._flush()
            elif not self._awaiting_room:
                self._flush_due = True
                self._loop.call_soon(self._flush)
        return ticket

    def _flush(self) -> None:
        """Sends until nothing is left or there is no room, then waits for room if needed."""
        self._flush_due = False
        pipeline = self.pipeline
        if pipeline.failure is not None:
            return  # it failed after this call was scheduled
        while pipeline.has_unsent:
            chunks = pipeline.chunks_to_send()
            try:
                count = self._send(chunks)
            except ChildError as failure:
                pipeline.sent(0)
                self.fail_input(failure)
                return
            pipeline.sent(count)
            if not count:
                break
        if self._spin_ns:
            self._spin()
        if self._linger is not None:
            self._linger(pipeline.in_flight)
        if pipeline.has_unsent != self._awaiting_room:
            self._awaiting_room = pipeline.has_unsent
            if self._awaiting_room:
                self.transport.watch_room(self._loop, self._on_room)
            else:
                self.transport.unwatch_room(self._loop)

    def _spin(self) -> None:
        """Keeps the loop from blocking for ``spin_s``.

        A loop with a scheduled callback polls its descriptors without blocking, so a callback that
        schedules itself again is enough. Other tasks run in between.
        """
        self._spin_till_ns = monotonic_ns() + self._spin_ns
        if not self._spinning:
            self._spinning = True
            self._loop.call_soon(self._spin_on)

    def _spin_on(self) -> None:
        if self.pipeline.in_flight and monotonic_ns() < self._spin_till_ns:
            self._loop.call_soon(self._spin_on)
        else:
            self._spinning = False

    def _on_room(self) -> None:
        self.pipeline.counters.poll_calls += 1
        self._flush()

    def _on_output(self) -> bool:
        """Returns whether more pages are due."""
        self.pipeline.counters.poll_calls += 1
        self._receive()
        return self.pipeline.in_flight > 0

    def _receive(self) -> bool:
        """Receives once and completes the futures of the pages. Returns whether anything came."""
        try:
            count = self._receive_into(self.pipeline.receive_space())
            if count is None:
                return False
            completed = self._received(count)
        except ChildError as failure:
            self.fail(failure)
            return False
        self.idle_since_ns = monotonic_ns()
        self._spin_till_ns = self.idle_since_ns + self._spin_ns
        self._others_follow = len(completed) > 1
        for ticket in completed:
            if not ticket.owner.done():  # its caller may have been cancelled
                ticket.owner.set_result(ticket.page)  # type: ignore[arg-type]
        return True

    def _on_stderr(self) -> None:
        if self.read_stderr() == 0:
            self._loop.remove_reader(self.child.stderr)

    def _arm_deadline_timer(self, due_ns: int) -> None:
        if self._deadline_timer is not None:
            self._deadline_timer.cancel()
        self._timer_due_ns = due_ns
        delay_s = max(due_ns - monotonic_ns(), 0) / 1e9
        self._deadline_timer = self._loop.call_later(delay_s, self._on_deadline)

    def _on_deadline(self) -> None:
        """The timer of the earliest deadline. Usually the redo that set it is already done.

        One timer per child, since a timer per redo would cost every redo.
        """
        self._deadline_timer = None
        self._timer_due_ns = NEVER_NS
        if self.pipeline.expired(monotonic_ns()):
            timeout_s = self._lifecycle.config.timeout_s
            self.fail(RedoTimeoutError(timeout_s, "a page", self.child.pid))
            return
        due_ns = self.pipeline.earliest_deadline_ns()
        if due_ns is not None:
            self._arm_deadline_timer(due_ns)

    def fail(self, failure: FailedAttempt) -> None:
        """Ends the child and gives every redo in flight its error.

        It awaits nothing, so that a cancellation cannot leave it half done.
        """
        if self.pipeline.failure is not None:
            return
        self._failed_tickets = self.pipeline.fail(failure)
        self._lifecycle.retire(self, failure, monotonic_ns())
        self.end()

    def end(self) -> None:
        """The second half of ``fail``: reaps the child and completes the futures with errors.

        May be called again if it was interrupted (by KeyboardInterrupt on a loop that passes it
        on).
        """
        if not self._ended:
            # The loop must forget the descriptors before they are closed and their numbers reused.
            if self._deadline_timer is not None:
                self._deadline_timer.cancel()
            self.transport.unwatch(self._loop)
            self._loop.remove_reader(self.child.stderr)
            self.child.kill_and_reap()
            self.finish_stderr()
            self.describe_end()
            self._ended = True
        self.transport.close()
        self._lifecycle.reaped(self)
        for ticket in self._failed_tickets:
            if not ticket.owner.done():
                assert ticket.error is not None
                ticket.owner.set_exception(ticket.error)
