"""Jain's index and the slowest client's share: known truths, and what a run says of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.case import Case
from bench.results.measures.fairness import fairness_measures, jain_index, slowest_share
from bench.results.pyperf_run import further_metadata
from bench.results.record import RunRecord
from bench.results.samples import SliceSamples, SliceSummary
from tests.support.synthetic import int64s, steady_record

COUNTS = st.lists(st.integers(0, 10**12), min_size=1, max_size=50).filter(any)


def slice_of(*redos: int) -> SliceSamples:
    """Clients that did so many redos of 1 us."""
    return SliceSamples(
        start_ns=np.zeros(len(redos), dtype=np.int64),
        end_ns=int64s(*(1000 * count for count in redos)),
        redos=int64s(*redos),
        latency_ns=np.full(sum(redos), 1000, dtype=np.int64),
    )


def values(*slices: Any) -> dict[str, Any]:
    clients = slices[0].clients
    return fairness_measures(RunRecord(Case("sync", "short", clients), 0, slices))


@given(st.integers(1, 10**15), st.integers(1, 200))
def test_equal_shares_are_perfectly_fair(share: int, clients: int) -> None:
    shares = int64s(*[share] * clients)
    assert jain_index(shares) == pytest.approx(1)
    assert slowest_share(shares) == pytest.approx(1)


@given(st.integers(1, 10**15), st.integers(1, 200))
def test_one_that_takes_all_gives_one_nth(share: int, clients: int) -> None:
    shares = int64s(share, *[0] * (clients - 1))
    assert jain_index(shares) == pytest.approx(1 / clients)
    assert slowest_share(shares) == (1 if clients == 1 else 0)


@given(st.integers(1, 30), st.integers(0, 30))
def test_k_of_n_that_share_everything_give_k_nths(served: int, starved: int) -> None:
    shares = int64s(*[7] * served, *[0] * starved)
    assert jain_index(shares) == pytest.approx(served / (served + starved))


@given(COUNTS, st.integers(1, 1000))
def test_neither_scale_nor_order_matters(counts: list[int], factor: int) -> None:
    shares = int64s(*counts)
    for other in (shares * factor, shares[::-1]):
        assert jain_index(other) == pytest.approx(jain_index(shares))
        assert slowest_share(other) == pytest.approx(slowest_share(shares))


@given(COUNTS)
def test_they_lie_within_their_bounds(counts: list[int]) -> None:
    shares = int64s(*counts)
    assert 1 / len(counts) * (1 - 1e-9) <= jain_index(shares) <= 1 + 1e-9
    assert 0 <= slowest_share(shares) <= 1 + 1e-9


@given(st.integers(2, 10**6), st.integers(1, 10**6))
def test_giving_to_the_poorer_is_fairer(rich: int, gap: int) -> None:
    before, after = int64s(rich + 2 * gap, rich), int64s(rich + gap, rich + gap)
    assert jain_index(after) > jain_index(before) or gap / rich < 1e-6


def test_by_hand() -> None:
    assert jain_index(int64s(1, 2, 3)) == pytest.approx(36 / (3 * 14))
    assert slowest_share(int64s(1, 2, 3)) == 0.5


def test_a_run_is_the_mean_of_its_slices_not_their_sum() -> None:
    # Added up, both would have done 4.
    found = values(slice_of(3, 1), slice_of(1, 3))
    assert found["redo_fairness_jain"] == pytest.approx(16 / (2 * 10))
    assert found["redo_fairness_slowest_share"] == 0.5


def test_one_client_is_served_fairly() -> None:
    expected = {"redo_fairness_jain": 1.0, "redo_fairness_slowest_share": 1.0}
    assert values(slice_of(5)) == expected


def test_without_samples_nothing_is_known() -> None:
    assert values(SliceSummary(2, 10, 1000, 2000)) == {}


def test_every_run_with_samples_has_them() -> None:
    metadata = further_metadata(steady_record(Case("async", "short", 8)))
    assert metadata["redo_fairness_jain"] == 1.0
    assert metadata["redo_fairness_slowest_share"] == 1.0
