"""High percentiles: known quantiles, and nothing beyond what the samples carry."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyperf
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from bench.cases.case import Case
from bench.errors import PictureError, ResultFileError
from bench.results.histogram import (
    HIGHEST_NS,
    RELATIVE_ERROR,
    Distribution,
    Distributions,
    distribution,
    distributions_of,
    encode,
    pooled,
)
from bench.results.record import FailedRun, RunRecord
from bench.results.samples import Int64s, SliceSamples, SliceSummary
from bench.results.suite_file import read_suite
from bench.results.summary import load_summary
from bench.show.pictures.figures import write_all
from bench.show.pictures.tails import pictures
from bench.show.tails import tails_data
from bench.statistics.tails import (
    LEAST_BEYOND,
    ONE_IN,
    percentile_name,
    percentile_ns,
    tail_ratios,
    tails,
)
from tests.support.made_up_runs import Bench
from tests.support.synthetic import USAGE, int64s, save


def of(latency_ns: Sequence[int] | Int64s) -> Distribution:
    """As a result file keeps it."""
    return distribution(encode(np.asarray(latency_ns, dtype=np.int64)))


def load_distributions(path: Path) -> Distributions:
    return distributions_of(path, read_suite(path))


def ramp(samples: int, scale: int = 1) -> Distribution:
    """The latencies scale, 2 scale, ..., each once: the p-th percentile is p % of the greatest."""
    return of(np.arange(1, samples + 1, dtype=np.int64) * scale)


# --- Distributions --------------------------------------------------------------------------------


LATENCIES = st.lists(st.integers(1, HIGHEST_NS), min_size=1, max_size=200)


@given(LATENCIES)
def test_every_sample_is_there_at_its_rank(values: list[int]) -> None:
    kept = of(values)
    assert kept.samples == len(values)
    for rank, exact in enumerate(sorted(values), 1):
        assert exact <= kept.ranked_ns(rank) <= exact * (1 + RELATIVE_ERROR)


@given(LATENCIES, LATENCIES)
def test_pooled_is_as_if_measured_together(some: list[int], more: list[int]) -> None:
    together, expected = pooled([of(some), of(more)]), of([*some, *more])
    assert together.values_ns.tolist() == expected.values_ns.tolist()
    assert together.counts.tolist() == expected.counts.tolist()


@pytest.mark.parametrize("text", ["", "x", "A" * 40, encode(int64s(1, 2, 3))[:-20]])
def test_what_is_no_histogram(text: str) -> None:
    with pytest.raises(ValueError, match="not an HdrHistogram"):
        distribution(text)


def test_an_empty_histogram_says_nothing() -> None:
    with pytest.raises(ValueError, match="without a sample"):
        distribution(encode(int64s()))


# --- Percentiles ----------------------------------------------------------------------------------


def test_their_names() -> None:
    assert [percentile_name(one) for one in ONE_IN] == [
        *("p50", "p75", "p90", "p95", "p99", "p99.5", "p99.9", "p99.95", "p99.99"),
    ]


def test_known_quantiles() -> None:
    """2,000 latencies of 1 to 2,000 ns, which a histogram keeps exactly."""
    known = {one: percentile_ns(ramp(2000), one) for one in ONE_IN}
    assert known == {
        2: 1000,
        4: 1500,
        10: 1800,
        20: 1900,
        100: 1980,
        200: 1990,
        1000: None,
        2000: None,
        10_000: None,
    }


@given(st.integers(1, 40_000), st.sampled_from(ONE_IN))
def test_it_is_the_nearest_rank_with_so_many_beyond(samples: int, one_in: int) -> None:
    exact = percentile_ns(Distribution(int64s(*range(1, 4)), int64s(samples, 0, 0)), one_in)
    beyond = samples // one_in
    assert (exact is None) == (beyond < LEAST_BEYOND)
    # In whole numbers: ceil(n p / 100) with p = 100 (1 - 1 / one_in).
    assert samples - beyond == -((-samples * (one_in - 1)) // one_in)


@pytest.mark.parametrize("one_in", ONE_IN)
def test_one_sample_less_and_it_is_not_known(one_in: int) -> None:
    """p99.99 takes 100,000 samples."""
    least = LEAST_BEYOND * one_in
    assert percentile_ns(Distribution(int64s(7, 9), int64s(least - 10, 10)), one_in) == 7
    assert percentile_ns(Distribution(int64s(7, 9), int64s(least - 11, 10)), one_in) is None


def test_of_a_case_it_is_the_median_over_the_runs() -> None:
    runs = {0: ramp(1000), 1: ramp(1000, 3), 2: ramp(1000, 2)}
    found = tails(runs)
    assert (found.samples, found.runs) == (3000, 3)
    p99 = found.percentiles[ONE_IN.index(100)]
    assert p99.by_run is not None
    assert p99.value_s == pytest.approx(2 * 990e-9, rel=RELATIVE_ERROR)
    assert [number for number, _ in p99.by_run.by_round] == [0, 1, 2]
    assert (p99.beyond, p99.is_pooled) == (30, False)


def test_a_bad_run_is_in_the_pooled_one_only() -> None:
    runs = {0: ramp(1000), 1: ramp(1000), 2: ramp(1000, 1000)}
    p99 = tails(runs).percentiles[ONE_IN.index(100)]
    assert p99.value_s == pytest.approx(990e-9)
    assert p99.pooled_s == pytest.approx(970e-6, rel=RELATIVE_ERROR)


def test_where_a_run_has_too_few_the_runs_are_pooled_and_marked() -> None:
    """At p99.5 each of two runs of 1,000 has 5 beyond; both have 10. At p99.9 they have 2."""
    found = {one.one_in: one for one in tails({0: ramp(1000), 4: ramp(1000)}).percentiles}
    assert found[100].by_run is not None
    assert found[200].by_run is None
    assert found[200].is_pooled
    assert found[200].value_s == pytest.approx(995e-9)
    assert (found[1000].value_s, found[1000].is_pooled, found[1000].beyond) == (None, False, 2)


def test_one_short_run_takes_the_median_from_all() -> None:
    """Not the median of those that have it: they would be the long ones, a choice."""
    p99 = tails({0: ramp(1000), 1: ramp(1000), 2: ramp(999)}).percentiles[ONE_IN.index(100)]
    assert p99.by_run is None
    assert p99.is_pooled


def test_ratios_are_taken_round_by_round() -> None:
    """Rounds that disturb both alike leave no spread."""
    base = tails({n: ramp(2000, 10 * k) for n, k in enumerate((1, 5, 2))})
    slow = tails({n: ramp(2000, 20 * k) for n, k in enumerate((1, 5, 2))})
    by_name = {percentile_name(one.one_in): one for one in tail_ratios(slow, base)}
    p99 = by_name["p99"]
    assert p99.low is not None
    assert p99.high is not None
    assert (p99.value, p99.low, p99.high) == pytest.approx((2, 2, 2), rel=3 * RELATIVE_ERROR)
    assert not p99.is_pooled
    p99_9 = tail_ratios(tails({0: ramp(5000, 2), 1: ramp(5000, 2)}), tails({0: ramp(20_000)}))[
        ONE_IN.index(1000)
    ]
    assert p99_9.value == pytest.approx(0.5, rel=3 * RELATIVE_ERROR)
    assert (p99_9.is_pooled, p99_9.low, p99_9.high) == (True, None, None)
    assert by_name["p99.99"].value is None


def test_without_a_common_round_the_pooled_ones_are_compared() -> None:
    ratio = tail_ratios(tails({0: ramp(1000, 3)}), tails({1: ramp(1000)}))[0]
    assert ratio.value == pytest.approx(3, rel=3 * RELATIVE_ERROR)
    assert ratio.is_pooled


def test_a_value_is_the_highest_that_the_library_counts_with_it() -> None:
    """At powers of two the width of the histogram's buckets doubles."""
    ns = sorted({max(1, (1 << bits) + more) for bits in range(35) for more in (-1, 0, 1)})
    text = encode(np.array(ns, dtype=np.int64))
    library = HdrHistogram.decode(text)
    expected = sorted({library.get_highest_equivalent_value(value) for value in ns})
    assert distribution(text).values_ns.tolist() == expected


