"""``report``: writes results as one HTML page, to be sent to others."""

from __future__ import annotations

import argparse

from rich.console import Console

from bench.cli.options import file_path
from bench.cli.say import say
from bench.experiments.registry import VIEWS
from bench.results.naming import RESULT_HELP, RESULT_METAVAR, result_path
from bench.results.summary import load_summary
from bench.show.page.page import check_page, write_page
from bench.show.view import Reading


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "results",
        metavar=RESULT_METAVAR,
        nargs="+",
        help=f"{RESULT_HELP}; each further one is compared with the first",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="PAGE",
        type=file_path,
        help="the page (default: beside the first result)",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="overwrite a page that is there",
    )
    parser.add_argument(
        "--other-conditions",
        action="store_true",
        help="compare also what was measured under other conditions",
    )


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    paths = [result_path(name) for name in args.results]
    place = args.output or paths[0].with_suffix(".html")
    readings = [Reading.of(load_summary(path), VIEWS) for path in paths]
    check_page(place, of=paths, overwrite=args.force)
    write_page(place, readings, other_conditions=args.other_conditions)
    say(out, str(place))
    return 0
