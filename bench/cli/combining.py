"""Several results as sessions of one: ``--combine``, as far as commands share it.

Whether sessions belong together is what `compare` and `run --resume` ask of two results.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyperf

from bench.cli.options import add_flag
from bench.results.result_file import ResultFile
from bench.results.suite_file import read_suite
from bench.results.summary import summary_of
from bench.statistics.comparison import differences

COMBINE_HELP: Final = "take several as sessions of one: same code, same conditions"


def add_combine(parser: argparse._ActionsContainer, help_text: str = COMBINE_HELP) -> None:
    add_flag(parser, "--combine", help_text)


def read_combined(paths: Sequence[Path]) -> pyperf.BenchmarkSuite:
    """The suite of a result; of several, that of all their rounds.

    Raises ResultFileError, which names the condition that differs.
    """
    if len(paths) == 1:
        return read_suite(paths[0])
    first, *others = map(ResultFile.load, paths)
    summary = summary_of(first.path, first.suite())
    for other in others:
        first.combine(other, differences(summary, summary_of(other.path, other.suite())))
    return first.suite()
