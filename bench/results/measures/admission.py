"""Measures of a run's read path: memory, clients in each stage, and how idle the child was.

Formulas are in docs/measures.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from bench.results.key import Key, Value
from bench.results.measures.redos import NS_PER_S, wall_s
from bench.results.record import RunRecord

HELD_PEAK: Final = "redo_admission_held_peak"
COLLECTING_PEAK: Final = "redo_admission_collecting_peak"
REDOING_PEAK: Final = "redo_admission_redoing_peak"
CHILD_IDLE: Final = "redo_admission_child_idle"
REDO_P50: Final = "redo_admission_redo_p50"
REDO_P99: Final = "redo_admission_redo_p99"


def admission_measures(record: RunRecord) -> Mapping[str, Value]:
    """Peaks are those of the worst slice; empty for a run without a read path."""
    slices = record.counts
    if not slices or not all("held_peak_bytes" in counts for counts in slices):
        return {}
    idle_s = sum(counts["child_idle_ns"] for counts in slices) / NS_PER_S
    redo_ns = np.concatenate([series["redo_ns"] for series in record.series])
    p50_ns, p99_ns = np.percentile(redo_ns, (50, 99), method="inverted_cdf")
    return {
        HELD_PEAK: max(counts["held_peak_bytes"] for counts in slices),
        COLLECTING_PEAK: max(counts["collecting_peak"] for counts in slices),
        REDOING_PEAK: max(counts["redoing_peak"] for counts in slices),
        CHILD_IDLE: idle_s / wall_s(record.slices),
        REDO_P50: int(p50_ns) / NS_PER_S,
        REDO_P99: int(p99_ns) / NS_PER_S,
    }


ADMISSION_KEYS = (
    Key(HELD_PEAK, "bytes", "most data that the reads held at once"),
    Key(COLLECTING_PEAK, "count", "most clients that collected, held or redid"),
    Key(REDOING_PEAK, "count", "most redos in flight at once"),
    Key(CHILD_IDLE, "ratio", "share of the wall with no redo in flight"),
    Key(REDO_P50, "s", "median time of the redo alone, within a read"),
    Key(REDO_P99, "s", "99th percentile of the same times"),
)
