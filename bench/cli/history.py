"""``history``: shows one measure of chosen cases over the results of a folder, by commit."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.cli.options import (
    add_flag,
    add_legend,
    add_output_path,
    add_plain,
    check_known,
    console_for,
    count,
    say,
)
from bench.errors import BenchError, ResultFileError
from bench.places import RESULTS, ROOT
from bench.results.disturbance import sentence
from bench.results.git import git_output
from bench.results.naming import files_in
from bench.results.summary import MEASURE_NAMES, load_summary
from bench.show.history import as_data, print_cases, print_history
from bench.statistics.history import Dated, dated, history

DEFAULT_MEASURE = "time-per-redo"


EXAMPLES: Final = (
    "python -m bench history",
    "python -m bench history --case 'async/short/*'",
    "python -m bench history --case 'async/*/n=8' --measure turn-p99 --plot",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", metavar="FOLDER", nargs="?", type=Path, help="with results (default: results/)"
    )
    parser.add_argument(
        "--case",
        metavar="PATTERN",
        help="cases, as async/short/n=8 or 'async*/n=8' (default: list them)",
    )
    parser.add_argument(
        "--measure",
        metavar="NAME",
        default=DEFAULT_MEASURE,
        help=f"of {', '.join(MEASURE_NAMES)} (default: {DEFAULT_MEASURE})",
    )
    add_flag(parser, "--ab", "with what `ab` left, which is left out otherwise")
    forms = parser.add_mutually_exclusive_group()
    add_flag(forms, "--json", "everything, for programs")
    add_flag(forms, "--plot", "draw it as well, as SVG and PNG")
    add_output_path(
        parser, "PLACE", "of --plot: a folder, or how the pictures' names begin (default: FOLDER)"
    )
    add_flag(parser, "--force", "overwrite pictures that are there")
    add_legend(parser)
    add_plain(parser)


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    check_known("--measure", "measure", [args.measure], MEASURE_NAMES)
    measure = MEASURE_NAMES[args.measure]
    if args.plot and args.case is None:
        raise BenchError("--plot: of which cases? Give --case PATTERN; without it they are listed")
    if args.output is not None and not args.plot:
        raise BenchError("--output is where --plot draws to: give --plot as well")
    folder = args.folder or RESULTS
    left_out: list[str] = []
    results = list(_results(folder, left_out, ab=args.ab))
    pattern = "*" if args.case is None else args.case
    series = history(results, measure, pattern)
    if results and not series:
        names = {row.case.name for result in results for row in result.summary.rows}
        if any(fnmatchcase(name, pattern) for name in names):
            raise BenchError(f"--measure {args.measure}: no result has it of a case that matches")
        raise BenchError(
            f"--case {pattern!r}: none of the {len(names)} cases is called so:"
            " without --case they are listed"
        )
    for line in left_out:
        say(err, line)
    shown = {point.result.summary.source for one in series for point in one.points}
    for summary in (result.summary for result in results):
        if summary.source in shown and (disturbed := sentence(summary.rows)):
            say(err, f"warning: {summary.source}: {disturbed}")
    if not results:
        raise BenchError(f"no result in {folder}: make one with `run`, or name another folder")
    pictures: list[Path] = []
    if args.plot:
        from bench.show.pictures.history import draw  # late: it loads matplotlib

        place = args.output or folder
        stem = place / "history" if place.is_dir() else place
        pictures = draw(series, measure, stem, force=args.force)
    if args.json:
        say(out, json.dumps(as_data(series, measure), indent=1))
    elif args.case is None:
        print_cases(series, console_for(args, out))
    else:
        print_history(series, measure, console_for(args, out), legend=args.legend)
    for picture in pictures:
        say(out, picture)
    return 0


def _results(folder: Path, left_out: list[str], *, ab: bool) -> Iterator[Dated]:
    """The results of the folder that can be read and dated. Others add a line to ``left_out``."""
    sides = 0
    for path in files_in(folder):
        try:
            summary = load_summary(path)
        except ResultFileError as error:
            left_out.append(f"left out: {error}")
            continue
        if summary.environment.ab is not None and not ab:
            sides += 1
            continue
        result = dated(summary, _commit_date)
        if result is None:
            left_out.append(f"left out: {path}: neither its commit nor its date is known")
        else:
            yield result
    if sides:
        what = f"{count(sides, 'side')} of A/B measurements"
        left_out.append(f"left out: {what} (--ab takes them in)")


def _commit_date(commit: str) -> datetime | None:
    """When it was committed; None if this checkout does not have it."""
    date = git_output(
        ROOT, "log", "-1", "--no-show-signature", "--format=%cI", "--end-of-options", commit, "--"
    )
    return datetime.fromisoformat(date) if date else None
