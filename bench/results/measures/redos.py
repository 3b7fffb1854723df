"""The numbers of a run, computed from its slices: pure functions with their formulas and sources.

Integer nanoseconds come in; seconds go out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.results.samples import Int64s, Slice, SliceSamples, SliceSummary

NS_PER_S = 1_000_000_000

SELF_CHECK_TOLERANCE = 0.02
"""Share of N that Little's law may be off by, beyond what the clients' last redos explain."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Exact percentiles of all samples of a run, in seconds."""

    p50_s: float
    p90_s: float
    p99_s: float
    p99_9_s: float
    max_s: float


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """How well one slice agrees with Little's law, N = throughput x time per redo.

    ``ratio`` is throughput x time per redo / N (1 is perfect), ``deviation`` its distance from 1,
    ``explained`` the part of it due to clients whose last redo ended after the deadline but before
    the slice's last redo, as it must. All three are shares of N.
    """

    ratio: float
    deviation: float
    explained: float

    @property
    def excess(self) -> float:
        """The deviation beyond the explained part, a share of N; may be below 0."""
        return self.deviation - self.explained

    @property
    def ok(self) -> bool:
        return self.excess <= SELF_CHECK_TOLERANCE


def pooled_latency_ns(slices: Sequence[SliceSamples]) -> Int64s:
    """Every latency sample of the run, in ns: one array, slice after slice."""
    return np.concatenate([part.latency_ns for part in slices])


def pooled_turn_ns(slices: Sequence[SliceSamples]) -> Int64s | None:
    """Every turn of the run, in ns; None where a slice does not have them (`SliceSamples`)."""
    parts = [part.turn_ns for part in slices]
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known and len(known) == len(parts) else None


def redos(slices: Sequence[Slice]) -> int:
    """Number of redos of all clients in all slices."""
    return sum(
        part.redos if isinstance(part, SliceSummary) else part.latency_ns.size for part in slices
    )


def wall_s(slices: Sequence[Slice]) -> float:
    """Seconds from the barrier to the last client's end, summed over the slices."""
    return sum(_wall_ns(part) for part in slices) / NS_PER_S


def throughput_per_s(slices: Sequence[Slice]) -> float:
    """Redos per second: all redos / wall clock from the barrier to the last client's end.

    The last end is at most one redo after the slice's deadline, so all of the wall clock is work.
    """
    return redos(slices) / wall_s(slices)


def time_per_redo_s(slices: Sequence[Slice]) -> float:
    """Client-visible seconds per redo: sum of the clients' walls / redos.

    A client's wall runs from the barrier to the end of its last redo: waiting for the executor
    before its first redo counts like waiting before any other.

    In an open loop clients also wait for arrivals, so their walls say nothing. There it is the mean
    latency from the intended start, so that throughput x time per redo is the mean number of redos
    that wait or are being done (Little's law with L in place of N).

    Source: the figure that neondatabase/neon's pageserver/benches/bench_walredo.rs reports (the
    clients' elapsed times, added up and divided by the number of redos).
    """
    return sum(_client_ns(part) for part in slices) / redos(slices) / NS_PER_S


def percentiles(latency_ns: Int64s) -> Percentiles:
    """p50, p90, p99, p99.9 and max of times in ns, by nearest rank.

    The p-th percentile of n samples is the ceil(n p / 100)-th smallest one: always a latency that
    was measured, never one in between (Hyndman and Fan 1996, definition 1, "inverted_cdf" in
    numpy). Below 1 / (1 - p) samples it is the maximum: a p99.9 needs a thousand to mean more.
    """
    # Ranks are integer arithmetic in permille: 0.999 * 1000 as floats may round up to rank 1000.
    ranks = [-(-latency_ns.size * permille // 1000) - 1 for permille in (500, 900, 990, 999, 1000)]
    ordered = np.partition(latency_ns, sorted(set(ranks)))
    return Percentiles(*(int(ordered[rank]) / NS_PER_S for rank in ranks))


def self_check(part: SliceSamples) -> SelfCheck:
    """Little's law for one slice of a closed loop: N = throughput x time per redo.

    Source: J. D. C. Little, "A proof for the queuing formula L = lambda W", Operations Research 9
    (1961). N closed-loop clients are busy all the time, so L is N. With throughput = redos / wall
    and time per redo = sum(end_c) / redos, the ratio is sum(end_c) / (N wall). It falls short of 1
    by the clients' idle time at the end. Of that, sum(last_end - max(end_c, deadline)) / (N wall)
    is explained: at the deadline each client still finishes its redo. Idle time before the deadline
    is not: a client that stopped early left fewer than N at work.
    """
    full_ns = part.clients * _wall_ns(part)
    ratio = _client_ns(part) / full_ns
    worked_ns = np.minimum(np.maximum(part.end_ns, part.deadline_ns), _wall_ns(part))
    explained = (full_ns - int(worked_ns.sum())) / full_ns
    return SelfCheck(ratio=ratio, deviation=abs(1.0 - ratio), explained=explained)


def fairness(slices: Sequence[SliceSamples]) -> tuple[int, int]:
    """The fewest and the most redos that a client finished in all slices together."""
    per_client = np.sum([part.redos for part in slices], axis=0)
    return int(per_client.min()), int(per_client.max())


def _wall_ns(part: Slice) -> int:
    return part.wall_ns if isinstance(part, SliceSummary) else int(part.end_ns.max())


def _client_ns(part: Slice) -> int:
    """The times whose sum is divided by the number of redos for the time per redo."""
    if isinstance(part, SliceSummary):
        return part.clients_ns
    return int((part.latency_ns if part.is_open else part.end_ns).sum())