# --- From a file to what is shown -----------------------------------------------------------------


def record(case: Case, number: int, latency_ns: Int64s) -> RunRecord:
    """A run of one slice with these latencies, one client after the other having its share."""
    each = latency_ns.reshape(case.clients, -1)
    one = SliceSamples(
        start_ns=np.zeros(case.clients, dtype=np.int64),
        end_ns=each.sum(axis=1),
        redos=np.full(case.clients, each.shape[1], dtype=np.int64),
        latency_ns=latency_ns,
    )
    return RunRecord(case, number, (one,), USAGE)


def result(folder: Path, scales: Mapping[str, int], samples: int = 4000) -> Path:
    """Three rounds; each manager's latencies are a ramp with its scale."""
    ns = np.arange(1, samples + 1, dtype=np.int64)
    records = [
        record(Case(manager, "short", 8), number, ns * scale * (number + 1))
        for manager, scale in scales.items()
        for number in range(3)
    ]
    return save(folder / "t.json", records)


def test_distributions_come_from_the_file(tmp_path: Path) -> None:
    found = load_distributions(result(tmp_path, {"sync": 1, "async": 2}))
    assert {case.manager: sorted(runs) for case, runs in found.items()} == {
        "sync": [0, 1, 2],
        "async": [0, 1, 2],
    }
    assert found[Case("sync", "short", 8)][0].samples == 4000


