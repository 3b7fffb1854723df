"""A result as other tools take it: github-action-benchmark and Bencher.

What their formats hold and no more: `show --json` has everything. Plain data for JSON; nothing here
prints or uploads. A measure that is not known, and a case that only failed, is left out: neither
format has a way to say "unknown", and a time of zero would be the best of all.

Sources: the README of benchmark-action/github-action-benchmark (tools ``customSmallerIsBetter`` and
``customBiggerIsBetter``) and its ``src/extract.ts`` (``BenchmarkResult``); the reference "Bencher
Metric Format (BMF)" and the guide "Track Custom Benchmarks" in the Bencher documentation
(schema ``bmf.json``, v0).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from bench.results.measures.redos import NS_PER_S
from bench.results.row import Measure
from bench.results.summary import CaseRow, Estimate, Summary
from bench.show.findings import HEADINGS

_SMALLER_IS_BETTER: Final = (Measure.TIME_PER_REDO, Measure.LATENCY_P99, Measure.CPU_TOTAL)
"""Throughput is not among them: one file of that tool goes one way only."""

_BENCHER_BUILT_IN: Final = {Measure.LATENCY: "latency", Measure.THROUGHPUT: "throughput"}
"""The slugs of the measures that every project at Bencher has: nanoseconds, operations per
second."""


def github_action(summary: Summary) -> list[dict[str, Any]]:
    """Entries for the tool ``customSmallerIsBetter``, as many per case as it has measures.

    Each has ``name`` (``async/short/n=8 time-per-redo``), ``unit``, ``value`` (the median),
    ``range`` (half of the spread between the runs, as ``± 120.5``; left out with one run) and
    ``extra`` (lines that the chart shows besides).
    """
    environment = summary.environment
    entries = []
    for row in _rows(summary):
        for measure in _SMALLER_IS_BETTER:
            if (estimate := measure.of(row)) is None:
                continue
            runs = len(estimate.by_round)
            entry = {
                "name": f"{row.case.name} {measure.name}",
                "unit": f"n{measure.key.unit}",
                "value": _ns(estimate.median),
            }
            if runs > 1:
                entry["range"] = f"± {_ns((estimate.high - estimate.low) / 2)}"
            entry["extra"] = (
                f"runs: {runs}\ncommit: {environment.version}\n"
                f"CPU: {environment.cpu_model}\nkernel: {environment.kernel}"
            )
            entries.append(entry)
    return entries


def bencher(summary: Summary) -> dict[str, dict[str, dict[str, float]]]:
    """Bencher Metric Format: name of a case -> slug of a measure -> its metric.

    A metric has ``value`` (the median) and, with more than one run, ``lower_value`` and
    ``upper_value`` (the spread between the runs). Times are nanoseconds, throughput is redos per
    second. ``latency``, which every project there has, is the median latency.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in _rows(summary):
        for measure in map(Measure.of_field, HEADINGS):
            if (estimate := measure.of(row)) is not None:
                slug = _BENCHER_BUILT_IN.get(measure, measure.name)
                found.setdefault(row.case.name, {})[slug] = _metric(measure, estimate)
    return found


def _rows(summary: Summary) -> Iterator[CaseRow]:
    """In the order of the table."""
    return (row for group in summary.groups() for row in group.rows)


def _ns(seconds: float) -> float:
    """With three decimals: what is beyond them is the rounding of seconds."""
    return round(seconds * NS_PER_S, 3)


def _metric(measure: Measure, estimate: Estimate) -> dict[str, float]:
    scaled = _ns if measure.less_is_better else float
    metric = {"value": scaled(estimate.median)}
    if len(estimate.by_round) > 1:
        metric |= {"lower_value": scaled(estimate.low), "upper_value": scaled(estimate.high)}
    return metric
