"""High percentiles of latency, where there are enough samples for them.

The p-th percentile of n samples is the one of rank n - floor(n (1 - p / 100)), which is the nearest
rank, ceil(n p / 100): floor(n (1 - p / 100)) samples lie beyond it. With fewer than `LEAST_BEYOND`
of these it is unknown: their number has a binomial distribution, whose standard deviation is the
root of its mean, so 10 tell the share that lies beyond to a third. As samples of one process depend
on each other, the real uncertainty is greater.

Of a case, the percentile is the median over its runs, as every other measure. Percentiles are never
averaged over slices or clients; their samples are pooled (G. Tene, "How NOT to Measure Latency":
the mean of percentiles is no percentile). Where a run has too few samples, those of all runs are
pooled. That differs: one bad run of ten makes a pooled percentile bad but not a median. So it has
no spread and is marked.

A percentile is written here as ``one_in``: one of so many samples lies beyond it, so that 99.9 % is
1000 and ranks are exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from bench.results.histogram import Distribution, pooled
from bench.results.row import Estimate
from bench.statistics.bounded import Bounded
from bench.statistics.rounds import ratio

ONE_IN: Final = (2, 4, 10, 20, 100, 200, 1000, 2000, 10_000)
"""p50, p75, p90, p95, p99, p99.5, p99.9, p99.95 and p99.99."""

LEAST_BEYOND: Final = 10

TAIL_FROM: Final = 100
"""The tail: p99 and beyond."""

_NS_PER_S: Final = 1e9


@dataclass(frozen=True, slots=True)
class Percentile:
    """One percentile of a case.

    ``beyond``: how many samples of all runs lie beyond it. ``by_run``: that of each run, in
    seconds, if every run has enough samples. ``pooled_s``: that of all samples, if they are enough.
    """

    one_in: int
    beyond: int
    by_run: Estimate | None
    pooled_s: float | None

    @property
    def is_pooled(self) -> bool:
        """Whether ``value_s`` is that of all samples, because a run has too few of its own."""
        return self.by_run is None and self.pooled_s is not None

    @property
    def value_s(self) -> float | None:
        """The median over the runs, else the pooled one; None if there are too few samples."""
        return self.pooled_s if self.by_run is None else self.by_run.median


@dataclass(frozen=True, slots=True)
class Tails:
    """The percentiles of a case, ascending, and the number of samples of all its runs."""

    samples: int
    runs: int
    percentiles: tuple[Percentile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TailRatio(Bounded[float | None]):
    """A percentile of one case to that of another: the geometric mean over the rounds with its
    interval, or the ratio of the pooled ones without interval. None where either is unknown."""

    one_in: int
    is_pooled: bool = False


def percentile_name(one_in: int) -> str:
    """As ``p99.9``."""
    return f"p{percent(one_in):g}"


def percent(one_in: int) -> float:
    """As 99.9."""
    return round(100 - 100 / one_in, 6)


def percentile_ns(distribution: Distribution, one_in: int) -> int | None:
    """The percentile in ns; None if fewer than `LEAST_BEYOND` samples lie beyond it."""
    samples = distribution.samples
    beyond = samples // one_in
    return None if beyond < LEAST_BEYOND else distribution.ranked_ns(samples - beyond)


def tails(runs: Mapping[int, Distribution], one_in: Iterable[int] = ONE_IN) -> Tails:
    """The percentiles of a case from the distributions of its runs, by round; at least one."""
    together = pooled(runs.values())
    return Tails(
        samples=together.samples,
        runs=len(runs),
        percentiles=tuple(_percentile(runs, together, each) for each in one_in),
    )


def _percentile(
    runs: Mapping[int, Distribution], together: Distribution, one_in: int
) -> Percentile:
    own_ns = ((number, percentile_ns(run, one_in)) for number, run in runs.items())
    known = [(number, ns / _NS_PER_S) for number, ns in own_ns if ns is not None]
    pooled_ns = percentile_ns(together, one_in)
    return Percentile(
        one_in=one_in,
        beyond=together.samples // one_in,
        by_run=Estimate.of(known) if len(known) == len(runs) else None,
        pooled_s=None if pooled_ns is None else pooled_ns / _NS_PER_S,
    )


def tail_ratios(above: Tails, below: Tails) -> tuple[TailRatio, ...]:
    """The ratio of each percentile; both must have the same ones."""
    return tuple(map(_ratio, above.percentiles, below.percentiles))


def _ratio(above: Percentile, below: Percentile) -> TailRatio:
    effect, one_in = ratio(above.by_run, below.by_run), above.one_in
    if effect is not None:
        return TailRatio(one_in=one_in, value=effect.ratio, low=effect.low, high=effect.high)
    if above.pooled_s is None or below.pooled_s is None:
        return TailRatio(one_in=one_in, value=None)
    return TailRatio(one_in=one_in, value=above.pooled_s / below.pooled_s, is_pooled=True)
