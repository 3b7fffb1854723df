"""The sync session: threads that share one child and block until their page is there.

Only the waiting is here: threads, locks, poll(2). What is sent and whose page is whose is decided
in ``pipeline``, what happens after a failure in ``lifecycle``.

There is a *writer* and a *reader* role, each held by one thread at most and never across a wait for
the other's lock. Whoever submits a request while nobody writes becomes the writer and takes along
what others submit meanwhile. Whoever has to wait for a page while nobody reads becomes the reader;
it takes every page that is there, hands each to its owner and wakes that owner alone. Everybody
else sleeps on a lock of its own. A thread that has its page passes its role on to a sleeper and
leaves.
"""

from __future__ import annotations

import os
import select
import threading
from time import monotonic_ns

from walredo.child import Child
from walredo.errors import FailedAttempt, RedoInterrupted, RedoTimeoutError, UnexpectedOutputError
from walredo.lifecycle import Lifecycle
from walredo.pipeline import Ticket
from walredo.session import Session

_READ, _WRITE = "read", "write"


class Sleeper:
    """What a thread sleeps on. ``parked`` and ``role`` are guarded by the session's lock.

    ``lock`` is held by nobody in particular: acquiring it is sleeping, releasing it is waking, and
    only who finds ``parked`` set (and clears it) may release it.
    """

    __slots__ = ("lock", "parked", "role")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lock.acquire()
        self.parked = False
        self.role: str | None = None

    def wake(self, role: str | None = None) -> None:
        """Wakes the thread if it sleeps. The session's lock is held."""
        if self.parked:
            self.parked = False
            self.role = role
            self.lock.release()


