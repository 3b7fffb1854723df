"""The sync session: threads that share one child and block until their page has arrived.

It only waits: threads, locks and poll(2). ``pipeline`` decides what is sent and which request a
page answers; ``lifecycle`` decides what happens after a failure.

At most one thread is the *reader*; every other thread sleeps on its own queue. The reader sends
what was submitted, waits in poll(2), receives pages and passes each to its owner. A thread that
submits while the reader waits in poll sends by itself, together with what others submit meanwhile.
While the reader is awake, the thread leaves that to the reader, so that a batch of requests goes
out in one write. When the reader has its own page, it makes the oldest sleeper the reader and
leaves. So no thread keeps working for others once it has its page.

Owners are woken in a *chain*: the reader wakes the first, and each owner wakes the next before it
does anything else; the next reader comes last. If all woke at once, they would only compete for the
interpreter lock, or for the session's lock in a free-threaded interpreter.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from queue import Empty, SimpleQueue
from time import monotonic_ns

from walredo.errors import (
    ChildError,
    FailedAttempt,
    RedoInterrupted,
    RedoTimeoutError,
    StreamsPoisonedError,
)
from walredo.lifecycle import Lifecycle
from walredo.pipeline import Ticket
from walredo.session import Session
from walredo.spin import Spinning
from walredo.transport.base import Chunks, Transport

LOOKS_IN_A_ROW = 16
"""How often a spinning reader that is alone looks before it lets other threads run."""


class Sleeper:
    """The object that a thread sleeps on. ``parked`` is guarded by the session's lock.

    Only the thread that finds ``parked`` set and clears it may wake the sleeper, so each sleep gets
    at most one wake-up. It uses a queue, because in a free-threaded interpreter a thread spins for
    a while before it sleeps on a held lock.
    """

    __slots__ = ("_wake_ups", "parked")

    def __init__(self) -> None:
        self._wake_ups: SimpleQueue[None] = SimpleQueue()
        self.parked = False

    def sleep(self, timeout_s: float | None = None) -> bool:
        """Sleeps until it is woken. Returns False after ``timeout_s``."""
        try:
            self._wake_ups.get(timeout=timeout_s)
        except Empty:
            return False
        return True

    def wake(self) -> None:
        """Wakes the thread if it sleeps. The caller holds the session's lock."""
        if self.parked:
            self.parked = False
            self._wake_ups.put(None)


