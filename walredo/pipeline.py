"""The sans-I/O core: which bytes go to the child next, and whose page has come back.

One Pipeline serves one child's pair of streams, for sync and async managers alike. It does no I/O,
knows no clock and takes no lock: its shell does the reads and writes, passes deadlines in, and
calls every method with its own lock held (or on its loop). The shell's cycle:

    submit -> chunks_to_send -> (write) -> sent
    receive_space -> (read) -> received -> tickets with their pages
    fail -> tickets with their errors

Rules that hold here and nowhere else:
- Answers belong to requests by order, and only to requests whose last byte may have left. A byte
  more than those can explain, or a page that does not begin as its request says, poisons the
  streams, and no page that came with it is delivered.
- After ``fail`` nothing is sent, and nothing that arrives is delivered.
- An abandoned redo that is not yet on its way leaves no trace; one that is, is answered into the
  void. So neither requests nor pages of abandoned redos pile up.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Generic, TypeVar

from walredo.errors import (
    ChildError,
    FailedAttempt,
    ShutDownError,
    StreamsPoisonedError,
    UnexpectedOutputError,
)
from walredo.status import StreamCounters
from walredo.wire import PAGE_HEAD_BYTES, PAGE_SIZE

Owner = TypeVar("Owner")

MAX_CHUNKS = 1024
"""IOV_MAX on Linux: how many pieces one writev takes."""

PING_RECORDS = -1
"""``records`` of a ticket that is a ping."""


class Ticket(Generic[Owner]):
    """One request in flight. ``page`` or ``error`` is set exactly once, unless it is abandoned.

    ``suspect`` (with ``error``): the failure may be this request's own fault. It was the oldest one
    unanswered, so the child was at work on it, and the child had a byte of it or never answered
    anything.
    """

    __slots__ = (
        "abandoned",
        "deadline_ns",
        "error",
        "head",
        "message",
        "number",
        "owner",
        "page",
        "records",
        "suspect",
    )

    def __init__(
        self,
        number: int,
        message: bytes,
        head: bytes,
        records: int,
        deadline_ns: int,
        owner: Owner,
    ) -> None:
        self.number = number
        self.message = message
        self.head = head
        self.records = records
        self.deadline_ns = deadline_ns
        self.owner = owner
        self.page: bytes | None = None
        self.error: FailedAttempt | None = None
        self.suspect = False
        self.abandoned = False


class Pipeline(Generic[Owner]):
    """Requests and answers of the child ``pid``, in order.

    ``receive_bytes``: the most that one read takes (at least a page is made of it).
    """

    def __init__(self, pid: int, receive_bytes: int) -> None:
        self.pid = pid
        self.counters = StreamCounters()
        self.failure: FailedAttempt | None = None
        self.pages_answered = 0
        self._next_number = 0
        self._pending: deque[Ticket[Owner]] = deque()
        # The tail of _pending that has not left whole, the bytes of its head that have, and how
        # many of _pending may be answered: those that left, and those offered to a write under way.
        self._unsent: deque[Ticket[Owner]] = deque()
        self._head_sent = 0
        self._answerable = 0
        self._offered = 0
        self._send_limit = receive_bytes
        self._buffer = memoryview(bytearray(receive_bytes + PAGE_SIZE))
        self._filled = 0

    # -- requests

    @property
    def pending(self) -> deque[Ticket[Owner]]:
        """The tickets in flight, oldest first. To look at, not to change."""
        return self._pending

    @property
    def in_flight(self) -> int:
        """Requests submitted and not answered, abandoned ones included."""
        return len(self._pending)

    @property
    def has_unsent(self) -> bool:
        """Whether bytes wait to be written."""
        return bool(self._unsent)

    def submit(
        self, message: bytes, head: bytes, records: int, deadline_ns: int, owner: Owner
    ) -> Ticket[Owner]:
        """Queues a serialised request. Raises the failure's poison error after ``fail``.

        ``head``: how its page begins (PAGE_HEAD_BYTES bytes). ``records``: how many records it
        applies, for the counters (PING_RECORDS: a ping).
        """
        if self.failure is not None:
            raise self._poison_for(self._next_number)
        ticket = Ticket(self._next_number, message, head, records, deadline_ns, owner)
        self._next_number += 1
        self._pending.append(ticket)
        self._unsent.append(ticket)
        if len(self._pending) > self.counters.in_flight_peak:
            self.counters.in_flight_peak = len(self._pending)
        return ticket

    def chunks_to_send(self) -> list[bytes | memoryview]:
        """What to write next, in order; empty when there is nothing.

        About a pipe's worth at most: more would not fit. The requests in it count as answerable
        until ``sent`` says how far the write came, since in another thread the answer may be read
        before the write call has returned.
        """
        chunks: list[bytes | memoryview] = []
        size = -self._head_sent
        for ticket in islice(self._unsent, MAX_CHUNKS):
            chunks.append(ticket.message)
            size += len(ticket.message)
            if size >= self._send_limit:
                break
        if self._head_sent:
            chunks[0] = memoryview(chunks[0])[self._head_sent :]
        self._offered = len(chunks)
        self._answerable += self._offered
        return chunks

    def sent(self, count: int) -> None:
        """``count`` bytes of the chunks went out (0: the pipe was full, or the write failed)."""
        self.counters.write_calls += 1
        self.counters.bytes_sent += count
        self._answerable -= self._offered
        self._offered = 0
        if self.failure is not None:
            return
        unsent = self._unsent
        count += self._head_sent
        while unsent and count >= len(unsent[0].message):
            ticket = unsent.popleft()
            count -= len(ticket.message)
            ticket.message = b""
            self._answerable += 1
        self._head_sent = count

    def abandon(self, ticket: Ticket[Owner]) -> None:
        """The owner does not wait any more. Not to be called between chunks_to_send and sent."""
        if ticket.page is not None or ticket.error is not None or ticket.abandoned:
            return
        ticket.abandoned = True
        untouched = ticket.message and not (self._head_sent and self._unsent[0] is ticket)
        if untouched:
            self._unsent.remove(ticket)
            self._pending.remove(ticket)

    # -- answers

    def receive_space(self) -> memoryview:
        """Where the next read puts its bytes; at least a page of room."""
        return self._buffer[self._filled :]

    def received(self, count: int) -> list[Ticket[Owner]]:
        """``count`` bytes were read into the space: the tickets that they complete, with pages.

        Raises UnexpectedOutputError if they are more than the requests can explain, or not what
        they ask for: the shell then fails the pipeline with it. After a failure the bytes are
        dropped.
        """
        counters = self.counters
        counters.read_calls += 1
        counters.bytes_received += count
        if self.failure is not None:
            return []
        filled = self._filled + count
        pages, rest = divmod(filled, PAGE_SIZE)
        if pages >= self._answerable and (rest or pages > self._answerable):
            raise UnexpectedOutputError(
                self.pid,
                f"sent {filled} bytes where {self._answerable * PAGE_SIZE} were asked for",
            )
        buffer, pending = self._buffer, self._pending
        for start, ticket in zip(
            range(0, filled - PAGE_HEAD_BYTES + 1, PAGE_SIZE), pending, strict=False
        ):
            if buffer[start : start + PAGE_HEAD_BYTES] != ticket.head:
                raise UnexpectedOutputError(
                    self.pid, f"sent a page that does not begin as that of redo {ticket.number}"
                )
        completed = []
        at = 0
        for _ in range(pages):
            ticket = pending.popleft()
            if ticket.abandoned:
                counters.pages_dropped += 1
            else:
                ticket.page = bytes(buffer[at : at + PAGE_SIZE])
                completed.append(ticket)
                if ticket.records == PING_RECORDS:
                    counters.pings += 1
                else:
                    counters.redos += 1
                    counters.records += ticket.records
            at += PAGE_SIZE
        self._answerable -= pages
        self.pages_answered += pages
        if rest and pages:
            buffer[:rest] = buffer[at:filled]
        self._filled = rest
        return completed

    # -- failure

    def fail(self, failure: FailedAttempt) -> list[Ticket[Owner]]:
        """Makes the streams unusable for good. The tickets that must be told, with their errors.

        The oldest one, which is the suspect, comes last, so that on the next child the others are
        served before it; it gets the failure itself where that is the child's, the others learn
        that the streams are poisoned. Empty if the pipeline has failed already.
        """
        if self.failure is not None:
            return []
        self.failure = failure
        pending = self._pending
        had_bytes = self._answerable > 0 or self._head_sent > 0
        self._pending, self._unsent = deque(), deque()
        self._head_sent = 0
        if not pending:
            return []
        oldest = pending[0]
        oldest.suspect = had_bytes or self.pages_answered == 0
        pending.rotate(-1)
        told = []
        for ticket in pending:
            ticket.message = b""
            if ticket.abandoned:
                continue
            if ticket is oldest and isinstance(failure, ChildError):
                ticket.error = failure
            else:
                ticket.error = self._poison_for(ticket.number)
            told.append(ticket)
        return told

    def expired(self, now_ns: int) -> list[Ticket[Owner]]:
        """The tickets in flight whose deadline has passed."""
        return [t for t in self._pending if t.deadline_ns <= now_ns]

    def earliest_deadline_ns(self) -> int | None:
        """When the next ticket in flight expires; not always the oldest, since retried redos keep
        their deadline."""
        return min((t.deadline_ns for t in self._pending), default=None)

    def _poison_for(self, number: int) -> StreamsPoisonedError | ShutDownError:
        assert self.failure is not None
        if isinstance(self.failure, ShutDownError):
            return ShutDownError()
        return StreamsPoisonedError(self.pid, number, self.failure)
