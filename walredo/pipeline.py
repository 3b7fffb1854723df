"""The protocol core without I/O: what to send to the child next, and which request a page answers.

One Pipeline serves the streams of one child, for sync and async managers alike. It does no I/O,
reads no clock and takes no lock. Its session reads and writes, passes deadlines in, and calls every
method with the session's lock held (or on its event loop). The session's cycle:

    submit -> chunks_to_send -> (write) -> sent
    receive_space -> (read) -> received -> tickets with their pages
    fail -> tickets with their errors

This module enforces these rules:
- Answers match requests by order, and only requests whose last byte may have left can be answered.
  If more bytes arrive than those requests explain, or a page does not begin as its request
  predicts, the streams are poisoned and no page of that read is delivered.
- Two consecutive requests never have answers that begin alike. Where they would, a ping is sent
  between them as a *fence*: its page of zeros begins like neither. A child that answers once too
  often or skips an answer is therefore detected at the next page, and no caller gets the page of a
  neighbour. (A redo without an LSN begins like a fence, so a fence cannot separate it.)
- After ``fail`` nothing is sent, and nothing that arrives is delivered.
- An abandoned redo of which no byte was sent is removed. One that was sent, even in part, is
  completed and its page is dropped. So abandoned redos accumulate neither requests nor pages.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import takewhile
from mmap import MAP_PRIVATE, mmap
from operator import attrgetter
from typing import Generic, TypeVar, cast

from walredo.errors import (
    ChildError,
    FailedAttempt,
    ShutDownError,
    StreamsPoisonedError,
    UnexpectedOutputError,
)
from walredo.status import StreamCounters
from walredo.wire import PAGE_HEAD_BYTES, PAGE_SIZE, PING, PING_HEAD, page_struct

Owner = TypeVar("Owner")

MAX_CHUNKS = 1024
"""IOV_MAX on Linux: the most buffers that one writev takes."""

PING_RECORDS = -1
"""The value of ``Ticket.records`` for a ping."""

FENCE_RECORDS = -2
"""The value of ``Ticket.records`` for a fence, which has no owner."""


class Ticket(Generic[Owner]):
    """One request in flight. Exactly one of ``page`` and ``error`` is set, unless it is abandoned.

    ``suspect`` (with ``error``): this request may have caused the failure. It was the oldest
    unanswered request, so the child was working on it, and the child had received at least a byte
    of it or had never answered anything.
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


