"""``history``: shows one measure of chosen cases over the results of a folder, by commit."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path

from rich.console import Console

from bench.cases.names import unknown
from bench.cli.options import place_path
from bench.cli.say import say
from bench.errors import BenchError, ResultFileError
from bench.places import RESULTS, ROOT
from bench.results.environment import git_output
from bench.results.summary import MEASURE_NAMES, load_summary
from bench.show.history import as_data, print_cases, print_history
from bench.statistics.history import Dated, Series, dated, history

DEFAULT_MEASURE = "time-per-redo"


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
    parser.add_argument(
        "--ab", action="store_true", help="with what `ab` left, which is left out otherwise"
    )
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="everything, for programs")
    forms.add_argument("--plot", action="store_true", help="draw it as well, as SVG and PNG")
    parser.add_argument(
        "-o",
        "--output",
        metavar="PLACE",
        type=place_path,
        help="of --plot: a folder, or how the pictures' names begin (default: FOLDER)",
    )
    parser.add_argument("--force", action="store_true", help="overwrite pictures that are there")


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    measure = MEASURE_NAMES.get(args.measure)
    if measure is None:
        raise BenchError(f"--measure: {unknown('measure', args.measure, tuple(MEASURE_NAMES))}")
    if args.plot and args.case is None:
        raise BenchError("--plot: of which cases? Give --case PATTERN; without it they are listed")
    if args.output is not None and not args.plot:
        raise BenchError("--output is where --plot draws to: give --plot as well")
    folder = args.folder or RESULTS
    left_out: list[str] = []
    results = list(_results(folder, left_out, ab=args.ab))
    if not results:
        for line in left_out:
            say(err, line)
        raise BenchError(f"no result in {folder}: make one with `run`, or name another folder")
    pattern = "*" if args.case is None else args.case
    series = history(results, measure, pattern)
    if not series:
        raise BenchError(_nothing(results, pattern, args.measure))
    for line in left_out:
        say(err, line)
    place = args.output or folder
    pictures = _drawn(series, measure, place, args.force) if args.plot else []
    if args.json:
        say(out, json.dumps(as_data(series, measure), indent=1))
    elif args.case is None:
        print_cases(series, out)
    else:
        print_history(series, measure, out)
    for picture in pictures:
        say(out, str(picture))
    return 0


def _results(folder: Path, left_out: list[str], *, ab: bool) -> Iterator[Dated]:
    """The results of the folder that can be read and dated. Others add a line to ``left_out``."""
    sides = 0
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.json.gz")]):
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
        count = f"{sides} side{'' if sides == 1 else 's'}"
        left_out.append(f"left out: {count} of A/B measurements (--ab takes them in)")


def _commit_date(commit: str) -> datetime | None:
    """When it was committed; None if this checkout does not have it."""
    date = git_output(
        ROOT, "log", "-1", "--no-show-signature", "--format=%cI", "--end-of-options", commit, "--"
    )
    return datetime.fromisoformat(date) if date else None


def _nothing(results: Iterable[Dated], pattern: str, measure: str) -> str:
    cases = {row.case.name for result in results for row in result.summary.rows}
    if any(fnmatchcase(name, pattern) for name in cases):
        return f"--measure {measure}: no result has it of a case that matches"
    return (
        f"--case {pattern!r}: none of the {len(cases)} cases is called so:"
        " without --case they are listed"
    )


def _drawn(series: list[Series], measure: str, place: Path, force: bool) -> list[Path]:
    from bench.show.pictures.history import draw  # late, since it loads matplotlib

    stem = place / "history" if place.is_dir() else place
    return draw(series, measure, stem, force=force)
