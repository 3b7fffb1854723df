"""From a result file to the latency distribution of each run.

Apart from ``stats``, whose rows everything else needs: to decode every histogram takes a while.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.cases.case import Case
from bench.errors import ResultFileError
from bench.results.histogram import Distribution, distribution
from bench.results.suite_file import read_suite

Distributions = Mapping[Case, Mapping[int, Distribution]]
"""Case -> round -> all latencies of that run. A case of which no latency is known is absent."""


def load_distributions(path: Path) -> Distributions:
    """Read a result file. Raises ResultFileError."""
    found: dict[Case, dict[int, Distribution]] = {}
    for benchmark in read_suite(path):
        case = Case.parse(benchmark.get_name())
        for run in benchmark.get_runs():
            metadata = run.get_metadata()
            text = metadata.get("redo_hdr_histogram")
            if text is None:
                continue  # a peer's: no single latency of it is known
            try:
                latencies = distribution(str(text))
            except ValueError as error:
                number = metadata["redo_round"]
                raise ResultFileError(
                    path,
                    f"the histogram of {case.name} in round {number} is {error}: take the file from"
                    " a backup",
                ) from error
            found.setdefault(case, {})[metadata["redo_round"]] = latencies
    return found
