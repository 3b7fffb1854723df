"""The manager's side of the shared memory: what it copies, whom it wakes, which counters it takes.

The test plays the child: it has the same memory.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walredo.transport import ring as module
from walredo.transport.ring import (
    CHILD_SLEEPS,
    CONSUMED,
    HEADER_BYTES,
    MANAGER_SLEEPS,
    MAX_SPIN_NS,
    MEMORY_BYTES,
    READY,
    RING_BYTES,
    SLOTS,
    TAKEN,
    UNTIL_PAGES,
    UNTIL_PAGES_OR_ROOM,
    WRITTEN,
    BadCounter,
    SharedRing,
)
from walredo.wire import PAGE_SIZE


class Shared:
    """A ring and the child's view of its memory."""

    def __init__(self) -> None:
        memory = memoryview(bytearray(MEMORY_BYTES))
        self.ring = SharedRing(memory)
        self.ring.reset(0)
        self.words = memory[:HEADER_BYTES].cast("Q")
        self.bytes = memory

    def consume(self, size: int) -> bytes:
        """The next bytes of requests, as the child reads them."""
        at = self.words[CONSUMED]
        assert size <= self.words[WRITTEN] - at
        ring = self.bytes[HEADER_BYTES : HEADER_BYTES + RING_BYTES]
        self.words[CONSUMED] = at + size
        at %= RING_BYTES
        return (bytes(ring[at:]) + bytes(ring[:at]))[:size]

    def consume_all(self) -> bytes:
        return self.consume(self.words[WRITTEN] - self.words[CONSUMED])

    def answer(self, *numbers: int) -> None:
        """Publishes pages of these numbers."""
        for number in numbers:
            at = HEADER_BYTES + RING_BYTES + self.words[READY] % SLOTS * PAGE_SIZE
            self.bytes[at : at + PAGE_SIZE] = page(number)
            self.words[READY] += 1


