"""The numbers of a run with an open load, against those it was made from."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.cases.case import Case
from bench.errors import SampleError
from bench.results.keys import FURTHER
from bench.results.measures import redos as measures
from bench.results.measures.open_loop import open_measures
from bench.results.pyperf_run import to_pyperf_run
from bench.results.samples import SliceSamples
from tests.support.open_runs import open_record, open_slice
from tests.support.synthetic import ENVIRONMENT, int64s, payload, steady_record

CASE = Case("sync", "short", 3, load="open:20000")


def test_by_hand() -> None:
    record = open_record(CASE, latency_ns=400_000, from_call_ns=50_000, overloaded=(0, 1, 0))
    assert open_measures(record) == pytest.approx(
        {
            # 200 + 400 + 200 arrivals in three slices of 10 ms.
            "redo_open_offered_per_s": 800 / 0.03,
            "redo_open_overloaded": 1 / 3,
            "redo_open_backlog_peak": 8,
            "redo_open_from_call_p50": 50e-6,
            "redo_open_from_call_p99": 50e-6,
            "redo_open_pacer_late_p50": 50e-6,
            "redo_open_pacer_late_p99": 99e-6,
        }
    )


def test_every_key_is_known() -> None:
    of_open_loads = {key.name for key in FURTHER if key.name.startswith("redo_open_")}
    assert set(open_measures(open_record(CASE, latency_ns=1))) == of_open_loads


def test_a_pacer_that_was_never_needed_was_not_late() -> None:
    found = open_measures(open_record(CASE, latency_ns=1, late=False))
    assert not any("late" in key for key in found)
    assert found["redo_open_from_call_p50"] == 50e-6


def test_a_closed_loop_has_none() -> None:
    assert open_measures(steady_record(Case("sync", "short", 3))) == {}


def test_time_per_redo_is_the_mean_latency() -> None:
    one = open_slice(3, 400_000)
    assert measures.time_per_redo_s([one]) == pytest.approx(400e-6)
    assert measures.throughput_per_s([one]) == pytest.approx(200 / 0.01)
    # Little's law: 200 redos of 400 us in 10 ms are 8 at a time, by 3 clients: 5 of them wait.
    in_system = measures.time_per_redo_s([one]) * measures.throughput_per_s([one])
    assert in_system == pytest.approx(8)
    assert measures.fairness([one]) == (0, 200)


def test_a_run_says_nothing_of_a_closed_loops_self_check() -> None:
    run = to_pyperf_run(open_record(CASE, latency_ns=400_000), ENVIRONMENT)
    metadata = run.get_metadata()
    assert run.values == pytest.approx((400e-6, 400e-6))
    assert metadata["redo_open_overloaded"] == 0
    assert metadata["redo_latency_p99"] == pytest.approx(400e-6)
    assert not any(key.startswith(("redo_self_check", "redo_littles_law")) for key in metadata)
    assert math.isclose(metadata["redo_throughput"], 20_000)


def test_of_an_open_slice_a_client_may_have_no_redo() -> None:
    raw = payload(open_slice(3, 5))
    one = SliceSamples.from_payload(raw, 3, 7, is_open=True)
    assert one.redos.tolist() == [200, 0, 0]
    assert (one.deadline_ns, one.is_open) == (7, True)
    with pytest.raises(SampleError, match="a client without a redo"):
        SliceSamples.from_payload(raw, 3)


@pytest.mark.parametrize(
    ("redos", "latency_ns", "problem"),
    [
        ([2, -1], [5], "fewer than no redos"),
        ([0, 0], [], "without a redo"),
        ([1, 0], [5, 5], "2 samples of 1"),
        ([1, 0], [0], "not above 0"),
    ],
)
def test_impossible_numbers_of_an_open_slice_are_refused(
    redos: list[int], latency_ns: list[int], problem: str
) -> None:
    samples = np.array(latency_ns, dtype=np.int64)
    with pytest.raises(SampleError, match=problem):
        SliceSamples(int64s(1, 1), int64s(9, 1), int64s(*redos), samples, 9, is_open=True)
