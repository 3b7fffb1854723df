"""The sync session: threads that share one child and block until their page is there.

Only the waiting is here: threads, locks, poll(2). What is sent and whose page is whose is decided
in ``pipeline``, what happens after a failure in ``lifecycle``.

There is a *reader*, one thread at most, and every other thread sleeps for itself. The
reader sends what has been submitted, waits in poll(2), takes every page that is there and hands
each to its owner. A thread that submits while the reader waits in poll writes by itself (and takes
along what others submit meanwhile); while the reader is awake it leaves that to the reader, so that
requests of one batch go out in one write. When the reader's own page has come it makes the oldest
sleeper the reader and leaves. So no thread works on for others once it has its page.

Owners are woken in a *chain*: the reader wakes the first, and each wakes the next before anything
else, the next reader last. All at once they would only fight for the interpreter lock, or without
it for the session's.
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
from walredo.transport.base import Chunks, Transport


class Sleeper:
    """What a thread sleeps on. ``parked`` is guarded by the session's lock.

    Only who finds ``parked`` set (and clears it) may wake it. A queue and not a lock, since in a
    free-threaded interpreter a thread spins for a while before it sleeps on a lock that is held.
    """

    __slots__ = ("_wake_ups", "parked")

    def __init__(self) -> None:
        self._wake_ups: SimpleQueue[None] = SimpleQueue()
        self.parked = False

    def sleep(self, timeout_s: float | None = None) -> bool:
        """Sleeps until it is woken; False if it was not in time."""
        try:
            self._wake_ups.get(timeout=timeout_s)
        except Empty:
            return False
        return True

    def wake(self) -> None:
        """Wakes the thread if it sleeps. The session's lock is held."""
        if self.parked:
            self.parked = False
            self._wake_ups.put(None)


