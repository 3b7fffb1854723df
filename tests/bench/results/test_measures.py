"""Numbers of a run, against answers worked out by hand, and the histogram against exact ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.results import histogram
from bench.results.measures import redos
from bench.results.samples import SliceSamples
from tests.support.synthetic import idle_slice, int64s, steady_slice

# Two clients. The first: 2 redos, from 0 to 100. The second: 3 redos, from 10 to 80.
# Wall 100; clients' walls, from the barrier, 100 + 80 = 180; 5 redos. Deadline 90.
BY_HAND = SliceSamples(
    int64s(0, 10), int64s(100, 80), int64s(2, 3), int64s(40, 60, 20, 20, 30), deadline_ns=90
)


def test_by_hand() -> None:
    assert redos.redos([BY_HAND]) == 5
    assert redos.wall_s([BY_HAND]) == pytest.approx(100e-9)
    assert redos.throughput_per_s([BY_HAND]) == pytest.approx(5 / 100e-9)
    assert redos.time_per_redo_s([BY_HAND]) == pytest.approx(180e-9 / 5)
    assert redos.fairness([BY_HAND, BY_HAND]) == (4, 6)


def test_several_slices_are_summed_not_averaged() -> None:
    slices = [BY_HAND, steady_slice(2, 10, 50)]  # 20 redos in a wall of 500, clients' walls 1000
    assert redos.wall_s(slices) == pytest.approx(600e-9)
    assert redos.throughput_per_s(slices) == pytest.approx(25 / 600e-9)
    assert redos.time_per_redo_s(slices) == pytest.approx(1180e-9 / 25)
    assert redos.fairness(slices) == (12, 13)


def test_steady_clients_have_their_latency() -> None:
    slices = [steady_slice(8, 30, 50_000)] * 5
    assert redos.time_per_redo_s(slices) == pytest.approx(50e-6)
    assert redos.throughput_per_s(slices) == pytest.approx(8 / 50e-6)
    latency = redos.percentiles(redos.pooled_latency_ns(slices))
    assert (latency.p50_s, latency.p99_9_s, latency.max_s) == (50e-6, 50e-6, 50e-6)


def test_percentiles_by_nearest_rank() -> None:
    latency = redos.percentiles(int64s(*range(1000, 0, -1)))
    assert latency == redos.Percentiles(500e-9, 900e-9, 990e-9, 999e-9, 1000e-9)


def test_percentiles_of_few_samples_are_samples() -> None:
    assert redos.percentiles(int64s(7)) == redos.Percentiles(*[7e-9] * 5)
    latency = redos.percentiles(int64s(3, 1, 2, 4))
    assert latency == redos.Percentiles(2e-9, 4e-9, 4e-9, 4e-9, 4e-9)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=200))
def test_percentiles_agree_with_numpy(latency_ns: list[int]) -> None:
    latency = redos.percentiles(int64s(*latency_ns))
    for share, seconds in ((0.5, latency.p50_s), (1.0, latency.max_s)):
        expected = np.quantile(latency_ns, share, method="inverted_cdf")
        assert round(seconds * 1e9) == expected


def test_the_self_check_by_hand() -> None:
    check = redos.self_check(BY_HAND)
    assert check.ratio == pytest.approx(180 / 200)
    assert check.deviation == pytest.approx(20 / 200)  # the second one idled from 80 to 100
    assert check.explained == pytest.approx(10 / 200)  # of that, from the deadline at 90
    assert check.excess == pytest.approx(10 / 200)
    assert not check.ok


def test_littles_law_holds_for_steady_clients() -> None:
    one = steady_slice(4, 10, 1000)
    product = redos.throughput_per_s([one]) * redos.time_per_redo_s([one])
    assert product == pytest.approx(one.clients)
    assert redos.self_check(one) == redos.SelfCheck(1.0, 0.0, 0.0)
    assert redos.self_check(one).ok


def test_last_redos_are_explained_and_clients_that_stop_early_are_not() -> None:
    ends = SliceSamples(int64s(0, 0), int64s(100, 60), int64s(1, 1), int64s(100, 60), 60)
    assert redos.self_check(ends).deviation == pytest.approx(0.2)
    assert redos.self_check(ends).ok
    assert not redos.self_check(idle_slice(4, 90, 1000)).ok


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 10**6)), min_size=1, max_size=20))
def test_the_ratio_is_littles_law_whatever_the_clients_did(times: list[tuple[int, int]]) -> None:
    starts, lengths = zip(*times, strict=True)
    ends = [start + length for start, length in times]
    one = SliceSamples(int64s(*starts), int64s(*ends), int64s(*[1] * len(times)), int64s(*lengths))
    law = redos.throughput_per_s([one]) * redos.time_per_redo_s([one]) / one.clients
    assert redos.self_check(one).ratio == pytest.approx(law)
    # With a deadline of 0 all idling comes after it.
    assert redos.self_check(one).excess == pytest.approx(0, abs=1e-12)


LATENCIES = st.lists(st.integers(1, histogram.HIGHEST_NS), min_size=1, max_size=300)


@given(LATENCIES)
def test_the_histogram_agrees_with_the_samples_within_its_resolution(values: list[int]) -> None:
    decoded = HdrHistogram.decode(histogram.encode(int64s(*values)))
    assert decoded.get_total_count() == len(values)
    for percentile in (1, 50, 90, 99, 100):
        # The library counts half a sample up, where a nearest rank takes the next whole one.
        rank = max(1, math.floor(percentile * len(values) / 100 + 0.5))
        exact = sorted(values)[rank - 1]
        read = decoded.get_value_at_percentile(percentile)
        assert abs(read - exact) <= exact * histogram.RELATIVE_ERROR


@given(st.integers(1, histogram.HIGHEST_NS))
def test_quantising_is_the_librarys_own(value: int) -> None:
    decoded = HdrHistogram.decode(histogram.encode(int64s(value)))
    assert histogram.quantise(int64s(value))[0] == decoded.get_lowest_equivalent_value(value)


@settings(max_examples=20)  # each makes two histograms of megabytes
@given(LATENCIES)
def test_quantising_first_changes_nothing(values: list[int]) -> None:
    slow = HdrHistogram(histogram.LOWEST_NS, histogram.HIGHEST_NS, histogram.SIGNIFICANT_DIGITS)
    for value in values:
        slow.record_value(value)
    fast = HdrHistogram.decode(histogram.encode(int64s(*values)))
    read = HdrHistogram.decode(slow.encode())
    assert [item.value_iterated_to for item in fast.get_recorded_iterator()] == [
        item.value_iterated_to for item in read.get_recorded_iterator()
    ]
    assert fast.get_total_count() == read.get_total_count()


def test_a_latency_beyond_the_range_is_counted_at_its_end() -> None:
    decoded = HdrHistogram.decode(histogram.encode(int64s(200_000_000_000, 1000)))
    assert decoded.get_total_count() == 2
    assert decoded.get_value_at_percentile(100) == pytest.approx(60e9, rel=1e-3)


def test_a_million_samples_lose_none() -> None:
    rng = np.random.default_rng(3)
    values = rng.lognormal(11, 1, 1_000_000).astype(np.int64) + 1
    decoded = HdrHistogram.decode(histogram.encode(values))
    assert decoded.get_total_count() == 1_000_000
    exact = np.quantile(values, 0.999, method="inverted_cdf")
    assert decoded.get_value_at_percentile(99.9) == pytest.approx(exact, rel=1e-3)