def page(number: int) -> bytes:
    return number.to_bytes(8, "big") * (PAGE_SIZE // 8)


# --- requests -------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 400_000), min_size=1, max_size=12), st.integers())
def test_requests_arrive_whole_and_in_order(sizes: list[int], seed: int) -> None:
    drawn = random.Random(seed)
    shared = Shared()
    sent, arrived = bytearray(), bytearray()
    for number, size in enumerate(sizes):
        data = bytes([number + 1]) * size
        cut = drawn.randrange(size)
        chunks: list[bytes | memoryview] = [data[:cut], memoryview(data)[cut:]]
        while chunks:
            count, _ = shared.ring.put(chunks)
            sent += b"".join(chunks)[:count]
            rest = b"".join(chunks)[count:]
            chunks = [rest] if rest else []
            if chunks:
                assert shared.ring.room() == 0
                assert not shared.ring.has_room
            arrived += shared.consume_all()
    assert arrived == sent
    assert shared.words[WRITTEN] == sum(sizes)


def test_a_full_ring_takes_nothing_until_bytes_are_consumed() -> None:
    shared = Shared()
    assert shared.ring.put([bytes(RING_BYTES + 5)]) == (RING_BYTES, False)
    assert shared.ring.put([b"more"]) == (0, False)
    shared.words[CONSUMED] = 3
    assert shared.ring.has_room
    assert shared.ring.put([b"more"]) == (3, False)
    assert shared.words[WRITTEN] == RING_BYTES + 3


def test_a_child_that_sleeps_is_to_be_woken_once() -> None:
    shared = Shared()
    shared.words[CHILD_SLEEPS] = 1
    assert shared.ring.put([b"a"]) == (1, True)
    assert shared.words[CHILD_SLEEPS] == 0
    assert shared.ring.put([b"b"]) == (1, False)


# --- pages ----------------------------------------------------------------------------------------


def test_pages_come_in_order_around_the_end_of_the_slots() -> None:
    shared = Shared()
    number = 0
    for count in (1, SLOTS - 3, 5, SLOTS, 7):
        numbers = range(number, number + count)
        assert not shared.ring.has_pages()
        assert shared.ring.take() == ()
        shared.answer(*numbers)
        assert shared.ring.has_pages()
        assert shared.ring.take() == tuple(map(page, numbers))
        number += count
        assert shared.words[TAKEN] == number


def test_a_page_is_a_copy() -> None:
    shared = Shared()
    shared.answer(1)
    (taken,) = shared.ring.take()
    at = HEADER_BYTES + RING_BYTES
    shared.bytes[at : at + PAGE_SIZE] = page(2)
    assert taken == page(1)


def test_a_child_without_a_free_slot_is_to_be_woken() -> None:
    shared = Shared()
    shared.ring.put([b"requests"])
    shared.answer(*range(SLOTS))
    shared.words[CHILD_SLEEPS] = 1  # with requests that it has not consumed
    assert shared.ring.child_awaits_a_slot(len(shared.ring.take()))
    assert shared.words[CHILD_SLEEPS] == 0
    assert not shared.ring.child_awaits_a_slot(0)


def test_a_child_without_requests_is_left_asleep() -> None:
    shared = Shared()
    shared.ring.put([b"requests"])
    shared.consume_all()
    shared.answer(1)
    shared.words[CHILD_SLEEPS] = 1
    assert not shared.ring.child_awaits_a_slot(len(shared.ring.take()))
    assert not shared.ring.child_awaits_a_slot(0)
    assert shared.words[CHILD_SLEEPS] == 1


# --- counters that lie ----------------------------------------------------------------------------


@pytest.mark.parametrize("ready", [SLOTS + 4, 2, 0, (1 << 64) - 1])
def test_impossible_numbers_of_pages_are_refused(ready: int) -> None:
    shared = Shared()
    shared.answer(1, 2, 3)
    shared.ring.take()
    shared.words[READY] = ready
    with pytest.raises(BadCounter, match=rf"{ready} pages are ready, of which 3 were taken"):
        shared.ring.take()
    assert shared.words[TAKEN] == 3


@pytest.mark.parametrize("consumed", [RING_BYTES + 1, 4, 0, (1 << 64) - 1])
def test_impossible_numbers_of_consumed_bytes_are_refused(consumed: int) -> None:
    shared = Shared()
    shared.ring.put([bytes(RING_BYTES)])
    shared.words[CONSUMED] = 5
    assert shared.ring.room() == 5
    shared.words[CONSUMED] = consumed
    with pytest.raises(BadCounter, match=rf"consumed {consumed} bytes of requests, after 5"):
        shared.ring.put([bytes(6)])


def test_what_the_child_does_to_the_counters_of_the_manager_means_nothing() -> None:
    shared = Shared()
    shared.ring.put([b"abc"])
    shared.answer(1)
    shared.words[WRITTEN] = shared.words[TAKEN] = 99
    assert shared.ring.take() == (page(1),)
    shared.ring.put([b"de"])
    assert (shared.words[WRITTEN], shared.words[TAKEN]) == (5, 1)


# --- sleeping -------------------------------------------------------------------------------------


def fills(shared: Shared) -> None:
    shared.ring.put([bytes(RING_BYTES)])


def consumes(shared: Shared) -> None:
    fills(shared)
    shared.words[CONSUMED] = 1


@pytest.mark.parametrize(
    ("until", "happens", "sleeps"),
    [
        (UNTIL_PAGES, lambda shared: None, True),
        (UNTIL_PAGES, lambda shared: shared.answer(1), False),
        (UNTIL_PAGES, fills, True),
        (UNTIL_PAGES, consumes, True),
        (UNTIL_PAGES_OR_ROOM, lambda shared: None, False),
        (UNTIL_PAGES_OR_ROOM, lambda shared: shared.answer(1), False),
        (UNTIL_PAGES_OR_ROOM, fills, True),
        (UNTIL_PAGES_OR_ROOM, consumes, False),
    ],
)
def test_the_manager_sleeps_only_if_there_is_nothing_to_do(
    until: int, happens: Callable[[Shared], object], sleeps: bool
) -> None:
    shared = Shared()
    happens(shared)
    assert shared.ring.fall_asleep(until) is sleeps
    assert shared.words[MANAGER_SLEEPS] == (until if sleeps else 0)
    shared.ring.wake_up()
    assert shared.words[MANAGER_SLEEPS] == 0


# --- launches and machines ------------------------------------------------------------------------


def test_a_new_child_finds_an_empty_memory() -> None:
    shared = Shared()
    shared.ring.put([b"old"])
    shared.answer(1, 2)
    shared.ring.take()
    shared.ring.fall_asleep(UNTIL_PAGES)
    shared.words[CHILD_SLEEPS] = 1
    shared.ring.reset(5 * MAX_SPIN_NS)
    counters = (WRITTEN, TAKEN, MANAGER_SLEEPS, CONSUMED, READY, CHILD_SLEEPS)
    assert [shared.words[counter] for counter in counters] == [0] * 6
    assert bytes(shared.bytes[:8]) == b"WALREDO1"
    assert shared.words[1:6].tolist() == [RING_BYTES, SLOTS, PAGE_SIZE, MAX_SPIN_NS, 0]
    assert shared.ring.put([b"new"]) == (3, False)
    assert shared.ring.take() == ()


def test_without_a_fence_both_sides_always_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HAS_FENCE", False)
    monkeypatch.setattr(module, "_ORDERED", False)
    shared = Shared()
    assert shared.words[5] == 1
    assert shared.ring.put([b"a"]) == (1, True)
    assert not shared.ring.child_awaits_a_slot(0)
    shared.answer(1)
    assert shared.ring.child_awaits_a_slot(len(shared.ring.take()))


@pytest.mark.parametrize("ordered", [True, False])
def test_both_orders_of_memory_copy_alike(ordered: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ORDERED", ordered)
    shared = Shared()
    shared.ring.put([b"abc"])
    assert shared.consume_all() == b"abc"
    shared.answer(1, 2)
    assert shared.ring.take() == (page(1), page(2))