def test_a_run_without_samples_has_none(tmp_path: Path) -> None:
    summed = SliceSummary(clients=8, redos=80, wall_ns=1000, clients_ns=8000)
    peer = RunRecord(Case("peer:x", "short", 8), 0, (summed,))
    assert load_distributions(save(tmp_path / "p.json", [peer])) == {}


def test_a_damaged_histogram_is_named(tmp_path: Path) -> None:
    path = result(tmp_path, {"sync": 1})
    text = path.read_text()
    histogram = pyperf.BenchmarkSuite.load(str(path))
    kept = str(histogram.get_benchmarks()[0].get_runs()[1].get_metadata()["redo_hdr_histogram"])
    path.write_text(text.replace(kept, kept[:-20]))
    with pytest.raises(ResultFileError, match=r"sync/short/n=8 in round 1 is not an HdrHistogram"):
        load_distributions(path)


def test_show_prints_them(tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    result(tmp_path, {"sync": 100, "async": 150, "floor": 10})
    for columns in ("100", "60"):
        monkeypatch.setenv("COLUMNS", columns)
        status, out, _ = bench("show t.json --tails")
        text = " ".join(out.split())
        assert status == 0
        where = r"1\.50x \(p99[.5]*, short at N = 8\)"
        assert re.search(
            f"At p99 and above, the latency of async is {where} to {where} that of sync; of 2"
            r" percentiles, 2 are significantly longer and 0 significantly shorter \(95 % CI\)\.",
            text,
        )
        # 12,000 samples: p99.9 of all runs has 12 beyond it, p99.95 has 6.
        sync = next(line for line in out.splitlines() if " sync " in line and "12.0" in line)
        *known, pooled = sync.split()[3:]
        assert [float(text) for text in known] == pytest.approx(
            [400, 600, 720, 760, 792, 796], 0.01
        )
        assert pooled.endswith("*")
        assert float(pooled.rstrip("*")) == pytest.approx(1200, 0.01)
        assert out.count("1.50") >= 8
        assert "…" not in out
        assert max(map(len, out.splitlines())) <= 100
    status, out, _ = bench("show t.json")
    assert "p99.95" not in out


@pytest.mark.parametrize(("slow_ns", "unit"), [(5_000_000, "ns"), (50_000_000_000, "s")])
def test_percentiles_share_a_unit_where_that_fits(
    slow_ns: int, unit: str, tmp_path: Path, bench: Bench
) -> None:
    ns = np.repeat(np.array([900, slow_ns], dtype=np.int64), 20_000)
    records = [record(Case("async-uvloop", "short", 1), number, ns) for number in range(3)]
    save(tmp_path / "t.json", records)
    _, out, _ = bench("show t.json --tails")
    headings = next(line.split() for line in out.splitlines() if " ns " in line)
    assert headings[:3] == ["N", "manager", "k"]
    assert set(headings[3:]) == {"ns", unit}
    assert max(map(len, out.splitlines())) <= 100


def test_the_same_as_data(tmp_path: Path, bench: Bench) -> None:
    path = result(tmp_path, {"sync": 100, "async": 150})
    _, out, _ = bench("show t.json --json --tails")
    data = json.loads(out)["tails"]
    made = tails_data(load_summary(path), load_distributions(path))
    assert data == json.loads(json.dumps(made, allow_nan=False))
    by_name = {one["name"]: one for one in data}
    sync, other = by_name["sync/short/n=8"], by_name["async/short/n=8"]
    assert (sync["samples"], sync["runs"], sync["to_sync"]) == (12_000, 3, [])
    p99, p99_9, p99_99 = (sync["percentiles"][ONE_IN.index(one)] for one in (100, 1000, 10_000))
    assert (p99["percentile"], p99["beyond"]) == (99.0, 120)
    assert p99["by_run"]["median"] == pytest.approx(792e-6, rel=RELATIVE_ERROR)
    assert (p99_9["percentile"], p99_9["by_run"]) == (99.9, None)
    assert p99_9["pooled"] == pytest.approx(1.1964e-3, rel=RELATIVE_ERROR)
    assert (p99_99["by_run"], p99_99["pooled"], p99_99["beyond"]) == (None, None, 1)
    ratio = other["to_sync"][ONE_IN.index(100)]
    assert ratio["ratio"] == pytest.approx(1.5, rel=3 * RELATIVE_ERROR)
    assert ratio["low"] <= ratio["ratio"] <= ratio["high"]
    _, out, _ = bench("show t.json --json")
    assert "tails" not in json.loads(out)


def test_only_table_and_json_have_them(tmp_path: Path, bench: Bench) -> None:
    result(tmp_path, {"sync": 100})
    assert "--tails: goes with table and json, not with bencher" in bench.refuses(
        "show t.json --tails --format bencher"
    )
    _, out, _ = bench("show t.json --tails")
    assert "No case has a tail of async and of sync to compare." in out


def test_the_figure(tmp_path: Path, bench: Bench) -> None:
    result(tmp_path, {"sync": 100, "async": 150})
    status, out, _ = bench("plot t.json --only tails --format svg")
    assert (status, out) == (0, "t-tails-short.svg\n")
    text = (tmp_path / "t-tails-short.svg").read_text()
    assert "p99.5 of async is 1.50x that of" in text
    assert "99.99 %" in text
    assert "is there already" in bench.refuses("plot t.json --only tails --format svg")
    assert "picture format" in bench.refuses("plot t.json --only tails --format pdf")


def test_lines_end_where_the_samples_do(tmp_path: Path) -> None:
    ns = np.arange(1, 17, dtype=np.int64)
    path = save(tmp_path / "t.json", [record(Case("sync", "short", 8), 0, ns)])
    with pytest.raises(PictureError, match=r"t\.json: no case has samples enough"):
        list(pictures(load_summary(path), load_distributions(path)))
    (tmp_path / "1").mkdir()
    enough = result(tmp_path / "1", {"sync": 100}, samples=24)
    drawn = pictures(load_summary(enough), load_distributions(enough))
    (written,) = write_all(drawn, tmp_path / "x", ["svg"])
    assert "short, N = 8" in written.read_text()


def test_they_are_one_of_the_pictures_to_choose_from(tmp_path: Path, bench: Bench) -> None:
    result(tmp_path, {"sync": 100, "async": 150})
    status, out, _ = bench("plot t.json --only tails,throughput --format svg")
    assert status == 0
    assert out.split() == ["t-throughput.svg", "t-tails-short.svg"]


def test_pictures_are_drawn_together_or_not_at_all(tmp_path: Path, bench: Bench) -> None:
    result(tmp_path, {"sync": 100, "async": 150})
    (tmp_path / "t-tails-short.svg").write_text("mine")
    assert "is there already" in bench.refuses("plot t.json --only throughput,tails --format svg")
    assert not (tmp_path / "t-throughput.svg").exists()


def test_cases_without_samples_have_no_tails(tmp_path: Path, bench: Bench) -> None:
    """A peer has throughput only, a case that only failed nothing."""
    ns = np.arange(1, 4001, dtype=np.int64)
    records = [record(Case(name, "short", 8), 0, ns) for name in ("sync", "async")]
    peer = replace(records[0], case=Case("peer:async", "short", 8))
    failed = FailedRun(Case("async-uvloop", "short", 8), 0, "no uvloop")
    save(tmp_path / "t.json", [*records, peer], [failed])
    status, out, _ = bench("show t.json --tails")
    assert status == 0
    assert "async-uvloop" not in out
