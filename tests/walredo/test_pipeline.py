"""The sans-I/O core, without a child: every split of the bytes, every order of the calls.

``PipelineMachine`` drives it at random next to a reference model; the rest is one rule per test.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections import deque
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from walredo.errors import (
    ChildExitedError,
    FailedAttempt,
    QuiescedError,
    RedoTimeoutError,
    ShutDownError,
    StreamsPoisonedError,
    UnexpectedOutputError,
    WalredoError,
)
from walredo.pipeline import FENCE_RECORDS, MAX_CHUNKS, PING_RECORDS, Pipeline, Ticket
from walredo.wire import PAGE_HEAD_BYTES, PAGE_SIZE, PING, PING_HEAD, ZERO_PAGE

PID = 4711
FOREVER_NS = 10**18
HEADS = (bytes(8), b"head-one", b"head-two")

# Fewer where the profile says so (test_core_mutations).
EXAMPLES = min(60, settings().max_examples)


def page(number: int, head: bytes = HEADS[0]) -> bytes:
    """The page that answers request ``number``: different for each."""
    # Nothing in its body looks like a head of zeros.
    return head + (number + 1).to_bytes(8, "big") * (PAGE_SIZE // 8 - 1)


def message_of(number: int, size: int = 100) -> bytes:
    """Request ``number``: different for each."""
    return number.to_bytes(4, "big") * (size // 4)


def submit(
    pipeline: Pipeline[int],
    number: int,
    size: int = 100,
    deadline_ns: int = FOREVER_NS,
    head: bytes = HEADS[0],
) -> Ticket[int]:
    """Submits request ``number``, whose owner is its number."""
    return pipeline.submit(message_of(number, size), head, 3, deadline_ns, number)


def send(pipeline: Pipeline[int], most: int | None = None) -> bytes:
    """One write that takes ``most`` bytes; what went out."""
    data = b"".join(pipeline.chunks_to_send())[:most]
    pipeline.sent(len(data))
    return data


def send_all(pipeline: Pipeline[int]) -> bytes:
    data = b""
    while pipeline.has_unsent:
        part = send(pipeline)
        assert part, "it says that there is more and offers nothing"
        data += part
    return data


def receive(pipeline: Pipeline[int], data: bytes) -> list[Ticket[int]]:
    """One read that gives ``data``."""
    pipeline.receive_space()[: len(data)] = data
    return pipeline.received(len(data))


def outcome(tickets: Sequence[Ticket[int]]) -> list[tuple[int, bytes | None]]:
    return [(ticket.owner, ticket.page) for ticket in tickets]


def make(receive_bytes: int = 65536) -> Pipeline[int]:
    return Pipeline(PID, receive_bytes)


# --- sending --------------------------------------------------------------------------------------


def test_requests_leave_in_order_and_once() -> None:
    pipeline = make()
    messages = b""
    for number in range(5):
        submit(pipeline, number)
        messages += message_of(number)
    assert pipeline.has_unsent
    assert send_all(pipeline) == messages
    assert pipeline.chunks_to_send() == []
    assert not pipeline.has_unsent
    assert pipeline.in_flight == 5


@pytest.mark.parametrize("step", [1, 7, 100, 250])
def test_a_partial_write_is_gone_on_with(step: int) -> None:
    pipeline = make()
    messages = b""
    for number in range(5):
        submit(pipeline, number)
        messages += message_of(number)
    data = b""
    while pipeline.has_unsent:
        data += send(pipeline, step)
        assert len(data) <= 500
    assert data == messages
    assert pipeline.counters.write_calls == -(-500 // step)
    assert pipeline.counters.bytes_sent == 500


@pytest.mark.parametrize("sizes", [(1000, 100), (100, 1000)])
def test_a_request_has_left_when_as_many_bytes_as_it_has_did(sizes: tuple[int, int]) -> None:
    pipeline = make()
    for number, size in enumerate(sizes):
        submit(pipeline, number, size)
    send(pipeline, 500)
    assert list(map(len, pipeline.chunks_to_send())) == ([500, 100] if sizes[0] > 500 else [600])


def test_a_write_that_takes_nothing_is_offered_again() -> None:
    pipeline = make()
    submit(pipeline, 1)
    message = message_of(1)
    assert send(pipeline, 30) == message[:30]
    assert send(pipeline, 0) == b""
    assert b"".join(pipeline.chunks_to_send()) == message[30:]
    assert (pipeline.counters.write_calls, pipeline.counters.bytes_sent) == (2, 30)


def test_one_write_is_offered_about_a_pipe_of_bytes() -> None:
    pipeline = make(receive_bytes=4096)
    for number in range(100):
        submit(pipeline, number, size=1000)
    assert len(pipeline.chunks_to_send()) == 5
    pipeline.sent(999)  # the rest of the head counts as what it is
    assert [len(chunk) for chunk in pipeline.chunks_to_send()] == [1, 1000, 1000, 1000, 1000, 1000]


def test_one_write_is_offered_no_more_than_a_pipe_that_it_fills_to_the_byte() -> None:
    pipeline = make(receive_bytes=4000)
    for number in range(5):
        submit(pipeline, number, size=1000)
    assert len(send(pipeline)) == 4000


def test_a_request_larger_than_the_pipe_is_offered_alone() -> None:
    pipeline = make(receive_bytes=4096)
    for number in range(2):
        submit(pipeline, number, size=100_000)
    assert len(send(pipeline, 40_000)) == 40_000
    assert [len(chunk) for chunk in pipeline.chunks_to_send()] == [60_000]


def test_one_write_is_offered_as_many_chunks_as_writev_takes() -> None:
    assert MAX_CHUNKS == 1024
    pipeline = make(receive_bytes=1 << 20)
    for number in range(MAX_CHUNKS + 10):
        submit(pipeline, number, size=8)
    assert len(pipeline.chunks_to_send()) == MAX_CHUNKS
    pipeline.sent(8 * MAX_CHUNKS)
    assert len(pipeline.chunks_to_send()) == 10


def test_a_write_of_the_rest_leaves_none() -> None:
    pipeline = make()
    submit(pipeline, 0)
    send(pipeline, 50)
    assert send(pipeline) == message_of(0)[50:]
    submit(pipeline, 1)
    assert send(pipeline) == message_of(1)


def test_what_is_on_its_way_is_what_has_left_and_is_not_answered() -> None:
    pipeline = make()
    assert pipeline.nothing_on_its_way
    submit(pipeline, 0)
    assert pipeline.nothing_on_its_way
    send_all(pipeline)
    submit(pipeline, 1)
    assert not pipeline.nothing_on_its_way
    receive(pipeline, page(0))
    assert pipeline.nothing_on_its_way


def test_a_message_that_has_left_is_not_held() -> None:
    pipeline = make()
    message = bytes(1000)
    held_by_us = sys.getrefcount(message)
    pipeline.submit(message, HEADS[0], 1, FOREVER_NS, 1)
    send(pipeline, 999)
    assert sys.getrefcount(message) > held_by_us
    send_all(pipeline)
    assert sys.getrefcount(message) == held_by_us


# --- answers --------------------------------------------------------------------------------------


def test_one_read_takes_as_many_pages_as_there_are() -> None:
    pipeline = make()
    for number in range(4):
        submit(pipeline, number)
    send_all(pipeline)
    data = b"".join(page(number) for number in range(4))
    first = receive(pipeline, data[: 3 * PAGE_SIZE + 5])
    assert outcome(first) == [(number, page(number)) for number in range(3)]
    assert outcome(receive(pipeline, data[3 * PAGE_SIZE + 5 :])) == [(3, page(3))]
    assert pipeline.in_flight == 0
    assert pipeline.counters.read_calls == 2
    assert pipeline.pages_answered == 4


@pytest.mark.parametrize("receive_bytes", [1, 4096, 65536])
@pytest.mark.parametrize("filled", [0, 1, PAGE_SIZE - 1])
def test_there_is_always_a_page_of_room(receive_bytes: int, filled: int) -> None:
    pipeline = make(receive_bytes)
    submit(pipeline, 1)
    send_all(pipeline)
    if filled:
        receive(pipeline, page(1)[:filled])
    assert len(pipeline.receive_space()) >= PAGE_SIZE - filled
    assert len(pipeline.receive_space()) >= receive_bytes


def test_reads_begin_at_a_page_of_memory() -> None:
    space = make(65536).receive_space()
    assert ctypes.addressof(ctypes.c_char.from_buffer(space)) % mmap.PAGESIZE == 0


def test_a_page_is_a_copy_that_later_reads_do_not_touch() -> None:
    pipeline = make()
    for number in range(2):
        submit(pipeline, number)
    send_all(pipeline)
    [first] = receive(pipeline, page(0))
    receive(pipeline, page(1))
    assert type(first.page) is bytes
    assert first.page == page(0)


@pytest.mark.parametrize("sent", [0, 1, 99])
@pytest.mark.parametrize("size", [1, PAGE_SIZE - 1, PAGE_SIZE])
def test_no_answer_before_the_request_may_have_left(sent: int, size: int) -> None:
    pipeline = make()
    ticket = submit(pipeline, 0)
    if sent:
        send(pipeline, sent)
    with pytest.raises(UnexpectedOutputError, match=f"sent {size} bytes where 0 were asked for"):
        receive(pipeline, page(0)[:size])
    assert ticket.page is None
    assert pipeline.in_flight == 1


def test_an_answer_may_come_before_the_write_call_has_returned() -> None:
    pipeline = make()
    for number in range(3):
        submit(pipeline, number)
    assert len(pipeline.chunks_to_send()) == 3
    assert outcome(receive(pipeline, page(0) + page(1)[:10])) == [(0, page(0))]
    pipeline.sent(250)
    assert outcome(receive(pipeline, page(1)[10:])) == [(1, page(1))]
    # Only half of the third has left.
    with pytest.raises(UnexpectedOutputError):
        receive(pipeline, page(2))


def test_what_the_write_did_not_take_may_not_be_answered() -> None:
    pipeline = make()
    for number in range(2):
        submit(pipeline, number)
    send(pipeline, 100)
    with pytest.raises(UnexpectedOutputError, match=f"{2 * PAGE_SIZE} bytes where {PAGE_SIZE}"):
        receive(pipeline, page(0) + page(1))


@pytest.mark.parametrize("surplus", [1, 8, PAGE_SIZE, PAGE_SIZE + 1])
def test_surplus_bytes_deliver_nothing_of_their_read(surplus: int) -> None:
    pipeline = make()
    tickets = [submit(pipeline, number) for number in range(2)]
    send_all(pipeline)
    assert outcome(receive(pipeline, page(0))) == [(0, page(0))]
    with pytest.raises(UnexpectedOutputError) as caught:
        receive(pipeline, page(1) + (page(2) * 2)[:surplus])
    assert caught.value.pid == PID
    assert tickets[1].page is None
    assert pipeline.counters.redos == 1
    assert [t.owner for t in pipeline.fail(caught.value)] == [1]


def test_whole_pages_are_answers_without_a_buffer_or_a_system_call() -> None:
    pipeline: Pipeline[int] = Pipeline(PID, 65536, whole_pages=True)
    heads = [HEADS[1], HEADS[2]] * 2
    for number, head in enumerate(heads):
        submit(pipeline, number, head=head)
    pages = [page(number, head) for number, head in enumerate(heads)]
    assert len(pipeline.receive_space()) == 0
    assert len(pipeline.chunks_to_send()) == 4
    assert outcome(pipeline.received_pages((pages[0], pages[1]))) == [(0, pages[0]), (1, pages[1])]
    pipeline.sent(300)
    assert pipeline.received_pages(()) == []
    with pytest.raises(UnexpectedOutputError, match=f"{2 * PAGE_SIZE} bytes where {PAGE_SIZE}"):
        pipeline.received_pages((pages[2], pages[3]))
    assert pipeline.counters.redos == 2
    assert pipeline.in_flight == 2
    with pytest.raises(UnexpectedOutputError, match="does not begin as that of redo 2"):
        pipeline.received_pages((pages[3],))
    assert outcome(pipeline.received_pages((pages[2],))) == [(2, pages[2])]
    counters = pipeline.counters
    assert (counters.bytes_sent, counters.bytes_received) == (300, 6 * PAGE_SIZE)
    assert (counters.read_calls, counters.write_calls) == (0, 0)


def test_whole_pages_after_a_failure_are_dropped() -> None:
    pipeline: Pipeline[int] = Pipeline(PID, 65536, whole_pages=True)
    submit(pipeline, 0)
    send_all(pipeline)
    pipeline.fail(ChildExitedError(PID, "it is gone"))
    assert pipeline.received_pages((page(0),)) == []
    assert pipeline.counters.redos == 0


@pytest.mark.parametrize("asked", [0, 1])
def test_output_of_an_idle_child_is_unexpected(asked: int) -> None:
    pipeline = make()
    for number in range(asked):
        submit(pipeline, number)
        send_all(pipeline)
        receive(pipeline, page(number))
    with pytest.raises(UnexpectedOutputError, match="sent 1 bytes where 0"):
        receive(pipeline, b"x")


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_a_wrong_head_delivers_nothing_of_its_read(wrong: int) -> None:
    pipeline = make()
    tickets = [submit(pipeline, number) for number in range(3)]
    send_all(pipeline)
    heads = [HEADS[1] if number == wrong else HEADS[0] for number in range(3)]
    with pytest.raises(UnexpectedOutputError, match=f"as that of redo {wrong}"):
        receive(pipeline, b"".join(page(n, heads[n]) for n in range(3)))
    assert [ticket.page for ticket in tickets] == [None] * 3
    assert pipeline.pages_answered == 0


@pytest.mark.parametrize("at", range(PAGE_HEAD_BYTES))
def test_every_byte_of_the_head_counts(at: int) -> None:
    pipeline = make()
    submit(pipeline, 0)
    send_all(pipeline)
    head = bytearray(HEADS[0])
    head[at] ^= 1
    with pytest.raises(UnexpectedOutputError, match="does not begin"):
        receive(pipeline, page(0, bytes(head)))


def test_a_wrong_head_shows_before_the_page_is_whole() -> None:
    pipeline = make()
    submit(pipeline, 0)
    send_all(pipeline)
    assert receive(pipeline, HEADS[1][:7]) == []
    with pytest.raises(UnexpectedOutputError, match="does not begin"):
        receive(pipeline, HEADS[1][7:])


def test_the_wrong_page_is_named_by_its_place_among_all_pages() -> None:
    pipeline = make()
    for number in range(5):
        submit(pipeline, number)
    send_all(pipeline)
    receive(pipeline, page(0) + page(1))
    with pytest.raises(UnexpectedOutputError, match=r"as that of redo 3$"):
        receive(pipeline, page(2) + page(3, HEADS[1]) + page(4, HEADS[1])[:8])


def test_a_page_begun_makes_good_no_page_before_it() -> None:
    pipeline = make()
    submit(pipeline, 0)
    submit(pipeline, 1)
    send_all(pipeline)
    with pytest.raises(UnexpectedOutputError, match=r"as that of redo 0$"):
        receive(pipeline, page(0, HEADS[1]) + page(1)[:8])


def test_pings_of_one_read_count_each() -> None:
    pipeline = make()
    for number in range(3):
        pipeline.submit(PING, PING_HEAD, PING_RECORDS, FOREVER_NS, number)
    send_all(pipeline)
    receive(pipeline, 3 * ZERO_PAGE)
    assert (pipeline.counters.pings, pipeline.counters.redos) == (3, 0)


def test_errors_number_requests_from_the_first_of_the_child() -> None:
    pipeline = make()
    for number in range(5):
        submit(pipeline, number)
    send_all(pipeline)
    receive(pipeline, page(0) + page(1))
    told = pipeline.fail(ChildExitedError(PID, "gone"))
    errors = [ticket.error for ticket in told]
    assert [error.ticket for error in errors if isinstance(error, StreamsPoisonedError)] == [3, 4]
    with pytest.raises(StreamsPoisonedError, match="before redo 5 was"):
        submit(pipeline, 5)


def test_a_wrong_head_of_an_abandoned_redo_is_unexpected_too() -> None:
    pipeline = make()
    ticket = submit(pipeline, 0)
    send_all(pipeline)
    pipeline.abandon(ticket)
    with pytest.raises(UnexpectedOutputError):
        receive(pipeline, page(0, HEADS[1]))


# --- abandoning -----------------------------------------------------------------------------------


def test_a_redo_abandoned_before_a_byte_has_left_leaves_no_trace() -> None:
    pipeline = make()
    tickets = [submit(pipeline, number) for number in range(3)]
    kept = message_of(0) + message_of(2)
    pipeline.abandon(tickets[1])
    assert pipeline.in_flight == 2
    assert send_all(pipeline) == kept
    assert outcome(receive(pipeline, page(0) + page(2))) == [(0, page(0)), (2, page(2))]
    assert pipeline.counters.pages_dropped == 0
    assert pipeline.counters.bytes_sent == 200


def test_the_only_redo_abandoned_leaves_nothing_to_send() -> None:
    pipeline = make()
    pipeline.abandon(submit(pipeline, 0))
    assert not pipeline.has_unsent
    assert pipeline.chunks_to_send() == []
    assert pipeline.in_flight == 0


@pytest.mark.parametrize("sent", [1, 99, 100])
def test_a_redo_abandoned_on_its_way_is_finished_and_its_page_dropped(sent: int) -> None:
    pipeline = make()
    tickets = [submit(pipeline, number) for number in range(2)]
    messages = message_of(0) + message_of(1)
    data = send(pipeline, sent)
    pipeline.abandon(tickets[0])
    assert pipeline.in_flight == 2
    assert data + send_all(pipeline) == messages
    assert outcome(receive(pipeline, page(0) + page(1))) == [(1, page(1))]
    assert tickets[0].page is None
    counters = pipeline.counters
    assert (counters.pages_dropped, counters.redos, counters.records) == (1, 1, 3)


def test_abandoning_what_is_over_changes_nothing() -> None:
    pipeline = make()
    answered, failed = (submit(pipeline, number) for number in range(2))
    send_all(pipeline)
    receive(pipeline, page(0))
    pipeline.abandon(answered)
    assert answered.page == page(0)
    pipeline.fail(QuiescedError(PID, "over"))
    pipeline.abandon(failed)
    twice = submit(other := make(), 7)
    other.abandon(twice)
    other.abandon(twice)
    assert other.in_flight == 0
    assert not answered.abandoned
    assert not failed.abandoned
    assert pipeline.counters.pages_dropped == 0


def test_10_000_abandoned_redos_are_not_held() -> None:
    pipeline = make()
    first = submit(pipeline, 0)
    send(pipeline, 50)
    for number in range(1, 10_001):
        pipeline.abandon(submit(pipeline, number, size=1000))
        assert pipeline.in_flight == 1
    assert list(pipeline.pending) == [first]
    assert sum(map(len, pipeline.chunks_to_send())) == 50
    pipeline.sent(50)
    assert receive(pipeline, page(0)) == [first]


def test_pages_of_10_000_abandoned_redos_are_not_held() -> None:
    pipeline = make()
    room = len(pipeline.receive_space())
    for number in range(10_000):
        ticket = submit(pipeline, number)
        send_all(pipeline)
        pipeline.abandon(ticket)
        assert not pipeline.has_unsent
        assert receive(pipeline, page(number)) == []
        assert ticket.page is None
        assert pipeline.in_flight == 0
        assert len(pipeline.receive_space()) == room
    assert pipeline.counters.pages_dropped == 10_000
    assert pipeline.pages_answered == 10_000


# --- failure --------------------------------------------------------------------------------------


def test_fail_tells_everybody_once_and_the_oldest_last() -> None:
    pipeline = make()
    tickets = [submit(pipeline, number) for number in range(4)]
    send(pipeline, 150)
    pipeline.abandon(tickets[2])
    failure = ChildExitedError(PID, "gone")
    told = pipeline.fail(failure)
    assert [ticket.owner for ticket in told] == [1, 3, 0]
    assert tickets[0].error is failure
    for ticket, number in ((tickets[1], 1), (tickets[3], 2)):  # of those that the child is sent
        error = ticket.error
        assert isinstance(error, StreamsPoisonedError)
        assert error.__cause__ is failure
        assert (error.pid, error.ticket) == (PID, number)
    assert tickets[2].error is None
    assert [ticket.suspect for ticket in tickets] == [True, False, False, False]
    assert pipeline.fail(ChildExitedError(PID, "again")) == []
    assert pipeline.failure is failure


def test_fail_of_an_idle_child_tells_nobody() -> None:
    assert make().fail(ChildExitedError(PID, "gone")) == []


def test_fail_tells_nobody_when_the_only_redo_was_abandoned() -> None:
    pipeline = make()
    ticket = submit(pipeline, 0)
    send_all(pipeline)
    pipeline.abandon(ticket)
    assert pipeline.fail(ChildExitedError(PID, "gone")) == []
    assert ticket.error is None


def test_others_of_an_abandoned_oldest_redo_are_no_suspects() -> None:
    pipeline = make()
    tickets = [submit(pipeline, number) for number in range(3)]
    send_all(pipeline)
    pipeline.abandon(tickets[0])
    told = pipeline.fail(ChildExitedError(PID, "gone"))
    assert [ticket.owner for ticket in told] == [1, 2]
    assert not any(ticket.suspect for ticket in told)
    assert all(isinstance(ticket.error, StreamsPoisonedError) for ticket in told)


@pytest.mark.parametrize("sent", [1, 100])
def test_the_oldest_is_suspect_if_the_child_had_a_byte_of_it(sent: int) -> None:
    pipeline = make()
    answered, oldest = (submit(pipeline, number) for number in range(2))
    send(pipeline, 100)
    receive(pipeline, page(0))
    assert answered.page
    send(pipeline, sent)
    pipeline.fail(ChildExitedError(PID, "gone"))
    assert oldest.suspect


def test_the_oldest_is_suspect_if_a_write_under_way_offers_it() -> None:
    pipeline = make()
    submit(pipeline, 0)
    send_all(pipeline)
    receive(pipeline, page(0))
    ticket = submit(pipeline, 1)
    pipeline.chunks_to_send()
    pipeline.fail(ChildExitedError(PID, "gone"))
    assert ticket.suspect


def test_bytes_of_a_redo_that_was_answered_make_no_other_one_suspect() -> None:
    """A part of a message has left, then the rest, and its answer came before the write call had
    returned: the redo after it has nothing to do with that."""
    pipeline = make(receive_bytes=1)
    submit(pipeline, 0)
    send_all(pipeline)
    receive(pipeline, page(0))
    submit(pipeline, 1)
    after = submit(pipeline, 2)
    send(pipeline, 1)
    assert len(pipeline.chunks_to_send()) == 1
    receive(pipeline, page(1))
    pipeline.fail(ChildExitedError(PID, "gone"))
    assert not after.suspect


def test_a_redo_of_which_nothing_was_sent_is_no_suspect_on_a_child_that_answered() -> None:
    """A child that died while idle is not the next redo's fault."""
    pipeline = make()
    submit(pipeline, 0)
    send_all(pipeline)
    receive(pipeline, page(0))
    ticket = submit(pipeline, 1)
    pipeline.chunks_to_send()
    pipeline.sent(0)
    failure = ChildExitedError(PID, "it closed its input")
    assert pipeline.fail(failure) == [ticket]
    assert not ticket.suspect
    assert ticket.error is failure