class Pipeline(Generic[Owner]):
    """The requests to the child ``pid`` and its answers, in order.

    ``receive_bytes``: the most that one read takes, and about the most that one write is offered.
    ``whole_pages``: pages arrive by ``received_pages``, without a buffer and without system calls.

    The work per redo is kept short: whatever can be done once per write or once per read is done
    there, for all requests or pages in it.
    """

    def __init__(self, pid: int, receive_bytes: int, *, whole_pages: bool = False) -> None:
        self.pid = pid
        self.counters = StreamCounters()
        self.failure: FailedAttempt | None = None
        self.pages_answered = 0
        self._failed_at = 0
        # The first bytes of the answer to the last submitted and to the last answered request.
        self._last_head = self._answered_head = b""
        self._pending: deque[Ticket[Owner]] = deque()
        # The messages that have not left completely; they belong to the last tickets of _pending.
        # _head_sent is the number of bytes of the first of them that have left.
        self._unsent: list[bytes] = []
        self._head_sent = 0
        # How many of _pending may be answered: those that have left, and those that the write in
        # progress was offered (_offered messages of _offered_bytes bytes).
        self._answerable = 0
        self._offered = 0
        self._offered_bytes = 0
        self._send_limit = receive_bytes
        # It begins a page of memory. A few bytes behind one, where malloc puts large blocks, a read
        # takes three times as long on some processors (docs/performance.md).
        size = receive_bytes + PAGE_SIZE
        self._buffer = memoryview(b"" if whole_pages else mmap(-1, size, MAP_PRIVATE))
        self._space = self._buffer
        self._calls_per_send = 0 if whole_pages else 1
        self._filled = 0

    # -- requests

    @property
    def pending(self) -> deque[Ticket[Owner]]:
        """The tickets in flight, oldest first. Callers must not change it."""
        return self._pending

    @property
    def in_flight(self) -> int:
        """The number of submitted and unanswered requests, including abandoned ones."""
        return len(self._pending)

    @property
    def nothing_on_its_way(self) -> bool:
        """Whether the child has answered every request that was sent to it completely."""
        return len(self._unsent) == len(self._pending)

    @property
    def has_unsent(self) -> bool:
        """Whether there are bytes to write."""
        return bool(self._unsent)

    def submit(
        self, message: bytes, head: bytes, records: int, deadline_ns: int, owner: Owner
    ) -> Ticket[Owner]:
        """Queues a serialised request. After ``fail`` it raises StreamsPoisonedError or
        ShutDownError.

        ``head``: the expected first bytes of the page (PAGE_HEAD_BYTES bytes). ``records``: the
        number of records that it applies, for the counters (PING_RECORDS for a ping).
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
        """The buffers to write next, in order; empty if there are none. ``sent`` must follow.

        They hold about a pipe's capacity at most, since more would not fit. Their requests count as
        answerable until ``sent`` reports how far the write came, because another thread may read
        the answer before the write call returns.
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
        """Reports that ``count`` bytes of the chunks were written (0: no room, or failure)."""
        self.counters.write_calls += self._calls_per_send
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
        """Reports that the owner no longer waits. Does nothing if the redo is over.

        Must not be called between ``chunks_to_send`` and ``sent``.
        """
        if ticket.page is not None or ticket.error is not None or ticket.abandoned:
            return
        ticket.abandoned = True
        at = self._pending.index(ticket)
        unsent_at = at - (len(self._pending) - len(self._unsent))
        if unsent_at < 0 or (unsent_at == 0 and self._head_sent):
            return  # the child has a byte of it, so the answer must be awaited and dropped
        count = 1
        before = self._pending[at - 1].head if at else self._answered_head
        if at + 1 == len(self._pending):
            self._last_head = before
        elif before == self._pending[at + 1].head != PING_HEAD:
            # Without it, two requests with equal heads would be adjacent, so a fence replaces it.
            ticket.head, ticket.records = PING_HEAD, FENCE_RECORDS
            self._unsent[unsent_at] = PING
            self.counters.fences += 1
            return
        elif before == PING_HEAD and self._pending[at + 1].records == FENCE_RECORDS:
            count = 2  # a fence after a fence is not needed, and fences would accumulate
        for _ in range(count):
            del self._pending[at]
            del self._unsent[unsent_at]

    # -- answers

    def receive_space(self) -> memoryview:
        """The buffer for the next read; at least a page long."""
        return self._space

    def received(self, count: int) -> list[Ticket[Owner]]:
        """Takes ``count`` bytes read into ``receive_space``; returns the tickets that got a page.

        Raises UnexpectedOutputError if there are more bytes than the requests explain, or if a page
        does not begin as its request predicts. The session must then call ``fail`` with that error.
        After a failure the bytes are dropped.
        """
        counters = self.counters
        counters.read_calls += 1
        counters.bytes_received += count
        if self.failure is not None:
            return []
        filled = self._filled + count
        number, rest = divmod(filled, PAGE_SIZE)
        if number >= self._answerable and (rest or number > self._answerable):
            raise self._too_much(filled)
        buffer, begun_at = self._buffer, filled - rest
        pages: tuple[bytes, ...] = page_struct(number).unpack_from(buffer)
        begun = buffer[begun_at:filled] if rest >= PAGE_HEAD_BYTES else b""
        completed = self._answer(pages, begun)
        if rest and number:
            buffer[:rest] = buffer[begun_at:filled]
        self._filled = rest
        self._space = buffer[rest:] if rest else buffer
        return completed

    def received_pages(self, pages: tuple[bytes, ...]) -> list[Ticket[Owner]]:
        """``received`` for a transport that copies whole pages. Returns and raises the same."""
        self.counters.bytes_received += len(pages) * PAGE_SIZE
        if self.failure is not None:
            return []
        if len(pages) > self._answerable:
            raise self._too_much(len(pages) * PAGE_SIZE)
        return self._answer(pages, b"")

    def _answer(self, pages: tuple[bytes, ...], begun: memoryview | bytes) -> list[Ticket[Owner]]:
        """Gives the oldest tickets their pages. ``begun``: the first bytes of a page that has not
        arrived completely. Raises UnexpectedOutputError if a page does not begin as predicted."""
        pending = self._pending
        heads_right = all(map(bytes.startswith, pages, map(_head_of, pending)))
        number = len(pages)
        if begun and heads_right:
            heads_right = begun[:PAGE_HEAD_BYTES] == pending[number].head
        if not heads_right:
            raise UnexpectedOutputError(
                self.pid,
                "sent a page that does not begin as that of redo"
                f" {self._first_wrong([*pages, bytes(begun)])}",
            )
        completed = []
        counters = self.counters
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
        return completed

    def _too_much(self, size: int) -> UnexpectedOutputError:
        asked_for = self._answerable * PAGE_SIZE
        problem = f"sent {size} bytes where {asked_for} were asked for"
        return UnexpectedOutputError(self.pid, problem)

    def _first_wrong(self, pages: Sequence[bytes]) -> int:
        """The number of the first redo in flight whose page does not begin with its head."""
        right = takewhile(
            lambda pair: pair[0].startswith(pair[1].head), zip(pages, self._pending, strict=False)
        )
        return self.pages_answered + sum(1 for _ in right)

    # -- failure

    def fail(self, failure: FailedAttempt) -> list[Ticket[Owner]]:
        """Makes the streams unusable for good; returns the tickets to notify, with their errors.

        The oldest ticket, which is the suspect, comes last, so that the next child serves the
        others before it. It gets ``failure`` itself if that is a ChildError; the others get
        StreamsPoisonedError. Empty if the pipeline has already failed.
        """
        if self.failure is not None:
            return []
        self.failure = failure
        pending, first = self._pending, self.pages_answered
        self._failed_at = first + len(pending)
        # _head_sent may belong to a message that is no longer pending: while the write call has not
        # returned, the rest of that message may have left and its answer may have been read.
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
        failed = []
        for number, ticket in numbered:
            if ticket.abandoned:
                continue
            if ticket is oldest and isinstance(failure, ChildError):
                ticket.error = failure
            else:
                ticket.error = self._poison_for(number)
            failed.append(ticket)
        return failed

    def expired(self, now_ns: int) -> list[Ticket[Owner]]:
        """The tickets in flight whose deadline is at or before ``now_ns``."""
        return [t for t in self._pending if t.deadline_ns <= now_ns]

    def earliest_deadline_ns(self) -> int | None:
        """The next deadline of a ticket in flight, or None. It is not always that of the oldest
        ticket, because retried redos keep their deadline."""
        return min((t.deadline_ns for t in self._pending), default=None)

    def _poison_for(self, number: int) -> StreamsPoisonedError | ShutDownError:
        assert self.failure is not None
        if isinstance(self.failure, ShutDownError):
            return ShutDownError()
        return StreamsPoisonedError(self.pid, number, self.failure)
