"""From the slices of a run to its numbers: pure functions, each with its formula and source.

Nothing here knows files, metadata or more than one run. Integer nanoseconds come in; seconds go
out. The histogram of the same samples is in ``histogram``.
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
    """Exact percentiles of all latency samples of a run, in seconds."""

    p50_s: float
    p90_s: float
    p99_s: float
    p99_9_s: float
    max_s: float


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """How well one slice agrees with Little's law, N = throughput x time per redo.

    ``ratio`` is throughput x time per redo / N (1 is perfect), ``deviation`` its distance from 1,
    ``explained`` the part of it that comes from clients whose last redo ended after the deadline
    but before the slice's last one, as they must. All three are shares of N.
    """

    ratio: float
    deviation: float
    explained: float

    @property
    def excess(self) -> float:
        """What is left of the deviation after the explained part, a share of N; may be below 0."""
        return self.deviation - self.explained

    @property
    def ok(self) -> bool:
        """Whether the deviation is within the tolerance and what the last redos explain."""
        return self.excess <= SELF_CHECK_TOLERANCE


@dataclass(frozen=True, slots=True)
class Fairness:
    """Redos of the client that got the least and of the one that got the most, over all slices."""

    least: int
    most: int


def pooled_latency_ns(slices: Sequence[SliceSamples]) -> Int64s:
    """Every latency sample of the run, in ns: one array, slice after slice."""
    return np.concatenate([one.latency_ns for one in slices])


def redos(slices: Sequence[Slice]) -> int:
    """Number of redos of all clients in all slices."""
    return sum(_redos(one) for one in slices)


def wall_s(slices: Sequence[Slice]) -> float:
    """Seconds from the barrier to the last client's end, summed over the slices."""
    return sum(_wall_ns(one) for one in slices) / NS_PER_S


def throughput_per_s(slices: Sequence[Slice]) -> float:
    """Redos per second: all redos / wall clock from the barrier to the last client's end.

    The last end is at most one redo past the slice's deadline, so the wall is that of the work.
    """
    return redos(slices) / wall_s(slices)


def time_per_redo_s(slices: Sequence[Slice]) -> float:
    """Client-visible seconds per redo: sum of the clients' walls / redos.

    A client's wall runs from the barrier to the end of its last redo: what it waits for its
    executor before its first redo is no different from what it waits before any other.

    In an open loop clients wait for arrivals, too, and their walls say nothing: there it is the
    mean latency from the intended start, so that throughput x time per redo is the mean number of
    redos that wait or are being done (Little's law with L in place of N).

    Source: the figure that neondatabase/neon's pageserver/benches/bench_walredo.rs reports (the
    clients' elapsed times, added up and divided by the number of redos).
    """
    return sum(_client_ns(one) for one in slices) / redos(slices) / NS_PER_S


def percentiles(slices: Sequence[SliceSamples]) -> Percentiles:
    """p50, p90, p99, p99.9 and max of the pooled samples, by nearest rank.

    The p-th percentile of n samples is the ceil(n p / 100)-th smallest one: always a latency that
    was measured, never one in between (Hyndman and Fan 1996, definition 1, "inverted_cdf" in
    numpy). Below 1 / (1 - p) samples it is the maximum: a p99.9 needs a thousand to mean more.
    """
    return percentiles_of(pooled_latency_ns(slices))


def percentiles_of(latency_ns: Int64s) -> Percentiles:
    """The same of any times in ns."""
    # Ranks are integer arithmetic in permille: 0.999 * 1000 as floats may round up to rank 1000.
    ranks = [-(-latency_ns.size * permille // 1000) - 1 for permille in (500, 900, 990, 999, 1000)]
    ordered = np.partition(latency_ns, sorted(set(ranks)))
    return Percentiles(*(int(ordered[rank]) / NS_PER_S for rank in ranks))


def self_check(one: SliceSamples) -> SelfCheck:
    """Little's law for one slice: N = throughput x time per redo.

    Source: J. D. C. Little, "A proof for the queuing formula L = lambda W", Operations Research 9
    (1961). N closed-loop clients are at it all the time, so L is N. With throughput = redos / wall
    and time per redo = sum(end_c) / redos, the ratio is sum(end_c) / (N wall). It falls short of 1
    by what clients idle at the end. Of that, sum(last_end - max(end_c, deadline)) / (N wall) is
    explained: each stops with the redo that it is at when the deadline passes. A client that
    stopped before the deadline is not: fewer than N were at work for a part of the slice.
    For closed loops only: in an open one clients are to idle.
    """
    full_ns = one.clients * _wall_ns(one)
    ratio = _client_ns(one) / full_ns
    worked_ns = np.minimum(np.maximum(one.end_ns, one.deadline_ns), _wall_ns(one))
    explained = (full_ns - _total(worked_ns)) / full_ns
    return SelfCheck(ratio=ratio, deviation=abs(1.0 - ratio), explained=explained)


def fairness(slices: Sequence[SliceSamples]) -> Fairness:
    """The least and the most redos that a client finished, each client summed over the slices."""
    per_client = np.sum([one.redos for one in slices], axis=0)
    return Fairness(least=int(per_client.min()), most=int(per_client.max()))


def _redos(one: Slice) -> int:
    return one.redos if isinstance(one, SliceSummary) else one.latency_ns.size


def _wall_ns(one: Slice) -> int:
    return one.wall_ns if isinstance(one, SliceSummary) else int(one.end_ns.max())


def _client_ns(one: Slice) -> int:
    """What the time per redo is a share of."""
    if isinstance(one, SliceSummary):
        return one.clients_ns
    return _total(one.latency_ns if one.is_open else one.end_ns)


def _total(array: Int64s) -> int:
    return int(array.sum())
