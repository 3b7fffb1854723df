"""Runs of open loads with a known truth."""

from __future__ import annotations

import numpy as np

from bench.cases.case import Case
from bench.results.record import RunRecord
from bench.results.samples import SliceSamples
from bench.worker.protocol import FROM_CALL, PACER_LATE
from tests.support.synthetic import USAGE, int64s

REDOS = 200
SLICE_NS = 10_000_000


def open_slice(clients: int, latency_ns: int) -> SliceSamples:
    """All redos are those of the first client, each as late as the others."""
    idle = [0] * (clients - 1)
    return SliceSamples(
        start_ns=int64s(*[10] * clients),
        end_ns=int64s(SLICE_NS, *[10 for _ in idle]),
        redos=int64s(REDOS, *idle),
        latency_ns=np.full(REDOS, latency_ns, dtype=np.int64),
        deadline_ns=SLICE_NS,
        is_open=True,
    )


def open_record(
    case: Case,
    number: int = 0,
    *,
    latency_ns: int,
    from_call_ns: int = 50_000,
    overloaded: tuple[int, ...] = (0, 0),
    late: bool = True,
) -> RunRecord:
    """A run of as many slices as ``overloaded`` has; each 200 redos in 10 ms."""
    slices = tuple(open_slice(case.clients, latency_ns) for _ in overloaded)
    series = {
        FROM_CALL: np.full(REDOS, from_call_ns, dtype=np.int64),
        PACER_LATE: int64s(*range(1_000, 101_000, 1_000)) if late else int64s(),
    }
    counts = tuple(
        {"arrivals": REDOS * (1 + over), "backlog_peak": 7 + over, "overloaded": over}
        for over in overloaded
    )
    return RunRecord(
        case, number, slices, USAGE, ((20, 60e-6),), series=(series,) * len(slices), counts=counts
    )
