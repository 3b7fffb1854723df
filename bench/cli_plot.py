"""``plot``: the latency and throughput curves of a result file."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from bench.figures import FORMATS
from bench.plots import draw
from bench.result_names import RESULT_HELP, RESULT_METAVAR, result_path
from bench.stats import load_summary


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
    parser.add_argument("--force", action="store_true", help="overwrite pictures that are there")


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    path = result_path(args.result)
    stem = args.output or path.with_suffix("")
    for picture in draw(load_summary(path), stem, args.format.split(","), force=args.force):
        out.print(str(picture), highlight=False, markup=False, soft_wrap=True)
    return 0
