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
- Two requests in a row never have answers that begin alike: where they would, a ping goes between
  them, a *fence*, whose page of zeros is neither's. So a child that answers once too often or skips
  an answer is found out at the next page, and nobody gets a neighbour's. (A redo without an LSN
  begins as a fence does: it cannot be fenced off.)
- After ``fail`` nothing is sent, and nothing that arrives is delivered.
- An abandoned redo that is not yet on its way leaves no trace; one that is, is answered into the
  void. So neither requests nor pages of abandoned redos pile up.
"""

from __future__ import annotations

from collections import deque
from functools import cache
from itertools import takewhile
from operator import attrgetter
from struct import Struct
from typing import Generic, TypeVar, cast

from walredo.errors import (
    ChildError,
    FailedAttempt,
    ShutDownError,
    StreamsPoisonedError,
    UnexpectedOutputError,
)
from walredo.status import StreamCounters
from walredo.wire import PAGE_HEAD_BYTES, PAGE_SIZE, PING, PING_HEAD

Owner = TypeVar("Owner")

MAX_CHUNKS = 1024
"""IOV_MAX on Linux: how many pieces one writev takes."""

PING_RECORDS = -1
"""``records`` of a ticket that is a ping."""

FENCE_RECORDS = -2
"""``records`` of a ticket that is a fence; nobody owns it."""


class Ticket(Generic[Owner]):
    """One request in flight. ``page`` or ``error`` is set exactly once, unless it is abandoned.

    ``suspect`` (with ``error``): the failure may be this request's own fault. It was the oldest one
    unanswered, so the child was at work on it, and the child had a byte of it or never answered
    anything.
    """

    __slots__ = ("abandoned", "deadline_ns", "error", "head", "owner", "page", "records", "suspect")

    def __init__(self, head: bytes, records: int, deadline_ns: int, owner: Owner) -> None:
        self.head = head
        self.records = records
        self.deadline_ns = deadline_ns
        self.owner = owner
        self.page: bytes | None = None
        self.error: FailedAttempt | None = None
        self.suspect = False
        self.abandoned = False


_head_of = attrgetter("head")


@cache
def _pages(count: int) -> Struct:
    """Cuts a buffer into so many pages at once, in half the time that slicing each one takes."""
    return Struct(f"{PAGE_SIZE}s" * count)


class Pipeline(Generic[Owner]):
    """Requests and answers of the child ``pid``, in order.

    ``receive_bytes``: the most that one read takes (at least a page is made of it).

    What is done for each redo is kept short: what can be done once for all requests of a write, or
    for all pages of a read, is done there.
    """

    def __init__(self, pid: int, receive_bytes: int) -> None:
        self.pid = pid
        self.counters = StreamCounters()
        self.failure: FailedAttempt | None = None
        self.pages_answered = 0
        self._failed_at = 0
        # How the answers to the request submitted last and to the one answered last begin.
        self._last_head = self._answered_head = b""
        self._pending: deque[Ticket[Owner]] = deque()
        # The messages that have not left whole, which are those of the last of _pending, and the
        # bytes of the first of them that have.
        self._unsent: list[bytes] = []
        self._head_sent = 0
        # How many of _pending may be answered: those that left, and those offered to a write under
        # way, which are so many messages with so many bytes.
        self._answerable = 0
        self._offered = 0
        self._offered_bytes = 0
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
    def nothing_on_its_way(self) -> bool:
        """Whether the child has been sent nothing that it has not answered."""
        return len(self._unsent) == len(self._pending)

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
            raise self._poison_for(self._failed_at)
        if head == self._last_head and head != PING_HEAD:
            self._fence(deadline_ns)
        self._last_head = head
        ticket = Ticket(head, records, deadline_ns, owner)
        self._pending.append(ticket)
        self._unsent.append(message)
        if len(self._pending) > self.counters.in_flight_peak:
            self.counters.in_flight_peak = len(self._pending)
        return ticket

    def _fence(self, deadline_ns: int) -> None:
        fence: Ticket[Owner | None] = Ticket(PING_HEAD, FENCE_RECORDS, deadline_ns, None)
        fence.abandoned = True
        self._pending.append(cast("Ticket[Owner]", fence))
        self._unsent.append(PING)
        self.counters.fences += 1

    def chunks_to_send(self) -> list[bytes | memoryview]:
        """What to write next, in order; empty when there is nothing.

        About a pipe's worth at most: more would not fit. The requests in it count as answerable
        until ``sent`` says how far the write came, since in another thread the answer may be read
        before the write call has returned.
        """
        chunks = cast("list[bytes | memoryview]", self._unsent[:MAX_CHUNKS])
        size = sum(map(len, chunks)) - self._head_sent
        if size > self._send_limit:
            size = -self._head_sent
            for count, chunk in enumerate(chunks, 1):
                size += len(chunk)
                if size >= self._send_limit:
                    del chunks[count:]
                    break
        if self._head_sent:
            chunks[0] = memoryview(chunks[0])[self._head_sent :]
        self._offered = len(chunks)
        self._offered_bytes = size
        self._answerable += self._offered
        return chunks

    def sent(self, count: int) -> None:
        """``count`` bytes of the chunks went out (0: the pipe was full, or the write failed)."""
        self.counters.write_calls += 1
        self.counters.bytes_sent += count
        offered, self._offered = self._offered, 0
        if self.failure is not None:
            return
        unsent = self._unsent
        if count == self._offered_bytes:
            whole = offered
            self._head_sent = 0
        else:
            whole = 0
            count += self._head_sent
            while count >= len(unsent[whole]):
                count -= len(unsent[whole])
                whole += 1
            self._head_sent = count
        del unsent[:whole]
        self._answerable -= offered - whole

    def abandon(self, ticket: Ticket[Owner]) -> None:
        """The owner does not wait any more. Not to be called between chunks_to_send and sent."""
        if ticket.page is not None or ticket.error is not None or ticket.abandoned:
            return
        ticket.abandoned = True
        at = self._pending.index(ticket)
        unsent_at = at - (len(self._pending) - len(self._unsent))
        if unsent_at < 0 or (unsent_at == 0 and self._head_sent):
            return
        count = 1
        before = self._pending[at - 1].head if at else self._answered_head
        if at + 1 == len(self._pending):
            self._last_head = before
        elif before == self._pending[at + 1].head != PING_HEAD:
            # Its neighbours must not come together: it is their fence.
            ticket.head, ticket.records = PING_HEAD, FENCE_RECORDS
            self._unsent[unsent_at] = PING
            self.counters.fences += 1
            return
        elif before == PING_HEAD and self._pending[at + 1].records == FENCE_RECORDS:
            count = 2  # a fence after a fence, or they would pile up
        for _ in range(count):
            del self._pending[at]
            del self._unsent[unsent_at]

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
        number, rest = divmod(filled, PAGE_SIZE)
        if number >= self._answerable and (rest or number > self._answerable):
            raise UnexpectedOutputError(
                self.pid,
                f"sent {filled} bytes where {self._answerable * PAGE_SIZE} were asked for",
            )
        buffer, pending, begun_at = self._buffer, self._pending, filled - rest
        pages = _pages(number).unpack_from(buffer)
        heads_right = all(map(bytes.startswith, pages, map(_head_of, pending)))
        if rest >= PAGE_HEAD_BYTES and heads_right:
            heads_right = buffer[begun_at : begun_at + PAGE_HEAD_BYTES] == pending[number].head
        if not heads_right:
            raise UnexpectedOutputError(
                self.pid,
                f"sent a page that does not begin as that of redo {self._first_wrong(filled)}",
            )
        completed = []
        records = pings = 0
        for page in pages:
            ticket = pending.popleft()
            if ticket.abandoned:
                if ticket.records != FENCE_RECORDS:
                    counters.pages_dropped += 1
                continue
            ticket.page = page
            completed.append(ticket)
            if ticket.records == PING_RECORDS:
                pings += 1
            else:
                records += ticket.records
        counters.redos += len(completed) - pings
        counters.pings += pings
        counters.records += records
        if number:
            self._answered_head = ticket.head
        self._answerable -= number
        self.pages_answered += number
        if rest and number:
            buffer[:rest] = buffer[begun_at:filled]
        self._filled = rest
        return completed

    def _first_wrong(self, filled: int) -> int:
        """The number of the first redo in flight whose page does not begin as it must."""
        starts = range(0, filled - PAGE_HEAD_BYTES + 1, PAGE_SIZE)
        heads = (bytes(self._buffer[at : at + PAGE_HEAD_BYTES]) for at in starts)
        right = takewhile(
            lambda pair: pair[0] == pair[1].head, zip(heads, self._pending, strict=False)
        )
        return self.pages_answered + sum(1 for _ in right)

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
        pending, first = self._pending, self.pages_answered
        self._failed_at = first + len(pending)
        # Of the message that has left in part the rest may have, too, and its answer be here, while
        # the write call has not returned: then it is another one's.
        head_waits = self._head_sent > 0 and len(self._unsent) <= len(pending)
        had_bytes = self._answerable > 0 or head_waits
        self._pending, self._unsent = deque(), []
        self._head_sent = 0
        if not pending:
            return []
        oldest = pending[0]
        oldest.suspect = had_bytes or self.pages_answered == 0
        numbered = deque(enumerate(pending, first))
        numbered.rotate(-1)
        told = []
        for number, ticket in numbered:
            if ticket.abandoned:
                continue
            if ticket is oldest and isinstance(failure, ChildError):
                ticket.error = failure
            else:
                ticket.error = self._poison_for(number)
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
