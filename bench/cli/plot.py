"""``plot``: draws the curves of a result file, or its latency by percentile."""

from __future__ import annotations

import argparse
from typing import Final

from rich.console import Console

from bench.cases.names import unknown
from bench.cli.options import place_path
from bench.cli.say import say
from bench.errors import BenchError
from bench.experiments.registry import VIEWS
from bench.results.histogram import distributions_of
from bench.results.naming import RESULT_HELP, RESULT_METAVAR, result_path
from bench.results.suite_file import read_suite
from bench.results.summary import MEASURE_NAMES, summary_of
from bench.show.pictures.choice import draw, names
from bench.show.pictures.figures import FORMATS
from bench.show.pictures.tails import pictures as tails_pictures
from bench.show.view import Reading

_TAILS: Final = "tails"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("result", metavar=RESULT_METAVAR, help=RESULT_HELP)
    parser.add_argument(
        "-o",
        "--output",
        metavar="PLACE",
        type=place_path,
        help="a folder, or how the pictures' names begin (default: beside the result)",
    )
    parser.add_argument(
        "--format", metavar="LIST", default=",".join(FORMATS), help="default: %(default)s"
    )
    parser.add_argument(
        "--only",
        metavar="LIST",
        help=f"of the pictures {', '.join((*names(VIEWS), _TAILS))}"
        " (default: latency, throughput, and what the experiments of the result have)",
    )
    parser.add_argument(
        "--measure",
        metavar="LIST",
        help="against N, with those of --only or instead of the curves:"
        f" of {', '.join(MEASURE_NAMES)}",
    )
    parser.add_argument(
        "--tails",
        action="store_true",
        help=f"the same as --only {_TAILS}: latency by percentile, as far as the samples carry it",
    )
    parser.add_argument("--force", action="store_true", help="overwrite pictures that are there")


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    only, measures = _list(args.only), [_field(name) for name in _list(args.measure)]
    if args.tails:
        only.append(_TAILS)
    chosen = [name for name in only if name != _TAILS]
    path = result_path(args.result)
    stem = args.output or path.with_suffix("")
    suite, formats = read_suite(path), args.format.split(",")
    summary = summary_of(path, suite)
    tails = list(tails_pictures(summary, distributions_of(path, suite))) if _TAILS in only else []
    for picture in draw(
        Reading.of(summary, VIEWS),
        stem,
        formats,
        only=chosen,
        measures=measures,
        more=tails,
        force=args.force,
    ):
        say(out, str(picture))
    return 0


def _list(text: str | None) -> list[str]:
    return [] if text is None else text.split(",")


def _field(name: str) -> str:
    """The field of a row for a measure's name. Raises BenchError."""
    if name not in MEASURE_NAMES:
        raise BenchError(f"--measure: {unknown('measure', name, tuple(MEASURE_NAMES))}")
    return MEASURE_NAMES[name]
