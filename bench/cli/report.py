"""``report``: writes results as one HTML page, to be sent to others."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.cli.combining import add_combine, read_combined
from bench.cli.options import add_flag, add_output_path, say
from bench.experiments.registry import VIEWS
from bench.results.histogram import distributions_of
from bench.results.naming import RESULT_HELP, RESULT_METAVAR, result_paths
from bench.results.suite_file import beside
from bench.results.summary import summary_of
from bench.show.page.page import check_page, write_page
from bench.show.view import Reading

EXAMPLES: Final = (
    "python -m bench report latest",
    "python -m bench report base.json changed.json -o page.html",
    "python -m bench report server.json laptop.json -o machines.html",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "results",
        metavar=RESULT_METAVAR,
        nargs="+",
        help=f"{RESULT_HELP}; several are put side by side, and each compared with the first",
    )
    add_combine(parser)
    add_output_path(parser, "PAGE", "the page (default: beside the first result)", ".html")
    add_flag(parser, "--force", "overwrite a page that is there")
    add_flag(parser, "--other-conditions", "compare also what was measured under other conditions")


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    paths = result_paths(args.results)
    place = args.output or beside(paths[0], ".html")
    readings = list(map(_read, [paths] if args.combine else [[path] for path in paths]))
    check_page(place, of=paths, overwrite=args.force)
    write_page(place, readings, other_conditions=args.other_conditions)
    say(out, place)
    return 0


def _read(paths: Sequence[Path]) -> Reading:
    suite = read_combined(paths)
    return Reading.of(summary_of(paths[0], suite), VIEWS, distributions_of(paths[0], suite))