def test_the_oldest_is_suspect_on_a_child_that_never_answered_anything() -> None:
    pipeline = make()
    tickets = [submit(pipeline, number) for number in range(2)]
    pipeline.fail(ChildExitedError(PID, "gone"))
    assert [ticket.suspect for ticket in tickets] == [True, False]


def test_a_failure_that_is_not_the_childs_poisons_the_oldest_too() -> None:
    pipeline = make()
    ticket = submit(pipeline, 0)
    failure = RedoTimeoutError(1.0, "a page", PID)
    pipeline.fail(failure)
    assert isinstance(ticket.error, StreamsPoisonedError)
    assert ticket.error.__cause__ is failure


def test_a_shut_down_gives_everybody_an_error_of_their_own() -> None:
    pipeline = make()
    for number in range(3):
        submit(pipeline, number)
    failure = ShutDownError()
    errors = [ticket.error for ticket in pipeline.fail(failure)]
    assert [type(error) for error in errors] == [ShutDownError] * 3
    assert len({id(error) for error in (*errors, failure)}) == 4
    with pytest.raises(ShutDownError) as caught:
        submit(pipeline, 9)
    assert caught.value is not failure


def test_submit_after_fail_raises_the_poison() -> None:
    pipeline = make()
    failure = ChildExitedError(PID, "gone")
    pipeline.fail(failure)
    with pytest.raises(StreamsPoisonedError) as caught:
        submit(pipeline, 0)
    assert caught.value.__cause__ is failure
    assert pipeline.in_flight == 0