class SyncSession(Session[Sleeper]):
    """One child shared by threads. ``_lock`` guards the pipeline, the roles and the sleepers.

    Lock order: the manager's lock first, then the session's.
    """

    def __init__(
        self, transport: Transport, lifecycle: Lifecycle[SyncSession], changed: threading.Condition
    ) -> None:
        super().__init__(transport)
        self._lifecycle = lifecycle
        self._changed = changed
        self._lock = threading.Lock()
        # The thread that receives, and the thread that is sending. A sleeper that is made the
        # reader has that role before it wakes.
        self._reader: Sleeper | None = None
        self._writer: Sleeper | None = None
        # The sleepers still to be woken: owners whose page has arrived, and the next reader. While
        # it is not empty, a thread that was woken has yet to wake the next.
        self._wake_chain: deque[Sleeper] = deque()
        self._reader_waits = False
        # There was no room for a request, so the reader must wait for room as well. If it already
        # waits for pages only (_reader_awaits_room is False), it must be nudged.
        self._awaiting_room = False
        self._reader_awaits_room = False
        # A send failed: the reader receives the remaining pages, then fails the session.
        self._input_failure: ChildError | None = None
        self._spinning = Spinning(round(lifecycle.config.spin_s * 1e9))
        self._nudge_fd = os.eventfd(0)
        self._failed_tickets: list[Ticket[Sleeper]] = []
        self._ending = threading.Lock()
        self._reaped = threading.Event()
        self._closed = False
        self._poll_pages = transport.poller(self._nudge_fd, room=False)
        self._poll_pages_or_room = transport.poller(self._nudge_fd, room=True)
        self._stop_stderr_fd = os.eventfd(0)
        self._stderr_thread = threading.Thread(
            target=self._drain_stderr, name=f"redo-child-{self.child.pid}-stderr", daemon=True
        )
        self._stderr_thread.start()

    def redo(
        self, message: bytes, head: bytes, records: int, deadline_ns: int, sleeper: Sleeper
    ) -> Ticket[Sleeper]:
        """Does one redo; returns its ticket with the page or the error.

        Raises StreamsPoisonedError or ShutDownError if the session has already failed. Any other
        exception (such as KeyboardInterrupt) poisons the streams and is passed on, since no thread
        would take the page.
        """
        try:
            with self._lock:
                ticket = self.pipeline.submit(message, head, records, deadline_ns, sleeper)
                reads = self._reader is None
                if reads:
                    self._reader = sleeper
                chunks = self._claim_writing(sleeper) if reads or self._reader_waits else ()
            if chunks:
                self._write(chunks)
            if reads:
                self._read(ticket)
            else:
                while self._sleep_or_read(ticket):
                    pass
            if ticket.error is not None:
                # The child is reaped first, so that the error says how it ended.
                self._reaped.wait(_left_s(deadline_ns))
        except StreamsPoisonedError:
            raise
        except BaseException as error:
            interrupted = RedoInterrupted(self.child.pid, "one of its redos was interrupted")
            interrupted.__cause__ = error
            try:
                self.fail(interrupted)
            finally:
                self._drop_roles(sleeper)
            raise
        return ticket

    def _sleep_or_read(self, ticket: Ticket[Sleeper]) -> bool:
        """Waits for the page, asleep or as the reader. Returns False when the redo is over."""
        sleeper = ticket.owner
        with self._lock:
            answered = ticket.page is not None or ticket.error is not None
            if answered and self._reader is not sleeper:
                return False
            if self._reader is None:
                self._reader = sleeper
            reads = self._reader is sleeper
            sleeper.parked = not reads
        if reads:
            self._read(ticket)
        else:
            self._sleep(ticket)
        return not reads

    def _sleep(self, ticket: Ticket[Sleeper]) -> None:
        sleeper = ticket.owner
        try:
            if sleeper.sleep(_left_s(ticket.deadline_ns)):
                return
            with self._lock:
                timed_out = sleeper.parked
                sleeper.parked = False
            if timed_out:
                self._time_out()
            else:
                # It was woken just after the timeout: take the wake-up, or the next sleep gets it.
                sleeper.sleep()
        finally:
            with self._lock:
                self._wake_next()

    def _wake_next(self) -> None:
        """Wakes the next sleeper of the chain. The caller holds the lock."""
        chain = self._wake_chain
        while chain:
            sleeper = chain.popleft()
            if sleeper.parked:
                sleeper.wake()
                return

    def _claim_writing(self, sleeper: Sleeper) -> Chunks:
        """Makes ``sleeper`` the writer; returns what it must send. The caller holds the lock.

        Empty if there is nothing to send, if another thread is sending (it will send this as
        well), or if there is no room.
        """
        if self._writer is not None or self._awaiting_room or self._input_failure is not None:
            return ()
        chunks = self.pipeline.chunks_to_send()
        if chunks:
            self._writer = sleeper
        return chunks

    def _write(self, chunks: Chunks) -> None:
        """Sends the claimed chunks, then what others queue meanwhile, until nothing is left or
        there is no room."""
        pipeline = self.pipeline
        while chunks:
            input_failure: ChildError | None = None
            count = 0
            try:
                count = self._send(chunks)
            except ChildError as failure:
                input_failure = failure
            with self._lock:
                pipeline.sent(count)
                chunks = pipeline.chunks_to_send() if count and pipeline.has_unsent else ()
                if not chunks:
                    self._writer = None
                    self._input_failure = input_failure
                    self._awaiting_room = pipeline.has_unsent and input_failure is None
                    if input_failure is not None or (
                        self._awaiting_room and not self._reader_awaits_room
                    ):
                        self._nudge_reader()
                failed = pipeline.failure is not None  # then there are no chunks
            if failed:
                self._close_if_ended()

    def _nudge_reader(self) -> None:
        """Makes a reader in poll(2) look at the session's state. The caller holds the lock.

        A reader that is awake looks by itself before it waits.
        """
        if self._reader_waits:
            os.eventfd_write(self._nudge_fd, 1)

    def _read(self, ticket: Ticket[Sleeper]) -> None:
        """Works as the reader until the ticket has its page or error.

        Sends what is submitted and receives the pages of all threads.
        """
        pipeline, transport = self.pipeline, self.transport
        pages_fd, room_fd = transport.pages_fd, transport.room_fd
        sleeper = ticket.owner
        polls = 0
        while True:
            with self._lock:
                pipeline.counters.poll_calls += polls
                self._reader_waits = self._reader_awaits_room = False
                failed = pipeline.failure is not None
                over = failed or ticket.page is not None
                if over:
                    self._hand_over_reading()
                else:
                    input_failure = self._input_failure
                    chunks = self._claim_writing(sleeper) if pipeline.has_unsent else ()
                    poll = self._poll_pages
                    if self._awaiting_room:
                        self._reader_awaits_room = True
                        poll = self._poll_pages_or_room
                    self._reader_waits = not chunks
            if over:
                break
            polls = 0
            if input_failure is not None:
                self.fail_input(input_failure)
            elif chunks:
                self._write(chunks)
            elif not self._spinning.begins() or not self._spin(ticket.deadline_ns):
                polls = 1
                found = poll(_poll_ms(ticket.deadline_ns))
                if not found:
                    self._time_out()
                for fd, _ in found:
                    if fd == pages_fd:
                        self._receive()
                    elif fd == room_fd:
                        with self._lock:
                            self._awaiting_room = False  # so the next turn claims the writing
                    else:
                        os.eventfd_read(self._nudge_fd)
        if failed:
            self._close_if_ended()

    def _spin(self, deadline_ns: int) -> bool:
        """Polls for pages for ``spin_s`` without blocking. Returns whether anything happened.

        Only the reader calls this.
        """
        pipeline, transport = self.pipeline, self.transport
        look, give_way = transport.look, transport.give_way
        till_ns = min(monotonic_ns() + self._spinning.ns, deadline_ns)
        looks = 0
        while monotonic_ns() < till_ns:
            if ((look is None or look()) and self._receive()) or pipeline.failure is not None:
                self._spinning.ended(found=True)
                return True
            if self._input_failure is not None or self._awaiting_room != self._reader_awaits_room:
                return True
            looks += 1
            # Other clients need the interpreter lock now, or may want it soon.
            if pipeline.in_flight > 1 or not looks % LOOKS_IN_A_ROW:
                give_way()
        self._spinning.ended(found=False)
        return False

    def _receive(self) -> bool:
        """Receives once and wakes the owners of the pages. Returns whether anything arrived.

        Only the reader calls this.
        """
        try:
            count = self._receive_into(self.pipeline.receive_space())
            if count is None:
                return False
            with self._lock:
                self._wake_chain.extend([each.owner for each in self._received(count)])
                self._wake_next()
                self.idle_since_ns = monotonic_ns()
        except ChildError as failure:
            self.fail(failure)
            return False
        return True

    def _hand_over_reading(self) -> None:
        """Makes the oldest sleeper, whose page is next, the reader. The caller holds the lock."""
        self._reader = None
        for ticket in self.pipeline.pending:
            if not ticket.abandoned and ticket.owner.parked:
                self._reader = ticket.owner
                self._wake_chain.append(ticket.owner)
                if len(self._wake_chain) == 1:
                    self._wake_next()
                break

    def _drop_roles(self, sleeper: Sleeper) -> None:
        """Takes every role from a thread that was interrupted."""
        with self._lock:
            if self._writer is sleeper:
                self._writer = None
            if self._reader is sleeper:
                self._reader = None
                self._reader_waits = False
        self._close_if_ended()

    def _time_out(self) -> None:
        timeout_s = self._lifecycle.config.timeout_s
        self.fail(RedoTimeoutError(timeout_s, "a page", self.child.pid))

    def fail(self, failure: FailedAttempt, *, if_idle: bool = False) -> bool:
        """Ends the child and gives every redo in flight its error. Blocks until it is reaped.

        Returns False if the session has already failed. ``if_idle``: does nothing and returns False
        if a redo is in flight.
        """
        with self._changed, self._lock:
            if self.pipeline.failure is not None or (if_idle and self.pipeline.in_flight):
                return False
            self._failed_tickets = self.pipeline.fail(failure)
            self._lifecycle.retire(self, failure, monotonic_ns())
        try:
            self.end()
        except BaseException:
            # Interrupted: no thread may be left waiting for its error or for the reaping.
            self.end()
            raise
        return True

    def end(self) -> None:
        """The second half of ``fail``: reaps the child and wakes every thread.

        May be called again, also by another thread, if it was interrupted.
        """
        with self._ending:
            if not self._reaped.is_set():
                self.child.kill_and_reap()
                if self._stderr_thread.is_alive():
                    os.eventfd_write(self._stop_stderr_fd, 1)
                self._stderr_thread.join()
                self.describe_end()
                self._reaped.set()
        with self._lock:
            for ticket in self._failed_tickets:
                ticket.owner.wake()
            while self._wake_chain:  # an interrupted thread may not have woken the next
                self._wake_chain.popleft().wake()
        self._close_if_ended()
        with self._changed:
            self._lifecycle.reaped(self)
            self._changed.notify_all()

    def _close_if_ended(self) -> None:
        """Closes the streams of an ended child once no thread can be using them."""
        if not self._reaped.is_set():
            return  # checked without the lock, since most calls end here; ``end`` checks again
        with self._lock:
            if self._closed or self._reader is not None or self._writer is not None:
                return
            self._closed = True
        self.transport.close()
        os.close(self._nudge_fd)
        os.close(self._stop_stderr_fd)

    def _drain_stderr(self) -> None:
        """The stderr thread. It always reads, so that a full pipe never blocks the child."""
        ready = select.poll()
        ready.register(self.child.stderr, select.POLLIN)
        ready.register(self._stop_stderr_fd, select.POLLIN)
        while True:
            fds = [fd for fd, _ in ready.poll()]
            if self._stop_stderr_fd in fds:
                break
            if self.read_stderr() == 0:
                ready.unregister(self.child.stderr)
        self.finish_stderr()


def _left_s(deadline_ns: int) -> float:
    """Seconds until the deadline, at least 0."""
    return max(0, deadline_ns - monotonic_ns()) / 1e9


def _poll_ms(due_ns: int) -> int:
    """The poll(2) timeout until ``due_ns`` in ms, rounded up so that poll never returns early."""
    return max(0, -(-(due_ns - monotonic_ns()) // 1_000_000))
