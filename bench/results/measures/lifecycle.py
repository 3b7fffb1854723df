"""Measures of a run of a scenario: launches, children not yet reaped, a child's memory.

How they are counted is in ``bench.worker.subjects.scenarios``.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Final

from bench.cases.notations import REDO, STORMS
from bench.results.key import Key, Value
from bench.results.measures.redos import NS_PER_S, wall_s
from bench.results.record import RunRecord

LAUNCHES_PER_S: Final = "redo_lifecycle_launches_per_s"
UNREAPED_PEAK: Final = "redo_lifecycle_unreaped_peak"
LAUNCH: Final = "redo_lifecycle_launch"
CHILD_RSS: Final = "redo_lifecycle_child_rss"
CHILD_PSS: Final = "redo_lifecycle_child_pss"


def lifecycle_measures(record: RunRecord) -> Mapping[str, Value]:
    """Empty for a case that redoes."""
    if record.case.scenario == REDO:
        return {}

    def of_slices(name: str) -> list[int]:
        return [counts[name] for counts in record.counts if name in counts]

    found: dict[str, Value] = {}
    if record.case.scenario in STORMS:
        found[LAUNCHES_PER_S] = sum(of_slices("launches")) / wall_s(record.slices)
    if peaks := of_slices("unreaped_peak"):
        found[UNREAPED_PEAK] = max(peaks)
    launches = int(record.worker_metadata.get("redo_counter_launches", 0))
    if launches:
        total_ns = int(record.worker_metadata["redo_counter_launch_ns_total"])
        found[LAUNCH] = total_ns / launches / NS_PER_S
    for key, name in ((CHILD_RSS, "child_rss_bytes"), (CHILD_PSS, "child_pss_bytes")):
        if sizes := of_slices(name):
            found[key] = statistics.median(sizes)
    return found


LIFECYCLE_KEYS = (
    Key(LAUNCHES_PER_S, "1/s", "children launched in a storm / wall"),
    Key(
        UNREAPED_PEAK,
        "count",
        "most children of a storm without a manager that were launched and not reaped at once",
    ),
    Key(LAUNCH, "s", "mean time to start a child, until it is executed"),
    Key(CHILD_RSS, "bytes", "resident memory of an idle child that has answered"),
    Key(CHILD_PSS, "bytes", "the same, pages that k processes share counted as a k-th"),
)