def test_after_fail_nothing_is_offered_and_nothing_delivered() -> None:
    pipeline = make()
    tickets = [submit(pipeline, number) for number in range(2)]
    send(pipeline, 150)
    receive(pipeline, page(0)[:100])
    pipeline.fail(ChildExitedError(PID, "gone"))
    assert not pipeline.has_unsent
    assert pipeline.chunks_to_send() == []
    assert pipeline.in_flight == 0
    assert receive(pipeline, page(0)[100:] + page(1)) == []
    assert [ticket.page for ticket in tickets] == [None, None]
    assert len(pipeline.receive_space()) >= PAGE_SIZE


def test_a_write_that_ends_after_the_failure_only_counts() -> None:
    pipeline = make()
    submit(pipeline, 0)
    assert pipeline.chunks_to_send()
    pipeline.fail(ChildExitedError(PID, "gone"))
    pipeline.sent(60)
    assert pipeline.counters.bytes_sent == 60
    assert pipeline.chunks_to_send() == []
    assert receive(pipeline, page(0)) == []


# --- deadlines and counters -----------------------------------------------------------------------


def test_deadlines() -> None:
    pipeline = make()
    assert pipeline.earliest_deadline_ns() is None
    assert pipeline.expired(FOREVER_NS) == []
    first, second = submit(pipeline, 0, deadline_ns=20), submit(pipeline, 1, deadline_ns=10)
    assert pipeline.earliest_deadline_ns() == 10
    assert pipeline.expired(9) == []
    assert pipeline.expired(10) == [second]
    assert pipeline.expired(20) == [first, second]
    pipeline.abandon(second)
    assert pipeline.earliest_deadline_ns() == 20
    pipeline.fail(QuiescedError(PID, "over"))
    assert pipeline.earliest_deadline_ns() is None


