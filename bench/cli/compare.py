"""``compare``: shows what changed from one result to another, and how sure that is."""

from __future__ import annotations

import argparse

from rich.console import Console

from bench.cli.comparing import Output, add_output_arguments
from bench.cli.options import add_flag, add_output_path, say
from bench.errors import BenchError
from bench.results.naming import RESULT_HELP, result_path
from bench.results.summary import load_summary
from bench.statistics.comparison import compare


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("base", metavar="BASE", help=RESULT_HELP)
    parser.add_argument("changed", metavar="CHANGED", help="likewise")
    add_output_arguments(parser, plot=True)
    add_output_path(
        parser,
        "PLACE",
        "of --plot: a folder, or how the pictures' names begin (default: beside CHANGED)",
    )
    add_flag(
        parser,
        "--force",
        "compare what was measured under other conditions, overwrite pictures that are there",
    )


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    output = Output.of(args)
    if args.output is not None and not args.plot:
        raise BenchError("--output is where --plot draws to: give --plot as well")
    base, changed = result_path(args.base), result_path(args.changed)
    comparison = compare(load_summary(base), load_summary(changed), margin=output.margin)
    if not comparison.cases:
        raise BenchError(f"{base} and {changed} have no case in common")
    if comparison.differences and not args.force:
        raise BenchError(
            f"{base} and {changed} were not measured under the same conditions"
            f" ({'; '.join(comparison.differences)}): --force compares them all the same"
        )
    pictures = []
    if args.plot:
        from bench.show.pictures.comparison import draw_comparison  # late: it loads matplotlib

        stem = args.output or changed.with_suffix("")
        pictures = draw_comparison(comparison, stem, force=args.force)
    if base.samefile(changed):
        say(err, f"walredo-bench: both are {base}: nothing can differ")
    status = output.show(comparison, args, out, err)
    for picture in pictures:
        say(out, picture)
    return status
