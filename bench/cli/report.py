"""``report``: results as one HTML page, to be sent to others."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.cli.options import file_path
from bench.errors import BenchError
from bench.results.naming import RESULT_HELP, RESULT_METAVAR, result_path
from bench.results.suite_file import check_no_result, write_atomically
from bench.results.summary import Summary, load_summary
from bench.show.page.page import page


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
    summaries = [load_summary(path) for path in paths]
    check_page(place, of=paths, overwrite=args.force)
    write_page(place, summaries, other_conditions=args.other_conditions)
    out.print(str(place), highlight=False, markup=False, soft_wrap=True)
    return 0


def check_page(place: Path, *, of: Sequence[Path], overwrite: bool) -> None:
    """Raises BenchError if no page can be written there: a folder, one of the results ``of`` which
    it is, or, unless ``overwrite``, anything."""
    if place.is_dir():
        raise BenchError(f"{place}: is a folder: name a file, as {place / 'report.html'}")
    there = [path for path in of if path.exists()]
    if place in of or (place.exists() and any(map(place.samefile, there))):
        raise BenchError(f"{place}: is the result itself: name another page, or another result")
    check_no_result(place)
    if place.exists() and not overwrite:
        raise BenchError(f"{place}: is there already: use --force, or another name")


def write_page(
    place: Path, summaries: Sequence[Summary], *, other_conditions: bool = False
) -> None:
    """Overwrites what is there; ``other_conditions`` as in `page`. Raises ResultFileError."""
    text = page(summaries, other_conditions=other_conditions)
    write_atomically(place, text.encode("utf-8"))