def test_counters() -> None:
    pipeline = make()
    pipeline.submit(b"redo", HEADS[0], 5, FOREVER_NS, 0)
    pipeline.submit(b"ping", HEADS[0], PING_RECORDS, FOREVER_NS, 1)
    pipeline.submit(b"none", HEADS[0], 0, FOREVER_NS, 2)
    pipeline.submit(b"one.", HEADS[0], 1, FOREVER_NS, 3)
    pipeline.submit(b"ping", HEADS[0], PING_RECORDS, FOREVER_NS, 4)
    send_all(pipeline)
    for part in (page(0)[:1000], page(0)[1000:] + page(1), page(2), page(3) + page(4)):
        receive(pipeline, part)
    submit(pipeline, 5)
    counters = pipeline.counters
    assert (counters.redos, counters.records, counters.pings) == (3, 6, 2)
    assert (counters.bytes_sent, counters.bytes_received) == (20, 5 * PAGE_SIZE)
    assert (counters.write_calls, counters.read_calls) == (1, 4)
    assert counters.in_flight_peak == 5


# --- any split of the bytes -----------------------------------------------------------------------


def parts(most: int) -> st.SearchStrategy[int]:
    """How much of so many bytes one call takes: often all, as many small parts are slow."""
    return st.one_of(st.just(most), st.integers(1, most))


