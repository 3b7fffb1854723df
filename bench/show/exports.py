"""A result as other tools take it: github-action-benchmark and Bencher.

What their formats hold and no more: `bench.table` has everything. Plain data for JSON; nothing here
prints or uploads. A measure that is not known, and a case that only failed, is left out: neither
format has a way to say "unknown", and a time of zero would be the best of all.

Sources: the README of benchmark-action/github-action-benchmark (tools ``customSmallerIsBetter`` and
``customBiggerIsBetter``) and its ``src/extract.ts`` (``BenchmarkResult``); the reference "Bencher
Metric Format (BMF)" and the guide "Track Custom Benchmarks" in the Bencher documentation
(schema ``bmf.json``, v0).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bench.results.measures.redos import NS_PER_S
from bench.results.summary import MEASURES, CaseRow, Estimate, Summary, measure_name, measure_of
from bench.show.findings import HEADINGS

_DECIMALS: Final = 3
"""Of nanoseconds: what is beyond them is the rounding of seconds."""

_SMALLER_IS_BETTER: Final = ("time_per_redo_s", "latency_p99_s", "cpu_total_s")
"""Throughput is not among them: one file of that tool goes one way only."""

_BENCHER_BUILT_IN: Final = {"latency_p50_s": "latency", "throughput_per_s": "throughput"}
"""Measure -> slug of the measure that every project at Bencher has: nanoseconds, operations per
second."""


def github_action(summary: Summary) -> list[dict[str, Any]]:
    """Entries for the tool ``customSmallerIsBetter``, as many per case as it has measures.

    Each has ``name`` (``async/short/n=8 time-per-redo``), ``unit``, ``value`` (the median),
    ``range`` (half of the spread between the runs, as ``± 120.5``; left out with one run) and
    ``extra`` (lines that the chart shows besides).
    """
    return [
        {
            "name": f"{row.case.name} {measure_name(measure)}",
            "unit": f"n{MEASURES[measure].key.unit}",
            "value": _ns(estimate.median),
            **_range(estimate),
            "extra": _extra(summary, estimate),
        }
        for row in _rows(summary)
        for measure in _SMALLER_IS_BETTER
        if (estimate := measure_of(row, measure)) is not None
    ]


def bencher(summary: Summary) -> dict[str, dict[str, dict[str, float]]]:
    """Bencher Metric Format: name of a case -> slug of a measure -> its metric.

    A metric has ``value`` (the median) and, with more than one run, ``lower_value`` and
    ``upper_value`` (the spread between the runs). Times are nanoseconds, throughput is redos per
    second. ``latency``, which every project there has, is the median latency.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in _rows(summary):
        for measure in HEADINGS:
            if (estimate := measure_of(row, measure)) is not None:
                slug = _BENCHER_BUILT_IN.get(measure, measure_name(measure))
                found.setdefault(row.case.name, {})[slug] = _metric(measure, estimate)
    return found


def _rows(summary: Summary) -> list[CaseRow]:
    """In the order of the table."""
    return [row for group in summary.groups() for row in group.rows]


def _ns(seconds: float) -> float:
    return round(seconds * NS_PER_S, _DECIMALS)


def _range(estimate: Estimate) -> Mapping[str, str]:
    if len(estimate.by_round) < 2:
        return {}
    return {"range": f"± {_ns((estimate.high - estimate.low) / 2)}"}


def _extra(summary: Summary, estimate: Estimate) -> str:
    environment = summary.environment
    return "\n".join(
        (
            f"runs: {len(estimate.by_round)}",
            f"commit: {environment.version}",
            f"CPU: {environment.cpu_model}",
            f"kernel: {environment.kernel}",
        )
    )


def _metric(measure: str, estimate: Estimate) -> dict[str, float]:
    scaled = _ns if MEASURES[measure].less_is_better else float
    metric = {"value": scaled(estimate.median)}
    if len(estimate.by_round) > 1:
        metric |= {"lower_value": scaled(estimate.low), "upper_value": scaled(estimate.high)}
    return metric
