"""How late a heartbeat beside the clients was; ``bench.worker.clients.heartbeat`` beats."""

from __future__ import annotations

from typing import Final

import numpy as np

from bench.results.key import Key, Value
from bench.results.measures.redos import NS_PER_S
from bench.results.record import RunRecord
from bench.results.samples import Int64s
from bench.worker.protocol import IDLE_LATE, LATE, PERIOD_NS

LATE_P50: Final = "redo_heartbeat_late_p50"
LATE_P99: Final = "redo_heartbeat_late_p99"
LATE_P99_9: Final = "redo_heartbeat_late_p99_9"
LATE_MAX: Final = "redo_heartbeat_late_max"
LATE_SHARE: Final = "redo_heartbeat_late_share"
IDLE_LATE_P50: Final = "redo_heartbeat_idle_late_p50"

MIN_BEYOND: Final = 10
"""A tail percentile needs this many later beats, or it would rest on a few of them."""


def stall_measures(record: RunRecord) -> dict[str, Value]:
    """All slices of the run are pooled; empty for a run without a heartbeat."""
    late_ns = _pooled(record, LATE)
    if not late_ns.size:
        return {}
    found: dict[str, Value] = {
        "redo_heartbeat_beats": int(late_ns.size),
        LATE_P50: _at(late_ns, 500),
        LATE_MAX: _at(late_ns, 1000),
        LATE_SHARE: float(np.count_nonzero(late_ns > PERIOD_NS)) / late_ns.size,
    }
    for key, permille in ((LATE_P99, 990), (LATE_P99_9, 999)):
        if late_ns.size - _rank(late_ns, permille) >= MIN_BEYOND:
            found[key] = _at(late_ns, permille)
    idle_ns = _pooled(record, IDLE_LATE)
    if idle_ns.size:
        found[IDLE_LATE_P50] = _at(idle_ns, 500)
        found["redo_heartbeat_idle_late_max"] = _at(idle_ns, 1000)
    return found


def _pooled(record: RunRecord, name: str) -> Int64s:
    parts = [series[name] for series in record.series if name in series]
    return np.sort(np.concatenate(parts)) if parts else np.empty(0, dtype=np.int64)


def _at(ordered_ns: Int64s, permille: int) -> float:
    """The percentile in seconds, by nearest rank as in ``redos.percentiles``."""
    return int(ordered_ns[_rank(ordered_ns, permille) - 1]) / NS_PER_S


def _rank(ordered_ns: Int64s, permille: int) -> int:
    return -(-ordered_ns.size * permille // 1000)


STALL_KEYS = (
    Key("redo_heartbeat_beats", "count", "beats that were due in the slices of the run"),
    Key(LATE_P50, "s", "median of how late they were; nearest rank, pooled"),
    Key(LATE_P99, "s", "99th percentile; absent with under 10 beats later than it"),
    Key(LATE_P99_9, "s", "99.9th percentile, likewise"),
    Key(LATE_MAX, "s", "the latest beat"),
    Key(LATE_SHARE, "ratio", "share of beats later than one period, 1 ms"),
    Key(IDLE_LATE_P50, "s", "median of the beats just before the clients began"),
    Key("redo_heartbeat_idle_late_max", "s", "the latest of those"),
)