@given(data=st.data())
@settings(max_examples=EXAMPLES)
def test_any_split_gives_the_same_pages_to_the_same_owners(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(2, 3000).map(lambda n: 4 * n), max_size=8))
    heads = data.draw(st.lists(st.sampled_from(HEADS), min_size=len(sizes), max_size=len(sizes)))
    pipeline: Pipeline[int] = make(data.draw(st.sampled_from([1, 4096, 65536])))
    messages, answers = [], []
    for number, (size, head) in enumerate(zip(sizes, heads, strict=True)):
        submit(pipeline, number, size, head=head)
        if number and head == heads[number - 1] != PING_HEAD:
            messages.append(PING)
            answers.append(ZERO_PAGE)
        messages.append(message_of(number, size))
        answers.append(page(number, head))
    out = b""
    while pipeline.has_unsent:
        offered = b"".join(pipeline.chunks_to_send())
        count = data.draw(parts(len(offered)))
        pipeline.sent(count)
        out += offered[:count]
    assert out == b"".join(messages)
    answer, delivered = b"".join(answers), []
    while answer:
        space = pipeline.receive_space()
        count = data.draw(parts(min(len(space), len(answer))))
        delivered += outcome(receive(pipeline, answer[:count]))
        answer = answer[count:]
    assert delivered == [(number, page(number, head)) for number, head in enumerate(heads)]


