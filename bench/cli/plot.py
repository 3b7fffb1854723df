"""``plot``: draws the curves of a result file, or the distribution of its latency."""

from __future__ import annotations

import argparse
from typing import Final

from rich.console import Console

from bench.cli.combining import add_combine, read_combined
from bench.cli.options import add_flag, add_moved, add_output_path, check_known, say
from bench.errors import BenchError
from bench.experiments.registry import VIEWS
from bench.results.histogram import distributions_of
from bench.results.naming import RESULT_HELP, RESULT_METAVAR, result_paths
from bench.results.suite_file import beside
from bench.results.summary import MEASURE_NAMES, summary_of
from bench.show.pictures.cdf import pictures as cdf_pictures
from bench.show.pictures.choice import draw, names
from bench.show.pictures.figures import FORMATS
from bench.show.pictures.tails import pictures as tails_pictures
from bench.show.view import Reading

_TAILS: Final = "tails"
_OF_HISTOGRAMS: Final = {_TAILS: tails_pictures, "cdf": cdf_pictures}
"""Pictures that need the distributions, which other pictures do without."""


EXAMPLES: Final = (
    "python -m bench plot latest",
    "python -m bench plot latest --only ratio,tails -o docs/images/",
    "python -m bench plot latest --measure cpu-total --format svg",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("results", metavar=RESULT_METAVAR, nargs="+", help=RESULT_HELP)
    add_combine(parser)
    add_output_path(
        parser, "PLACE", "a folder, or how the pictures' names begin (default: beside the result)"
    )
    parser.add_argument(
        "--format", metavar="LIST", default=",".join(FORMATS), help="default: %(default)s"
    )
    parser.add_argument(
        "--only",
        metavar="LIST",
        help=f"of the pictures {', '.join((*names(VIEWS), *_OF_HISTOGRAMS))}"
        " (default: latency, throughput, and what the experiments of the result have)",
    )
    parser.add_argument(
        "--measure",
        metavar="LIST",
        help="against N, with those of --only or instead of the curves:"
        f" of {', '.join(MEASURE_NAMES)}",
    )
    add_moved(parser, "--tails", f"--only {_TAILS}")
    add_flag(parser, "--force", "overwrite pictures that are there")


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    only, measures = ([] if text is None else text.split(",") for text in (args.only, args.measure))
    check_known("--measure", "measure", measures, MEASURE_NAMES)
    if len(args.results) > 1 and not args.combine:
        raise BenchError(
            f"unexpected argument {args.results[1]!r}: plot one result, or --combine several"
        )
    paths = result_paths(args.results)
    path = paths[0]
    stem = args.output or beside(path)
    suite = read_combined(paths)
    summary = summary_of(path, suite)
    of_histograms = [make for name, make in _OF_HISTOGRAMS.items() if name in only]
    distributions = distributions_of(path, suite) if of_histograms else {}
    more = [picture for make in of_histograms for picture in make(summary, distributions)]
    for picture in draw(
        Reading.of(summary, VIEWS),
        stem,
        args.format.split(","),
        only=[name for name in only if name not in _OF_HISTOGRAMS],
        measures=[MEASURE_NAMES[name] for name in measures],
        more=more,
        force=args.force,
    ):
        say(out, picture)
    return 0
