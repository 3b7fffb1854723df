"""Cumulative distributions: known shares, the median over the runs, and the picture of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.cases.case import Case
from bench.errors import PictureError
from bench.results.histogram import Distribution, distribution, distributions_of, encode
from bench.results.record import RunRecord
from bench.results.samples import Int64s, SliceSamples
from bench.results.suite_file import read_suite
from bench.results.summary import load_summary
from bench.show.pictures import style
from bench.show.pictures.cdf import pictures
from bench.statistics.cumulative import cumulative
from tests.support.drawn import ys
from tests.support.made_up_runs import Bench
from tests.support.synthetic import USAGE, int64s, save


def of(latency_ns: Sequence[int] | Int64s) -> Distribution:
    return distribution(encode(np.asarray(latency_ns, dtype=np.int64)))


def ramp(scale: int = 1) -> Distribution:
    """1000 latencies: scale, 2 scale, ..., each once."""
    return of(np.arange(1, 1001, dtype=np.int64) * scale)


def test_shares_within_limits() -> None:
    found = of([10, 20, 20, 40]).shares_within(np.array([5.0, 10.0, 19.9, 20.0, 39.0, 40.0, 99.0]))
    assert found.tolist() == [0, 0.25, 0.25, 0.75, 0.75, 1, 1]


def test_it_rises_up_to_the_tail() -> None:
    found = cumulative({0: ramp()})
    assert found.latency_s[0] == pytest.approx(5e-9)
    assert found.latency_s[-1] == pytest.approx(995e-9)
    assert found.median[0] == pytest.approx(0.005)
    assert found.median[-1] == pytest.approx(0.995)
    assert (np.diff(found.median) >= 0).all()
    assert found.low.tolist() == found.median.tolist() == found.high.tolist()
    assert found.latency_at(0.5) == pytest.approx(500e-9, rel=0.05)


@pytest.mark.parametrize(("runs", "low"), [(3, 0.5), (5, 1)])
def test_it_is_the_median_over_the_runs(runs: int, low: float) -> None:
    """One run of many times as many samples and half the pace counts as one run."""
    slow = of(np.repeat(np.arange(1, 1001, dtype=np.int64) * 2, 50))
    found = cumulative({0: slow} | {number: ramp() for number in range(1, runs)})
    assert found.latency_at(0.5) == pytest.approx(500e-9, rel=0.05)
    at = int(np.searchsorted(found.median, 0.5))
    # With three runs the spread goes to the slow one; the quartiles of five leave it out.
    assert found.low[at] == pytest.approx(low * found.median[at], rel=0.01)
    assert found.high[at] == found.median[at]


def test_equal_samples_are_a_step() -> None:
    found = cumulative({0: of([700] * 50)})
    assert found.median.tolist() == [1.0] * len(found.median)


# The picture


def result(folder: Path) -> Path:
    def record(manager: str, number: int) -> RunRecord:
        latency_ns = np.arange(1, 401, dtype=np.int64) * (100 if manager == "sync" else 150)
        part = SliceSamples(
            start_ns=int64s(0),
            end_ns=int64s(int(latency_ns.sum())),
            redos=int64s(latency_ns.size),
            latency_ns=latency_ns,
        )
        return RunRecord(Case(manager, "short", 1), number, (part,), USAGE)

    return save(
        folder / "t.json",
        [record(manager, number) for manager in ("sync", "async") for number in range(3)],
    )


def test_the_lines_have_markers_where_they_reach_round_shares(tmp_path: Path) -> None:
    path = result(tmp_path)
    ((name, make),) = pictures(load_summary(path), distributions_of(path, read_suite(path)))
    assert name == "cdf-short"
    (panel,) = make().axes
    assert panel.get_title(loc="left") == "short, N = 1: p50 of async is 1.50x that of sync"
    for manager in ("sync", "async"):
        look = style.look(manager)
        line, marks = (one for one in panel.get_lines() if one.get_color() == look.color)
        assert max(ys(line)) <= 100
        assert marks.get_marker() == look.marker
        assert ys(marks) == [10, 50, 90, 99]
    assert len(panel.collections) == 2  # the bands


def test_plot_draws_it_if_chosen(tmp_path: Path, bench: Bench) -> None:
    result(bench.folder)
    assert bench("plot t.json --only cdf --format svg") == (0, "t-cdf-short.svg\n", "")
    assert "p50 of async" in (bench.folder / "t-cdf-short.svg").read_text()


def test_a_result_without_samples_has_none(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"t\.json: no case has a histogram"):
        list(pictures(load_summary(result(tmp_path)), {}))
