"""What a run says beyond time, throughput, latency and usage: the measures of experiments.

Each experiment has a function from a run to values under keys of ``keys.FURTHER``, listed here; a
run that did not measure such a thing gives none. Nothing here knows files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bench.admission_measures import admission_measures
from bench.fairness_measures import fairness_measures
from bench.keys import Value
from bench.lifecycle_measures import lifecycle_measures
from bench.open_measures import open_measures
from bench.records import RunRecord
from bench.stall_measures import stall_measures

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
