"""Measures of the arrivals of an open load.

Throughput, latency and time per redo of an open load are in ``redos``, as those of any run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from bench.cases.notations import Load
from bench.results.key import Key, Value
from bench.results.measures.redos import NS_PER_S, percentiles
from bench.results.record import RunRecord
from bench.worker.protocol import FROM_CALL, PACER_LATE

OFFERED_PER_S: Final = "redo_open_offered_per_s"
OVERLOADED: Final = "redo_open_overloaded"
BACKLOG_PEAK: Final = "redo_open_backlog_peak"
FROM_CALL_P50: Final = "redo_open_from_call_p50"
FROM_CALL_P99: Final = "redo_open_from_call_p99"
PACER_LATE_P50: Final = "redo_open_pacer_late_p50"
PACER_LATE_P99: Final = "redo_open_pacer_late_p99"


def open_measures(record: RunRecord) -> Mapping[str, Value]:
    """Over all slices of the run together; empty for a closed loop."""
    if not Load.parse(record.case.load).is_open:
        return {}
    slices = record.counts
    seconds = sum(part.deadline_ns for part in record.samples) / NS_PER_S
    from_call = percentiles(np.concatenate([series[FROM_CALL] for series in record.series]))
    found: dict[str, Value] = {
        OFFERED_PER_S: sum(counts["arrivals"] for counts in slices) / seconds,
        OVERLOADED: sum(counts["overloaded"] for counts in slices) / len(slices),
        BACKLOG_PEAK: max(counts["backlog_peak"] for counts in slices),
        FROM_CALL_P50: from_call.p50_s,
        FROM_CALL_P99: from_call.p99_s,
    }
    late_ns = np.concatenate([series[PACER_LATE] for series in record.series])
    if late_ns.size:
        late = percentiles(late_ns)
        found |= {PACER_LATE_P50: late.p50_s, PACER_LATE_P99: late.p99_s}
    return found


OPEN_LOOP_KEYS = (
    Key(OFFERED_PER_S, "1/s", "arrivals of an open load / time of its slices"),
    Key(OVERLOADED, "ratio", "share of slices that ended early: too many waited"),
    Key(BACKLOG_PEAK, "count", "most arrivals that were due and had no client"),
    Key(FROM_CALL_P50, "s", "median latency, counted from the call for once"),
    Key(FROM_CALL_P99, "s", "99th percentile of the same samples"),
    Key(PACER_LATE_P50, "s", "median lateness of the calls that a free client awaited"),
    Key(PACER_LATE_P99, "s", "99th percentile of the same samples"),
)
