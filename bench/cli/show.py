"""``show``: prints a result file as tables, or as JSON for programs; several files side by side."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from bench.cases.names import BASE
from bench.cli.combining import add_combine, read_combined
from bench.cli.options import add_flag, add_legend, add_plain, check_known, console_for, say
from bench.errors import BenchError
from bench.experiments.registry import VIEWS
from bench.results.histogram import distributions_of
from bench.results.naming import RESULT_HELP, RESULT_METAVAR, result_paths
from bench.results.summary import load_summary, summary_of
from bench.show import exports
from bench.show import summary as table
from bench.show.against import Against, against_data, pairs, print_against
from bench.show.side_by_side import side_by_side, side_by_side_data
from bench.show.side_by_side_table import print_side_by_side
from bench.show.tails import print_tails, tails_data
from bench.show.view import Reading

TABLE: Final = "table"
JSON: Final = "json"
FOREIGN: Final = ("github-action", "bencher")
"""Formats of other tools: github-action-benchmark's customSmallerIsBetter, and Bencher's."""

JSON_FORMS: Final[Mapping[str, Callable[[Reading], Any]]] = {
    JSON: table.as_data,
    "github-action": lambda reading: exports.github_action(reading.summary),
    "bencher": lambda reading: exports.bencher(reading.summary),
}
"""Format -> the function that makes its data from a result."""


EXAMPLES: Final = (
    "python -m bench show latest",
    "python -m bench show latest --only verdict",
    "python -m bench show server.json laptop.json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "results",
        metavar=RESULT_METAVAR,
        nargs="+",
        help=f"{RESULT_HELP}; several, as of several machines, are put side by side",
    )
    add_combine(parser)
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument(
        "--json", dest="format", action="store_const", const=JSON, help="all of it, for programs"
    )
    forms.add_argument(
        "--format",
        metavar="NAME",
        type=_format,
        help=f"JSON for other tools: {' or '.join(FOREIGN)} (docs/ci.md)",
    )
    add_flag(
        parser,
        "--tails",
        "instead of the usual tables (in JSON, besides) latency percentiles up to p99.99,"
        " where there are enough samples, and their ratios to sync",
    )
    parser.add_argument(
        "--against",
        metavar="MANAGER",
        help="instead of the usual tables (in JSON, besides) each case's ratios to that manager at"
        " the same N, as peer:async; or, as wait=park, to the same case with that value",
    )
    parser.add_argument(
        "--case",
        metavar="PATTERN",
        help="with --against: only cases that are called so, as async/short/n=8 or 'async*/n=8'",
    )
    parser.add_argument(
        "--only",
        metavar="LIST",
        help=f"of {', '.join(table.PARTS)} (default: all that the result has, but scaling)",
    )
    add_legend(parser)
    add_plain(parser)


def _format(name: str) -> str:
    """Raises BenchError."""
    if name == JSON:
        raise BenchError(f"--format {JSON}: say --json")
    check_known("--format", "format", [name], FOREIGN)
    return name


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    form = args.format or TABLE
    if args.tails and form not in (TABLE, JSON):
        raise BenchError(f"--tails: goes with {TABLE} and {JSON}, not with {form}")
    if args.against is not None and (args.tails or form not in (TABLE, JSON)):
        raise BenchError(f"--against: goes with {TABLE} and {JSON}, and not with --tails")
    if args.case is not None and args.against is None:
        raise BenchError("--case chooses what --against shows: give --against as well")
    if args.only is not None and (args.tails or args.against or form != TABLE):
        raise BenchError(
            "--only chooses among the usual tables: leave out --tails, --against and formats"
        )
    against = None if args.against is None else Against.parse(args.against)
    parts = table.USUAL_PARTS
    if args.only is not None:
        parts = tuple(part.strip() for part in args.only.split(","))
    check_known("--only", "part", parts, table.PARTS)
    paths = result_paths(args.results)
    if len(paths) > 1 and not args.combine:
        return _show_several(paths, args, out)
    path = paths[0]
    suite = read_combined(paths)
    reading = Reading.of(summary_of(path, suite), VIEWS)
    summary = reading.summary
    beside = [] if against is None else pairs(summary, against, args.case or "*")
    distributions = distributions_of(path, suite) if args.tails else {}
    if form == TABLE:
        shown = console_for(args, out)
        if args.tails or against is not None:
            shown.print(table.heading(summary), highlight=False)
        if args.tails:
            print_tails(summary, distributions, shown, legend=args.legend)
        elif against is not None:
            print_against(summary, beside, against, shown)
        else:
            # A terminal shows the end of what is printed, a pipe or file its beginning.
            table.print_summary(
                reading,
                shown,
                plain=not shown.is_terminal,
                parts=parts,
                legend=args.legend,
                verdict_last=shown.is_terminal,
            )
        return 0
    data = JSON_FORMS[form](reading)
    if args.tails:
        data["tails"] = tails_data(summary, distributions)
    if against is not None:
        data["against"] = against_data(beside)
    say(out, json.dumps(data, indent=1))
    return 0


def _show_several(paths: Sequence[Path], args: argparse.Namespace, out: Console) -> int:
    """The same question in each result, without the tables of each. Raises BenchError."""
    single = {"--tails": args.tails, "--against": args.against, "--only": args.only}
    given = [option for option, value in single.items() if value]
    if args.format in FOREIGN:
        given.append(f"--format {args.format}")
    if given:
        raise BenchError(f"{given[0]}: goes with one result, not with {len(paths)}")
    readings = [Reading.of(load_summary(path), VIEWS) for path in paths]
    found = side_by_side(readings)
    if not found.questions:
        names = ", ".join(path.name for path in paths)
        raise BenchError(
            f"{names}: no two of them compare the same manager with {BASE}: show each by itself"
        )
    if args.format == JSON:
        data = {
            "version": table.JSON_VERSION,
            "side_by_side": side_by_side_data(found),
            "results": list(map(table.as_data, readings)),
        }
        say(out, json.dumps(data, indent=1))
    else:
        print_side_by_side(found, console_for(args, out), legend=args.legend)
    return 0
