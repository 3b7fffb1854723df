"""``compare``: shows what changed from one result to another, and how sure that is."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from bench.cli.comparing import Output, add_output_arguments
from bench.cli.options import place_path
from bench.cli.say import say
from bench.errors import BenchError
from bench.results.naming import RESULT_HELP, result_path
from bench.results.summary import load_summary
from bench.statistics.comparison import Comparison, compare


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("base", metavar="BASE", help=RESULT_HELP)
    parser.add_argument("changed", metavar="CHANGED", help="likewise")
    add_output_arguments(parser, plot=True)
    parser.add_argument(
        "-o",
        "--output",
        metavar="PLACE",
        type=place_path,
        help="of --plot: a folder, or how the pictures' names begin (default: beside CHANGED)",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="compare what was measured under other conditions, overwrite pictures that are there",
    )


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    output = Output.of(args)
    if args.output is not None and not args.plot:
        raise BenchError("--output is where --plot draws to: give --plot as well")
    paths = [result_path(name) for name in (args.base, args.changed)]
    comparison = compare(*map(load_summary, paths), margin=output.margin)
    _check_comparable(comparison, paths, force=args.force)
    pictures = []
    if args.plot:
        # Late, since it loads matplotlib.
        from bench.show.pictures.comparison import draw_comparison

        stem = args.output or paths[1].with_suffix("")
        pictures = draw_comparison(comparison, stem, force=args.force)
    if paths[0].samefile(paths[1]):
        say(err, f"walredo-bench: both are {paths[0]}: nothing can differ")
    status = output.show(comparison, args, out, err)
    for picture in pictures:
        say(out, str(picture))
    return status


def _check_comparable(comparison: Comparison, paths: list[Path], *, force: bool) -> None:
    base, changed = paths
    if not comparison.cases:
        raise BenchError(f"{base} and {changed} have no case in common")
    if comparison.differences and not force:
        raise BenchError(
            f"{base} and {changed} were not measured under the same conditions"
            f" ({'; '.join(comparison.differences)}): --force compares them all the same"
        )
