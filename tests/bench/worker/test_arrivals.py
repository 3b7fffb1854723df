"""Arrivals of an open loop and those that wait: rates, order, and when a slice is overloaded."""

from __future__ import annotations

import itertools
import math
import statistics

import pytest

from bench.cases.notations import MIN_ARRIVALS, min_slice_s
from bench.worker.clients.arrivals import (
    BACKLOG_LEAST,
    BACKLOG_SHARE,
    Backlog,
    PoissonLoad,
    poisson_starts_ns,
)


@pytest.mark.parametrize(("rate_per_s", "seconds"), [(10_000.0, 2.0), (50_000.0, 0.5), (3.0, 9e3)])
def test_as_many_arrive_as_the_rate_says(rate_per_s: float, seconds: float) -> None:
    expected = rate_per_s * seconds
    for seed in ("1/1/0", "1/1/1", "2/7/3"):
        starts_ns = poisson_starts_ns(rate_per_s, seconds, seed)
        # A Poisson count scatters by its square root.
        assert abs(len(starts_ns) - expected) < 4 * math.sqrt(expected)
        assert list(starts_ns) == sorted(starts_ns)
        assert starts_ns[0] >= 0
        assert starts_ns[-1] <= seconds * 1e9


def test_counts_of_intervals_scatter_as_those_of_a_poisson_process() -> None:
    starts_ns = poisson_starts_ns(10_000.0, 10.0, "a seed")
    counts = [0] * 1000  # of 10 ms each, 100 expected in each
    for at_ns in starts_ns:
        counts[min(at_ns // 10_000_000, 999)] += 1
    # The variance of a Poisson count is its mean; over 1000 intervals it is known to some 5 %.
    assert statistics.variance(counts) / statistics.fmean(counts) == pytest.approx(1.0, abs=0.2)


def test_gaps_are_exponential() -> None:
    starts_ns = poisson_starts_ns(1_000.0, 20.0, "another")
    gaps_ns = [after - before for before, after in itertools.pairwise(starts_ns)]
    mean_ns = statistics.fmean(gaps_ns)
    assert mean_ns == pytest.approx(1e6, rel=4 / math.sqrt(len(gaps_ns)))
    # Of an exponential a share of 1/e is above the mean.
    above = sum(gap > mean_ns for gap in gaps_ns) / len(gaps_ns)
    assert above == pytest.approx(1 / math.e, abs=0.02)


def test_a_seed_says_all() -> None:
    def slices(seed: str) -> list[list[int | None]]:
        load = PoissonLoad(1000.0, seed)
        return [[one.take(0) for _ in range(5)] for one in (load.next_slice(1.0) for _ in "abc")]

    assert slices("1/1") == slices("1/1")
    first, second, third = slices("1/1")
    assert first != second != third
    assert slices("1/2") != slices("1/1")


def test_another_rate_has_the_same_pattern() -> None:
    slow, fast = (poisson_starts_ns(rate, 1.0, "s") for rate in (100.0, 200.0))
    assert [2 * at for at in fast[: len(slow) // 2]] == pytest.approx(slow[: len(slow) // 2], abs=2)


def test_how_they_are_taken_changes_no_arrival() -> None:
    load = [PoissonLoad(1000.0, "s").next_slice(0.1) for _ in range(2)]
    eager = [load[0].take(0) for _ in range(60)]
    in_time = [load[1].take(at_ns * 1_000_000) for at_ns in range(60)]
    assert eager == in_time


def test_a_slice_is_long_enough_for_its_arrivals() -> None:
    assert min_slice_s(10.0) * 10.0 == MIN_ARRIVALS


def taken(backlog: Backlog, now_ns: int) -> list[int]:
    """All that are given out at that time."""
    found = []
    while (start_ns := backlog.take(now_ns)) is not None:
        found.append(start_ns)
    return found


def test_arrivals_are_taken_in_order_due_or_not() -> None:
    backlog = Backlog([10, 20, 30])
    assert taken(backlog, 0) == [10, 20, 30]
    assert backlog.take(99) is None
    assert backlog.counts() == {"arrivals": 3, "backlog_peak": 0, "overloaded": 0}


def test_one_waits_if_it_is_due_and_nobody_has_it() -> None:
    backlog = Backlog([10, 20, 30, 40])
    assert (backlog.take(5), backlog.take(5)) == (10, 20)
    # Those two are due and have a client; the third, due just now, has none.
    assert (backlog.take(30), backlog.peak) == (30, 1)
    assert (backlog.take(30), backlog.peak) == (40, 1)


def test_as_many_may_wait_as_the_bound_says() -> None:
    count = round(BACKLOG_LEAST / BACKLOG_SHARE)
    just = Backlog(range(count))
    assert len(taken(just, BACKLOG_LEAST - 1)) == count
    assert (just.peak, just.overloaded) == (BACKLOG_LEAST, False)
    many = Backlog(range(100 * count))
    assert len(taken(many, 100 * BACKLOG_LEAST - 1)) == 100 * count
    assert not many.overloaded


def test_an_overload_ends_it_and_those_that_wait_are_served() -> None:
    backlog = Backlog(range(1000))
    assert backlog.take(0) == 0
    waiting = BACKLOG_LEAST + 50
    assert taken(backlog, waiting) == list(range(1, waiting + 1))
    assert backlog.take(999) is None
    assert backlog.counts() == {"arrivals": 1000, "backlog_peak": waiting, "overloaded": 1}


def test_a_short_burst_is_no_overload() -> None:
    backlog = Backlog([5] * MIN_ARRIVALS)
    assert len(taken(backlog, 5)) == MIN_ARRIVALS
    assert not backlog.overloaded