# --- fences ---------------------------------------------------------------------------------------

ONE, TWO = HEADS[1], HEADS[2]


def test_answers_that_begin_alike_have_a_fence_between_them() -> None:
    pipeline = make()
    for number, head in enumerate([ONE, ONE, TWO, ONE, ONE]):
        submit(pipeline, number, head=head)
    messages = list(map(message_of, range(5)))
    messages[1:1] = [PING]
    messages[5:5] = [PING]
    assert send_all(pipeline) == b"".join(messages)
    pages = [page(number, head) for number, head in enumerate([ONE, ONE, TWO, ONE, ONE])]
    sent = [pages[0], ZERO_PAGE, *pages[1:4], ZERO_PAGE, pages[4]]
    completed = receive(pipeline, b"".join(sent[:6])) + receive(pipeline, sent[6])
    assert outcome(completed) == list(enumerate(pages))
    assert (pipeline.counters.fences, pipeline.counters.pages_dropped) == (2, 0)
    assert (pipeline.counters.redos, pipeline.counters.pings) == (5, 0)


def test_a_fence_holds_after_the_first_was_answered() -> None:
    pipeline = make()
    submit(pipeline, 0, head=ONE)
    send_all(pipeline)
    receive(pipeline, page(0, ONE))
    submit(pipeline, 1, head=ONE)
    assert send_all(pipeline) == PING + message_of(1)


@pytest.mark.parametrize(
    "sent",
    [
        [page(0, ONE), page(0, ONE), ZERO_PAGE],  # an answer twice
        [page(0, ONE), page(1, ONE), ZERO_PAGE],  # the ping skipped
        [ZERO_PAGE, page(1, ONE)],  # an answer skipped
        [page(0, ONE), ZERO_PAGE, ZERO_PAGE, page(1, ONE)],  # the ping answered twice
    ],
)
def test_nobody_gets_a_neighbours_page_that_begins_alike(sent: list[bytes]) -> None:
    pipeline = make()
    tickets = [submit(pipeline, number, head=ONE) for number in range(3)]
    send_all(pipeline)
    with pytest.raises(UnexpectedOutputError, match="does not begin"):
        for one in sent:
            receive(pipeline, one)
    assert [ticket.page for ticket in tickets] == [
        sent[0] if sent[0] != ZERO_PAGE else None,
        None,
        None,
    ]


def test_pings_and_redos_without_an_lsn_need_no_fence() -> None:
    pipeline = make()
    for number in range(3):
        submit(pipeline, number, head=PING_HEAD)
    assert pipeline.in_flight == 3
    assert pipeline.counters.fences == 0


