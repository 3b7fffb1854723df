"""What a run says beyond time, throughput, latency and usage: the measures of experiments.

Each experiment has a function from a run to values under keys of ``keys.FURTHER``, listed here; a
run that did not measure such a thing gives none. Nothing here knows files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bench.results.key import Value
from bench.results.measures.admission import admission_measures
from bench.results.measures.fairness import fairness_measures
from bench.results.measures.lifecycle import lifecycle_measures
from bench.results.measures.open_loop import open_measures
from bench.results.measures.stall import stall_measures
from bench.results.record import RunRecord

Measures = Callable[[RunRecord], Mapping[str, Value]]

_MEASURES: Final[tuple[Measures, ...]] = (
    stall_measures,
    admission_measures,
    open_measures,
    lifecycle_measures,
    fairness_measures,
)


def further_metadata(record: RunRecord) -> dict[str, Value]:
    """All that the run has."""
    found: dict[str, Value] = {}
    for measures in _MEASURES:
        found |= measures(record)
    return found
