"""What a run with an open load says of its arrivals: pure functions, from a run to its keys.

Throughput, latency and time per redo are as for any run (``measures``); the loop is in
``clients_open``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bench.cases.notations import Load
from bench.results.key import Key, Value
from bench.results.measures.redos import NS_PER_S, percentiles_of
from bench.results.record import RunRecord
from bench.worker.protocol import FROM_CALL, PACER_LATE


def open_measures(record: RunRecord) -> Mapping[str, Value]:
    """The keys ``redo_open_*``; none for a closed loop. All slices of the run together."""
    if not Load.parse(record.case.load).is_open:
        return {}
    counts = record.counts
    seconds = sum(one.deadline_ns for one in record.samples) / NS_PER_S
    from_call = percentiles_of(np.concatenate([one[FROM_CALL] for one in record.series]))
    found: dict[str, Value] = {
        "redo_open_offered_per_s": sum(one["arrivals"] for one in counts) / seconds,
        "redo_open_overloaded": sum(one["overloaded"] for one in counts) / len(counts),
        "redo_open_backlog_peak": max(one["backlog_peak"] for one in counts),
        "redo_open_from_call_p50": from_call.p50_s,
        "redo_open_from_call_p99": from_call.p99_s,
    }
    late_ns = np.concatenate([one[PACER_LATE] for one in record.series])
    if late_ns.size:
        late = percentiles_of(late_ns)
        found |= {"redo_open_pacer_late_p50": late.p50_s, "redo_open_pacer_late_p99": late.p99_s}
    return found


OPEN_LOOP_KEYS = (
    Key("redo_open_offered_per_s", "1/s", "arrivals of an open load / time of its slices"),
    Key("redo_open_overloaded", "ratio", "share of slices that ended early: too many waited"),
    Key("redo_open_backlog_peak", "count", "most arrivals that were due and had no client"),
    Key("redo_open_from_call_p50", "s", "median latency, counted from the call for once"),
    Key("redo_open_from_call_p99", "s", "99th percentile of the same samples"),
    Key("redo_open_pacer_late_p50", "s", "median lateness of the calls that a free client awaited"),
    Key("redo_open_pacer_late_p99", "s", "99th percentile of the same samples"),
)