class SyncSession(Session[Sleeper]):
    """One child shared by threads. ``_lock`` guards the pipeline, the roles and the sleepers.

    Locks are taken in the order manager, session.
    """

    def __init__(
        self, child: Child, lifecycle: Lifecycle[SyncSession], changed: threading.Condition
    ) -> None:
        super().__init__(child)
        self._lifecycle = lifecycle
        self._changed = changed
        self._lock = threading.Lock()
        self._writing = False
        self._reading = False
        self._ended = False
        self._told: list[Ticket[Sleeper]] = []
        self._ending = threading.Lock()
        self._writable = select.poll()
        self._writable.register(child.stdin, select.POLLOUT)
        self._readable = select.poll()
        self._readable.register(child.stdout, select.POLLIN)
        self._stop_stderr = os.eventfd(0)
        self._stderr_thread = threading.Thread(
            target=self._drain_stderr, name=f"redo-child-{child.pid}-stderr", daemon=True
        )
        self._stderr_thread.start()

    def redo(
        self, message: bytes, head: bytes, records: int, deadline_ns: int, sleeper: Sleeper
    ) -> Ticket[Sleeper]:
        """The ticket with its page or its error. Raises StreamsPoisonedError if it comes too late
        for this session; whatever else interrupts it poisons the streams."""
        with self._lock:
            ticket = self.pipeline.submit(message, head, records, deadline_ns, sleeper)
            becomes_writer = not self._writing
            self._writing = True
        try:
            if becomes_writer:
                self._write(ticket)
            while self._work_or_sleep(ticket):
                pass
        except BaseException as error:
            interrupted = RedoInterrupted(self.child.pid, f"redo {ticket.number} was interrupted")
            interrupted.__cause__ = error
            self.fail(interrupted)
            self._drop_role(sleeper)
            raise
        return ticket

    def _work_or_sleep(self, ticket: Ticket[Sleeper]) -> bool:
        """Does what has to be done for the page to come: reads, writes, or sleeps till woken.

        False when the redo is over and no role is left with it.
        """
        sleeper = ticket.owner
        with self._lock:
            role, sleeper.role = sleeper.role, None
            if role is None:
                if ticket.page is not None or ticket.error is not None:
                    return False
                if not self._reading:
                    self._reading = True
                    role = _READ
            sleeper.parked = role is None
        if role == _READ:
            self._read(ticket)
        elif role == _WRITE:
            self._write(ticket)
        else:
            self._sleep(ticket)
        return True

    def _drop_role(self, sleeper: Sleeper) -> None:
        """Takes back a role that an interrupted thread was given and has not begun."""
        with self._lock:
            role, sleeper.role = sleeper.role, None
            if role == _READ:
                self._reading = False
            elif role == _WRITE:
                self._writing = False
        self._close_if_ended()

    def _sleep(self, ticket: Ticket[Sleeper]) -> None:
        sleeper = ticket.owner
        wait_ns = max(ticket.deadline_ns - monotonic_ns(), 0)
        if sleeper.lock.acquire(timeout=wait_ns / 1e9):
            return
        with self._lock:
            nobody_woke_us = sleeper.parked
            sleeper.parked = False
        if nobody_woke_us:
            self._time_out()
        else:
            sleeper.lock.acquire()

    def _write(self, ticket: Ticket[Sleeper]) -> None:
        """Holds the writer role: writes what is queued, whoever queued it, until nothing is left or
        the own page has come and somebody else can go on."""
        pipeline = self.pipeline
        polls = 0
        kept = True
        try:
            while True:
                with self._lock:
                    pipeline.counters.poll_calls += polls
                    answered = ticket.page is not None or ticket.error is not None
                    if answered and pipeline.has_unsent and self._pass_on(_WRITE):
                        kept = False
                        return
                    chunks = pipeline.chunks_to_send()
                    if not chunks:
                        self._writing = kept = False
                        return
                    due_ns = pipeline.earliest_deadline_ns() if answered else ticket.deadline_ns
                try:
                    count = os.writev(self.child.stdin, chunks)
                except BlockingIOError:
                    count = 0
                except OSError as error:
                    with self._lock:
                        pipeline.sent(0)
                    self.fail(self.refused(error))
                    return
                with self._lock:
                    pipeline.sent(count)
                polls = 0
                if not count:
                    polls = 1
                    if not self._writable.poll(_poll_ms(due_ns)):
                        self._time_out()
        finally:
            if kept:
                with self._lock:
                    self._writing = False
            self._close_if_ended()

    def _read(self, ticket: Ticket[Sleeper]) -> None:
        """Holds the reader role: takes pages, everybody's, until the own one has come."""
        pipeline = self.pipeline
        kept = True
        try:
            while True:
                with self._lock:
                    if ticket.page is not None or pipeline.failure is not None:
                        self._reading = self._pass_on(_READ)
                        kept = False
                        return
                if not self._readable.poll(_poll_ms(ticket.deadline_ns)):
                    self._time_out()
                    return
                try:
                    count = os.readv(self.child.stdout, (pipeline.receive_space(),))
                except BlockingIOError:
                    continue
                except OSError as error:
                    self.fail(self.refused(error))
                    return
                if not count:
                    self.fail(self.output_ended())
                    return
                with self._lock:
                    pipeline.counters.poll_calls += 1
                    for completed in pipeline.received(count):
                        completed.owner.wake()
                    self.idle_since_ns = monotonic_ns()
        except UnexpectedOutputError as error:
            self.fail(error)
        finally:
            if kept:
                with self._lock:
                    self._reading = False
            self._close_if_ended()

    def _pass_on(self, role: str) -> bool:
        """Gives the role to a sleeper; False if nobody sleeps. The lock is held.

        The reader is the oldest, whose page comes first; the writer the youngest, who is needed as
        a writer for the longest time.
        """
        pending = self.pipeline.pending
        for ticket in pending if role == _READ else reversed(pending):
            if ticket.owner.parked:
                ticket.owner.wake(role)
                return True
        return False

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
            if not self._ended:
                self.child.kill_and_reap()
                if self._stderr_thread.is_alive():
                    os.eventfd_write(self._stop_stderr, 1)
                self._stderr_thread.join()
                if self.pipeline.failure is not None:
                    self.describe_end(self.pipeline.failure)
                with self._lock:
                    self._ended = True
                    for ticket in self._told:
                        ticket.owner.wake()
                os.close(self._stop_stderr)
        self._close_if_ended()
        with self._changed:
            self._lifecycle.reaped(self)
            self._changed.notify_all()

    def _close_if_ended(self) -> None:
        """Closes the streams of an ended child once no thread can be reading or writing them."""
        if self._ended and not self._reading and not self._writing:
            self.child.close_streams()

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


def _poll_ms(due_ns: int | None) -> int:
    """Milliseconds until then for poll(2), rounded up so that it does not wake up too early."""
    if due_ns is None:
        return 0
    return max(0, -(-(due_ns - monotonic_ns()) // 1_000_000))
