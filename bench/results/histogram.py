"""Latency samples <-> the standard text of an HdrHistogram (V2, zlib, base64).

Every implementation of HdrHistogram and its plotters can read the text. It keeps the whole
distribution of a run in a few KiB, so that any percentile can be asked for later.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyperf
from hdrh import codec
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

from bench.cases.case import Case
from bench.errors import ResultFileError
from bench.results.samples import Int64s

TURN_KEY = "redo_turn_hdr_histogram"
KEY = "redo_hdr_histogram"
"""The keys of the histograms of a run: of its turns, and of the latencies of its calls."""

LOWEST_NS = 1
HIGHEST_NS = 60_000_000_000
"""One redo's deadline. A longer latency (a redo that was retried) is counted at this value; the
exact maximum of a run is kept beside the histogram."""

SIGNIFICANT_DIGITS = 3
RELATIVE_ERROR = 10.0**-SIGNIFICANT_DIGITS
"""A value read back differs from the one recorded by less than this share of it."""

# Buckets of 3 digits: values below 2048 are exact, above that the top 11 bits are kept
# (G. Tene, HdrHistogram: the smallest power of two that is at least 2 x 10^digits).
_EXACT_BITS = 11


def quantise(latency_ns: Int64s) -> Int64s:
    """The lowest value (ns) that the histogram does not distinguish from each. Same shape."""
    clipped = np.clip(latency_ns, LOWEST_NS, HIGHEST_NS)
    # frexp gives v = m 2^e with 0.5 <= m < 1, so e is the bit length; exact far beyond 60 s.
    bits = np.frexp(clipped.astype(np.float64))[1].astype(np.int64)
    shift = np.maximum(bits - _EXACT_BITS, 0)
    result: Int64s = (clipped >> shift) << shift
    return result


def encode(latency_ns: Int64s) -> str:
    """The samples (ns, each > 0) as an encoded histogram, 1 ns to 60 s with 3 significant digits.

    A million samples take about as long as sorting them, because the library, which is pure Python,
    is called once per distinct value instead of once per sample.
    """
    histogram = HdrHistogram(LOWEST_NS, HIGHEST_NS, SIGNIFICANT_DIGITS)
    values, counts = np.unique(quantise(latency_ns), return_counts=True)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        histogram.record_value(value, count)
    text: bytes = histogram.encode()
    return text.decode("ascii")


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """The content of a histogram: distinct values, ascending, and the number of samples of each.

    A value is the highest one that the histogram does not distinguish from the recorded one. Both
    arrays are int64[values]; there is at least one sample.
    """

    values_ns: Int64s
    counts: Int64s

    @property
    def samples(self) -> int:
        """The number of samples."""
        return int(self.counts.sum())

    def ranked_ns(self, rank: int) -> int:
        """The rank-th smallest sample, from 1 to ``samples``."""
        return int(self.values_ns[np.searchsorted(self.counts.cumsum(), rank)])

    def shares_within(self, limits_ns: NDArray[np.float64]) -> NDArray[np.float64]:
        """The share of samples, 0 to 1, that are not greater than each limit. Same shape."""
        up_to = np.concatenate(([0], self.counts.cumsum()))
        shares: NDArray[np.float64] = (
            up_to[np.searchsorted(self.values_ns, limits_ns, side="right")] / up_to[-1]
        )
        return shares


def distribution(text: str) -> Distribution:
    """Decodes a histogram. Raises ValueError if the text is none or it has no sample."""
    try:
        histogram = HdrHistogram.decode(text)
    except (
        codec.HdrCookieException,
        codec.HdrHistogramSettingsException,
        codec.HdrLengthException,
        TypeError,
        ValueError,
        zlib.error,
    ) as error:
        raise ValueError(f"not an HdrHistogram ({error or type(error).__name__})") from error
    counts = np.ctypeslib.as_array(histogram.counts).astype(np.int64)
    (found,) = counts.nonzero()
    if not found.size:
        raise ValueError("an HdrHistogram without a sample")
    return Distribution(_highest_ns(histogram, found), counts[found])


def _highest_ns(histogram: HdrHistogram, indices: Int64s) -> Int64s:
    """The highest value that is counted at each index: what the library says of one index at a
    time, which takes a thousand times as long. Same shape."""
    half_bits = histogram.sub_bucket_half_count_magnitude
    # The first bucket has twice as many values as each further one, which doubles their width.
    bucket = np.maximum((indices >> half_bits) - 1, 0)
    in_bucket = indices - (bucket << half_bits)
    width_bits = bucket + histogram.unit_magnitude
    highest: Int64s = ((in_bucket + 1) << width_bits) - 1
    return highest


def pooled(distributions: Iterable[Distribution]) -> Distribution:
    """All samples of one or more distributions, as one."""
    parts = list(distributions)
    all_values = np.concatenate([part.values_ns for part in parts])
    values, where = np.unique(all_values, return_inverse=True)
    counts = np.zeros(values.size, dtype=np.int64)
    np.add.at(counts, where, np.concatenate([part.counts for part in parts]))
    return Distribution(values, counts)


Distributions = Mapping[Case, Mapping[int, Distribution]]
"""Case -> round -> all turns of that run, or where these were not measured the latencies of all
calls. A case of which neither is known is absent."""


def distributions_of(path: Path, suite: pyperf.BenchmarkSuite) -> Distributions:
    """The distributions of a suite that was read from that file. Raises ResultFileError."""
    found: dict[Case, dict[int, Distribution]] = {}
    for benchmark in suite:
        case = Case.parse(benchmark.get_name())
        for run in benchmark.get_runs():
            metadata = run.get_metadata()
            number = metadata["redo_round"]
            text = metadata.get(TURN_KEY, metadata.get(KEY))
            if text is None:
                continue  # a peer's run: its single latencies are not known
            try:
                found.setdefault(case, {})[number] = distribution(str(text))
            except ValueError as error:
                raise ResultFileError(
                    path,
                    f"the histogram of {case.name} in round {number} is {error}: take the file from"
                    " a backup",
                ) from error
    return found
