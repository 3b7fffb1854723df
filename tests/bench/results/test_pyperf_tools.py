"""pyperf's own commands, really run, on files of the suite."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cases.case import Case
from bench.results.record import FailedRun
from tests.support.synthetic import save, steady_record

ASYNC, SYNC = Case("async", "short", 8), Case("sync", "short", 8, "python")


def pyperf(*arguments: str | Path) -> str:
    """Standard output of ``python -m pyperf ...``, which must succeed and be silent otherwise."""
    done = subprocess.run(
        [sys.executable, "-m", "pyperf", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def base(tmp_path: Path) -> Path:
    records = [
        steady_record(case, number, latency_ns=50_000 + 1000 * number)
        for case in (ASYNC, SYNC)
        for number in range(3)
    ]
    return save(tmp_path / "base.json", records, [FailedRun(ASYNC, 3, "timed out")])


def test_show(base: Path) -> None:
    shown = pyperf("show", base)
    assert "async/short/n=8" in shown
    assert "sync/short/n=8/child=python" in shown
    assert "Mean +- std dev: 51.0 us +- 0.9 us" in shown


def test_stats_and_hist(base: Path) -> None:
    stats = pyperf("stats", base)
    assert "Total number of values: 6" in stats
    assert "Loop iterations per value: 160" in stats
    assert "Median +- MAD:   51.0 us" in stats
    assert "50.0 us: 2 ###" in pyperf("hist", base)


def test_metadata(base: Path) -> None:
    shown = pyperf("metadata", base)
    assert "redo_cpu_model: Example CPU 3000" in shown
    assert "redo_failed: [" in shown


def test_compare_to(base: Path, tmp_path: Path) -> None:
    records = [
        steady_record(ASYNC, number, latency_ns=25_000 + 500 * number) for number in range(3)
    ]
    changed = save(tmp_path / "changed.json", records)
    assert "51.0 us +- 0.9 us -> [changed] 25.5 us +- 0.4 us: 2.00x faster" in pyperf(
        "compare_to", base, changed
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("redo_latency_p99", 50e-6),
        ("redo_throughput", 8 / 50e-6),
        ("redo_cpu_total", 0.050 / 320),
        ("redo_client_redos_min", 40),
    ],
)
def test_extract_metadata(base: Path, tmp_path: Path, key: str, value: float) -> None:
    extracted = tmp_path / "extracted.json"
    pyperf("convert", base, f"--extract-metadata={key}", "-o", extracted)
    runs = json.loads(extracted.read_text())["benchmarks"][0]["runs"]
    assert runs[0]["values"] == pytest.approx([value])
    pyperf("show", extracted)