def test_fences_of_10_000_abandoned_redos_do_not_pile_up() -> None:
    pipeline = make()
    submit(pipeline, 0, head=ONE)
    send(pipeline, 50)
    for number in range(1, 10_001):
        pipeline.abandon(submit(pipeline, number, head=ONE))
        assert pipeline.in_flight <= 2


def test_a_fence_does_not_follow_a_fence() -> None:
    pipeline = make()
    tickets = [submit(pipeline, number, head=ONE) for number in range(3)]
    pipeline.abandon(tickets[1])
    assert send_all(pipeline) == message_of(0) + PING + message_of(2)


def test_a_fence_stays_where_only_it_keeps_two_apart() -> None:
    pipeline = make()
    tickets = [submit(pipeline, n, head=head) for n, head in enumerate([TWO, ONE, ONE, TWO])]
    pipeline.abandon(tickets[2])
    pipeline.abandon(tickets[1])
    assert send_all(pipeline) == message_of(0) + PING + message_of(3)


def test_who_leaves_from_between_two_alike_leaves_a_fence() -> None:
    pipeline = make()
    tickets = [submit(pipeline, n, head=head) for n, head in enumerate([ONE, TWO, ONE])]
    pipeline.abandon(tickets[1])
    assert send_all(pipeline) == message_of(0) + PING + message_of(2)
    completed = receive(pipeline, page(0, ONE) + ZERO_PAGE + page(2, ONE))
    assert outcome(completed) == [(0, page(0, ONE)), (2, page(2, ONE))]
    assert (pipeline.counters.fences, pipeline.counters.pages_dropped) == (1, 0)


def test_who_leaves_from_between_two_that_differ_leaves_nothing() -> None:
    pipeline = make()
    tickets = [submit(pipeline, n, head=head) for n, head in enumerate([ONE, TWO, HEADS[0], ONE])]
    pipeline.abandon(tickets[1])
    pipeline.abandon(tickets[2])
    # The last of the two was all that kept the others apart.
    assert send_all(pipeline) == message_of(0) + PING + message_of(3)


def test_after_the_last_has_left_the_one_before_counts() -> None:
    pipeline = make()
    submit(pipeline, 0, head=ONE)
    pipeline.abandon(submit(pipeline, 1, head=TWO))
    submit(pipeline, 2, head=TWO)
    assert send_all(pipeline) == message_of(0) + message_of(2)
    receive(pipeline, page(0, ONE) + page(2, TWO))
    pipeline.abandon(submit(pipeline, 3, head=ONE))
    submit(pipeline, 4, head=TWO)
    assert send_all(pipeline) == PING + message_of(4)


# --- a machine next to a model --------------------------------------------------------------------


class ModelRedo:
    """A redo as the reference model sees it."""

    def __init__(self, ticket: Ticket[int], message: bytes, head: bytes) -> None:
        self.ticket = ticket
        self.message = message
        self.page = page(ticket.owner or 0, head)
        self.deadline_ns = ticket.deadline_ns
        self.records = ticket.records
        self.taken = 0  # bytes that are in the child's pipe
        self.abandoned = False

    def become_fence(self) -> None:
        self.message, self.page, self.records = PING, ZERO_PAGE, FENCE_RECORDS
        self.abandoned = True


