"""``plot``: the curves of a result file, or its latency by percentile."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from bench.distributions import load_distributions
from bench.figures import FORMATS
from bench.plots import draw
from bench.result_names import RESULT_HELP, RESULT_METAVAR, result_path
from bench.stats import load_summary
from bench.tails_plot import draw_tails


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("result", metavar=RESULT_METAVAR, help=RESULT_HELP)
    parser.add_argument(
        "-o",
        "--output",
        metavar="PLACE",
        type=Path,
        help="a folder, or how the pictures' names begin (default: beside the result)",
    )
    parser.add_argument(
        "--format", metavar="LIST", default=",".join(FORMATS), help="default: %(default)s"
    )
    parser.add_argument(
        "--tails",
        action="store_true",
        help="instead of the curves, latency by percentile, as far as the samples carry it",
    )
    parser.add_argument("--force", action="store_true", help="overwrite pictures that are there")


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    path = result_path(args.result)
    stem = args.output or path.with_suffix("")
    summary, formats = load_summary(path), args.format.split(",")
    if args.tails:
        pictures = draw_tails(summary, load_distributions(path), stem, formats, force=args.force)
    else:
        pictures = draw(summary, stem, formats, force=args.force)
    for picture in pictures:
        out.print(str(picture), highlight=False, markup=False, soft_wrap=True)
    return 0
