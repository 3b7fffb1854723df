"""What a worker sends, and what is not believed of it."""

from __future__ import annotations

import itertools
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import SampleError
from bench.results.measures.redos import time_per_redo_s
from bench.results.samples import SliceSamples
from tests.support.synthetic import int64s, payload, steady_slice


def test_a_payload_by_hand() -> None:
    raw = struct.pack("=11q", 1, 100, 3, 2, 90, 2, 10, 11, 12, 20, 21)
    one = SliceSamples.from_payload(raw, 2)
    assert one.clients == 2
    assert one.start_ns.tolist() == [1, 2]
    assert one.end_ns.tolist() == [100, 90]
    assert one.redos.tolist() == [3, 2]
    assert one.latency_ns.tolist() == [10, 11, 12, 20, 21]


def test_a_payload_reads_back() -> None:
    one = steady_slice(5, 7, 1000)
    again = SliceSamples.from_payload(payload(one), 5)
    assert payload(again) == payload(one)


def test_turns_by_hand() -> None:
    raw = struct.pack("=11q", 1, 100, 3, 2, 90, 2, 10, 11, 12, 20, 21)
    one = SliceSamples.from_payload(raw, 2, redo_end_ns=int64s(1030, 1070, 1100, 3000, 3060))
    assert one.turn_ns is not None
    assert one.turn_ns.tolist() == [30, 40, 30, 30, 60]
    assert SliceSamples.from_payload(raw, 2).turn_ns is None


@given(
    st.lists(st.lists(st.integers(1, 10**9), min_size=1, max_size=9), min_size=1, max_size=9),
    st.integers(-(10**15), 10**15),
)
def test_the_turns_of_a_client_fill_its_wall(turns: list[list[int]], zero: int) -> None:
    ends = [list(itertools.accumulate(own)) for own in turns]
    count = [len(own) for own in turns]
    one = SliceSamples(
        int64s(*[0] * len(turns)),
        int64s(*(own[-1] for own in ends)),
        int64s(*count),
        int64s(*[1] * sum(count)),
        redo_end_ns=int64s(*(zero + end for own in ends for end in own)),
    )
    assert one.turn_ns is not None
    assert one.turn_ns.tolist() == [turn for own in turns for turn in own]
    # So their mean is the time per redo.
    assert time_per_redo_s([one]) == pytest.approx(one.turn_ns.mean() / 1e9)


@pytest.mark.parametrize(
    ("ends", "problem"), [([5], "1 ends of 2 redos"), ([7, 5], "before the one before it")]
)
def test_impossible_ends_are_refused(ends: list[int], problem: str) -> None:
    with pytest.raises(SampleError, match=problem):
        SliceSamples(int64s(0), int64s(10), int64s(2), int64s(1, 1), redo_end_ns=int64s(*ends))


def test_nothing_can_be_written_to() -> None:
    own = int64s(5, 5)
    one = SliceSamples(int64s(0), int64s(10), int64s(2), own)
    with pytest.raises(ValueError, match="read-only"):
        one.latency_ns[0] = 1
    own[0] = 6  # the caller's array is still the caller's


@pytest.mark.parametrize(
    ("numbers", "clients", "problem"),
    [
        ([], 1, "too few"),
        ([0, 10, 1], 1, "too few"),
        ([0, 10, 2, 5], 1, "1 samples of 2"),
        ([0, 10, 1, 5, 5], 1, "2 samples of 1"),
        ([0, 10, 0, 5], 1, "without a redo"),
        ([0, 10, -1, 5], 1, "without a redo"),
        ([20, 10, 1, 5], 1, "before it started"),
        ([-20, -10, 1, 5], 1, "before the barrier"),
        ([0, 10, 1, 0], 1, "not above 0"),
        ([0, 10, 1, -5], 1, "not above 0"),
        ([0, 10, 2**62, 0, 10, 2**62, 5], 2, "1 samples of"),
        ([0, 10, 1, 5], 0, "0 clients"),
    ],
)
def test_impossible_numbers_are_refused(numbers: list[int], clients: int, problem: str) -> None:
    with pytest.raises(SampleError, match=problem):
        SliceSamples.from_payload(np.array(numbers, dtype=np.int64).tobytes(), clients)


@given(st.binary(max_size=200), st.integers(1, 4))
def test_garbage_is_refused_with_the_typed_error_or_is_consistent(raw: bytes, clients: int) -> None:
    try:
        one = SliceSamples.from_payload(raw, clients)
    except SampleError:
        return
    assert payload(one) == raw


@given(st.integers(1, 1000))
def test_a_cut_payload_is_refused(cut: int) -> None:
    raw = payload(steady_slice(3, 10, 1000))
    with pytest.raises(SampleError):
        SliceSamples.from_payload(raw[:-cut], 3)


def test_other_types_of_arrays_are_refused() -> None:
    good = int64s(1)
    with pytest.raises(SampleError, match="float64"):
        SliceSamples(good, good, good, np.array([1.0]))
    with pytest.raises(SampleError, match="dimensions"):
        SliceSamples(good, good, good, np.array([[1]]))
    with pytest.raises(SampleError, match="2 ends"):
        SliceSamples(good, int64s(1, 1), good, good)