class PipelineMachine(RuleBasedStateMachine):
    """Two pretended threads (a writer's offer and its end, a reader) and callers who come and go.

    The child answers the moment it has a request whole, also while the write call has not returned.
    """

    @initialize(receive_bytes=st.sampled_from([1, 4096, 16384, 65536]))
    def begin(self, receive_bytes: int) -> None:
        self.send_limit = receive_bytes
        self.pipeline: Pipeline[int] = Pipeline(PID, receive_bytes)
        self.pending: deque[ModelRedo] = deque()
        self.known: dict[int, ModelRedo] = {}  # which keep their tickets alive, so ids are theirs
        self.made = 0
        self.offered: bytes | None = None
        self.offered_redos: list[ModelRedo] = []
        self.taken = 0
        self.output = b""
        self.read = self.written = self.redos = self.records = self.pings = self.dropped = 0
        self.answered = 0
        self.answered_head = b""
        self.failed = False

    @rule(
        size=st.one_of(st.integers(4, 200), st.integers(4, 30_000)),
        head=st.sampled_from(HEADS),
        records=st.integers(PING_RECORDS, 4),
        deadline_ns=st.integers(0, 100),
    )
    def submit(self, size: int, head: bytes, records: int, deadline_ns: int) -> None:
        owner = self.made
        message = owner.to_bytes(4, "big") + bytes(size - 4)
        if self.failed:
            with pytest.raises(WalredoError):
                self.pipeline.submit(message, head, records, deadline_ns, owner)
            return
        ticket = self.pipeline.submit(message, head, records, deadline_ns, owner)
        self.made += 1
        self.known[id(ticket)] = ModelRedo(ticket, message, head)
        self.take_over_fences()

    def take_over_fences(self) -> None:
        """Where the pipeline puts fences is its own business; that they are enough is ours."""
        self.pending.clear()
        for ticket in self.pipeline.pending:
            redo = self.known.get(id(ticket))
            if redo is None:
                redo = self.known[id(ticket)] = ModelRedo(ticket, b"", PING_HEAD)
            if ticket.records == FENCE_RECORDS and redo.message != PING:
                assert redo.taken == 0
                redo.become_fence()
            self.pending.append(redo)

    @precondition(lambda self: self.offered is None)
    @rule(data=st.data())
    def offer(self, data: st.DataObject) -> None:
        """The writer takes what is due, and the kernel some of it; the call has not returned."""
        chunks = self.pipeline.chunks_to_send()
        unsent = [redo for redo in self.pending if redo.taken < len(redo.message)]
        if self.failed:
            assert chunks == []
            return
        offered = b"".join(chunks)
        due = b"".join(redo.message[redo.taken :] for redo in unsent)
        assert offered == due[: len(offered)]
        assert bool(offered) == bool(due)
        if not chunks:
            return
        assert len(offered) == len(due) or len(offered) >= self.send_limit
        assert len(offered) - len(chunks[-1]) < self.send_limit
        self.offered = offered
        self.offered_redos = unsent[: len(chunks)]
        self.taken = data.draw(st.one_of(st.just(len(offered)), st.integers(0, len(offered))))
        left = self.taken
        for redo in unsent:
            step = min(left, len(redo.message) - redo.taken)
            redo.taken += step
            left -= step
            if step and redo.taken == len(redo.message):
                self.output += redo.page

    @precondition(lambda self: self.offered is not None)
    @rule()
    def confirm(self) -> None:
        """The write call returns."""
        self.pipeline.sent(self.taken)
        self.written += self.taken
        self.offered, self.offered_redos = None, []

    @precondition(lambda self: self.output)
    @rule(data=st.data())
    def receive(self, data: st.DataObject) -> None:
        most = min(len(self.pipeline.receive_space()), len(self.output))
        count = data.draw(st.one_of(st.just(most), st.integers(1, most)))
        chunk, self.output = self.output[:count], self.output[count:]
        completed = receive(self.pipeline, chunk)
        before, self.read = self.read, self.read + count
        if self.failed:
            assert completed == []
            return
        expected = []
        for _ in range(self.read // PAGE_SIZE - before // PAGE_SIZE):
            redo = self.pending.popleft()
            self.answered += 1
            self.answered_head = redo.page[:PAGE_HEAD_BYTES]
            if redo.abandoned:
                self.dropped += redo.records != FENCE_RECORDS
                assert redo.ticket.page is None
                continue
            expected.append((redo.ticket.owner, redo.page))
            if redo.records == PING_RECORDS:
                self.pings += 1
            else:
                self.redos += 1
                self.records += redo.records
        assert outcome(completed) == expected

    @precondition(lambda self: self.offered is None and any(not r.abandoned for r in self.pending))
    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        waiting = [redo for redo in self.pending if not redo.abandoned]
        redo = waiting[data.draw(st.integers(0, len(waiting) - 1))]
        self.pipeline.abandon(redo.ticket)
        redo.abandoned = True
        self.take_over_fences()
        held = redo in self.pending and redo.records != FENCE_RECORDS
        assert held == (redo.taken > 0)

    @precondition(lambda self: self.made > 3 and not self.failed)
    @rule(failure=st.sampled_from([ChildExitedError(PID, "gone"), RedoTimeoutError(1, "a page")]))
    def fail(self, failure: FailedAttempt) -> None:
        told = self.pipeline.fail(failure)
        waiting = [redo.ticket for redo in self.pending if not redo.abandoned]
        if self.pending and not self.pending[0].abandoned:
            waiting = [*waiting[1:], waiting[0]]
            oldest = self.pending[0]
            # What is offered to a write under way may have left.
            had_bytes = oldest.taken > 0 or oldest in self.offered_redos
            assert oldest.ticket.suspect == (had_bytes or not self.answered)
        assert told == waiting
        assert all(ticket.error is not None and ticket.page is None for ticket in told)
        self.pending.clear()
        self.failed = True

    @rule(data=st.data())
    @precondition(lambda self: self.failed)
    def fail_again(self, data: st.DataObject) -> None:
        assert self.pipeline.fail(ShutDownError()) == []

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "pipeline"):
            return
        pipeline, counters = self.pipeline, self.pipeline.counters
        assert [t.owner for t in pipeline.pending] == [r.ticket.owner for r in self.pending]
        assert pipeline.in_flight == len(self.pending)
        if self.offered is None:
            unsent = any(redo.taken < len(redo.message) for redo in self.pending)
            assert pipeline.has_unsent == unsent
        heads = [self.answered_head, *(redo.page[:PAGE_HEAD_BYTES] for redo in self.pending)]
        assert all(a != b for a, b in pairwise(heads) if b != PING_HEAD)
        fences = sum(redo.records == FENCE_RECORDS for redo in self.pending)
        assert fences <= len(self.pending) - fences + 1
        deadlines = [redo.deadline_ns for redo in self.pending]
        assert pipeline.earliest_deadline_ns() == min(deadlines, default=None)
        late = [redo.ticket for redo in self.pending if redo.deadline_ns <= 50]
        assert pipeline.expired(50) == late
        assert pipeline.pages_answered == self.answered
        assert (counters.redos, counters.records, counters.pings, counters.pages_dropped) == (
            self.redos,
            self.records,
            self.pings,
            self.dropped,
        )
        assert (counters.bytes_sent, counters.bytes_received) == (self.written, self.read)


PipelineMachine.TestCase.settings = settings(max_examples=EXAMPLES, stateful_step_count=40)
TestPipelineMachine = PipelineMachine.TestCase