class SyncSession(Session[Sleeper]):
    """One child shared by threads. ``_lock`` guards the pipeline, the roles and the sleepers.

    Locks are taken in the order manager, session.
    """

    def __init__(
        self, transport: Transport, lifecycle: Lifecycle[SyncSession], changed: threading.Condition
    ) -> None:
        super().__init__(transport)
        self._lifecycle = lifecycle
        self._changed = changed
        self._lock = threading.Lock()
        # Who reads, and who is in the middle of a write; somebody who is made the reader in his
        # sleep is it before he wakes.
        self._reader: Sleeper | None = None
        self._writer: Sleeper | None = None
        # Owners whose page has come, and the next reader. Not empty only while somebody who was
        # woken has still to wake the next.
        self._chain: deque[Sleeper] = deque()
        self._reader_waits = False
        # The pipe to the child was full: the reader waits for room, too. It may have to be told.
        self._awaiting_room = False
        self._reader_awaits_room = False
        # The child's input is broken: the reader takes the pages that are left, and ends it.
        self._input_failure: ChildError | None = None
        self._spin_ns = round(lifecycle.config.spin_s * 1e9)
        self._nudge = os.eventfd(0)
        self._told: list[Ticket[Sleeper]] = []
        self._ending = threading.Lock()
        self._over = threading.Event()
        self._closed = False
        self._poll_pages = transport.poller(self._nudge, room=False)
        self._poll_pages_or_room = transport.poller(self._nudge, room=True)
        self._stop_stderr = os.eventfd(0)
        self._stderr_thread = threading.Thread(
            target=self._drain_stderr, name=f"redo-child-{self.child.pid}-stderr", daemon=True
        )
        self._stderr_thread.start()

    def redo(
        self, message: bytes, head: bytes, records: int, deadline_ns: int, sleeper: Sleeper
    ) -> Ticket[Sleeper]:
        """The ticket with its page or its error. Raises StreamsPoisonedError if it comes too late
        for this session; whatever else interrupts it poisons the streams."""
        try:
            with self._lock:
                ticket = self.pipeline.submit(message, head, records, deadline_ns, sleeper)
                reads = self._reader is None
                if reads:
                    self._reader = sleeper
                chunks = self._claim_writing(sleeper) if self._reader_waits else ()
            if reads:
                self._read(ticket)
            else:
                if chunks:
                    self._write(chunks)
                while self._sleep_or_read(ticket):
                    pass
            if ticket.error is not None:
                # Until the child is reaped, so that the error can tell how it ended.
                self._over.wait(_left_s(deadline_ns))
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
        """Waits for the page, asleep or as the reader. False when the redo is over."""
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
                nobody_woke_us = sleeper.parked
                sleeper.parked = False
            if nobody_woke_us:
                self._time_out()
            else:
                sleeper.sleep()
        finally:
            with self._lock:
                self._wake_next()

    def _wake_next(self) -> None:
        """Goes on with the chain. The lock is held."""
        chain = self._chain
        while chain:
            sleeper = chain.popleft()
            if sleeper.parked:
                sleeper.wake()
                return

    def _claim_writing(self, sleeper: Sleeper) -> Chunks:
        """What the caller is to write now: nothing while somebody writes, who takes it along, nor
        while the pipe is full. The lock is held."""
        if self._writer is not None or self._awaiting_room or self._input_failure is not None:
            return ()
        chunks = self.pipeline.chunks_to_send()
        if chunks:
            self._writer = sleeper
        return chunks

    def _write(self, chunks: Chunks) -> None:
        """Writes what was claimed, and what others queue meanwhile, until nothing is left or the
        pipe is full."""
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
                chunks = pipeline.chunks_to_send() if count else ()
                if chunks:
                    continue
                self._writer = None
                self._input_failure = input_failure
                self._awaiting_room = pipeline.has_unsent and input_failure is None
                if input_failure is not None or (
                    self._awaiting_room and not self._reader_awaits_room
                ):
                    self._nudge_reader()
                failed = pipeline.failure is not None
            if failed:
                self._close_if_ended()

    def _nudge_reader(self) -> None:
        """Tells a reader that waits in poll(2) to look at what has changed; one that does not looks
        before it waits. The lock is held."""
        if self._reader_waits:
            os.eventfd_write(self._nudge, 1)

    def _read(self, ticket: Ticket[Sleeper]) -> None:
        """Is the reader until the own page has come: sends what is due, takes everybody's pages.

        The redo is over when it returns.
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
                if failed or ticket.page is not None:
                    self._hand_over_reading()
                    break
                input_failure = self._input_failure
                chunks = self._claim_writing(sleeper) if pipeline.has_unsent else ()
                poll = self._poll_pages
                if self._awaiting_room:
                    self._reader_awaits_room = True
                    poll = self._poll_pages_or_room
                self._reader_waits = not chunks
            polls = 0
            if input_failure is not None:
                self.fail_input(input_failure)
            elif chunks:
                self._write(chunks)
            elif not self._spin_ns or not self._spin(ticket.deadline_ns):
                polls = 1
                found = poll(_poll_ms(ticket.deadline_ns))
                if not found:
                    self._time_out()
                for fd, _ in found:
                    if fd == pages_fd:
                        self._receive()
                    elif fd == room_fd:
                        with self._lock:
                            self._awaiting_room = False
                    else:
                        os.eventfd_read(self._nudge)
        if failed:
            self._close_if_ended()

    def _spin(self, deadline_ns: int) -> bool:
        """Looks for pages for a while, without parking; whether something has happened. Each look
        lets other threads have the interpreter. The caller is the reader."""
        pipeline = self.pipeline
        till_ns = min(monotonic_ns() + self._spin_ns, deadline_ns)
        while monotonic_ns() < till_ns:
            if self._receive() or pipeline.failure is not None:
                return True
            if self._input_failure is not None or self._awaiting_room != self._reader_awaits_room:
                return True
        return False

    def _receive(self) -> bool:
        """Takes the pages that are there and wakes their owners; whether there was anything.

        The caller is the reader.
        """
        try:
            count = self._receive_into(self.pipeline.receive_space())
            if count is None:
                return False
            with self._lock:
                self._chain.extend([each.owner for each in self.pipeline.received(count)])
                self._wake_next()
                self.idle_since_ns = monotonic_ns()
        except ChildError as failure:
            self.fail(failure)
            return False
        return True

    def _hand_over_reading(self) -> None:
        """The oldest sleeper, whose page comes first, is the next reader. The lock is held."""
        self._reader = None
        for ticket in self.pipeline.pending:
            if not ticket.abandoned and ticket.owner.parked:
                self._reader = ticket.owner
                self._chain.append(ticket.owner)
                if len(self._chain) == 1:
                    self._wake_next()
                break

    def _drop_roles(self, sleeper: Sleeper) -> None:
        """Whatever happened to the thread, it neither writes nor reads any more."""
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
        """Ends the child and answers everybody; whether this call did. Blocks until it is reaped.

        ``if_idle``: only if no redo is in flight.
        """
        with self._changed, self._lock:
            if self.pipeline.failure is not None or (if_idle and self.pipeline.in_flight):
                return False
            self._told = self.pipeline.fail(failure)
            self._lifecycle.retire(self, failure, monotonic_ns())
        try:
            self.end()
        except BaseException:
            # Interrupted: nobody may be left waiting for an answer or for the child's end.
            self.end()
            raise
        return True

    def end(self) -> None:
        """The second half of ``fail``: reaps the child and answers everybody.

        May be called again, also by another thread, if it was interrupted.
        """
        with self._ending:
            if not self._over.is_set():
                self.child.kill_and_reap()
                if self._stderr_thread.is_alive():
                    os.eventfd_write(self._stop_stderr, 1)
                self._stderr_thread.join()
                self.describe_end()
                self._over.set()
        with self._lock:
            for ticket in self._told:
                ticket.owner.wake()
            while self._chain:  # whose link in it was broken by an interruption
                self._chain.popleft().wake()
        self._close_if_ended()
        with self._changed:
            self._lifecycle.reaped(self)
            self._changed.notify_all()

    def _close_if_ended(self) -> None:
        """Closes the streams of an ended child once no thread can be reading or writing them."""
        if not self._over.is_set():
            return  # without the lock, as in every redo; ``end`` looks again once it is over
        with self._lock:
            if self._closed or self._reader is not None or self._writer is not None:
                return
            self._closed = True
        self.transport.close()
        os.close(self._nudge)
        os.close(self._stop_stderr)

    def _drain_stderr(self) -> None:
        """The stderr thread: nothing that the child says there may ever block it."""
        ready = select.poll()
        ready.register(self.child.stderr, select.POLLIN)
        ready.register(self._stop_stderr, select.POLLIN)
        while True:
            fds = [fd for fd, _ in ready.poll()]
            if self._stop_stderr in fds:
                break
            if self.read_stderr() == 0:
                ready.unregister(self.child.stderr)
        self.finish_stderr()


def _left_s(deadline_ns: int) -> float:
    return max(0, deadline_ns - monotonic_ns()) / 1e9


def _poll_ms(due_ns: int) -> int:
    """Milliseconds until then for poll(2), rounded up so that it does not wake up too early."""
    return max(0, -(-(due_ns - monotonic_ns()) // 1_000_000))
