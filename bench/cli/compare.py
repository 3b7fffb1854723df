"""``compare``: what changed from one result to another, and how sure that is."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench.cli.options import add_plain_argument, place_path, plain_console
from bench.errors import BenchError
from bench.results.naming import RESULT_HELP, result_path
from bench.results.summary import load_summary
from bench.show.comparison import (
    as_csv,
    as_data,
    as_markdown,
    print_comparison,
    verdict_text,
)
from bench.show.pictures.comparison import draw_comparison
from bench.statistics.comparison import DECISIVE, MARGIN, Comparison, compare, worst_slowdown

EXIT_SLOWER = 1


@dataclass(frozen=True, slots=True)
class FailOn:
    """``slower`` or ``slower:PERCENT``; ``share`` is 0.05 for 5 %."""

    share: float

    @classmethod
    def parse(cls, text: str) -> FailOn:
        """Raises BenchError."""
        kind, colon, percent = text.partition(":")
        share = _share(percent) if colon else 0.0
        if kind != "slower" or not 0 <= share < float("inf"):
            raise BenchError(f"--fail-on {text!r}: slower or slower:PERCENT, as slower:5")
        return cls(share)


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


def add_output_arguments(parser: argparse.ArgumentParser, *, plot: bool = False) -> None:
    """How the comparison is shown, and what fails; ``plot``: it can be drawn, too."""
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--markdown", action="store_true", help="a table for a pull request")
    forms.add_argument("--json", action="store_true", help="everything, for programs")
    forms.add_argument("--csv", action="store_true", help="a line per case and measure")
    if plot:
        forms.add_argument("--plot", action="store_true", help="draw it as well, as SVG and PNG")
    add_plain_argument(parser)
    parser.add_argument(
        "--fail-on",
        metavar="slower[:PERCENT]",
        help="exit 1 if a case is slower (by at least so much)",
    )
    parser.add_argument(
        "--margin",
        metavar="PERCENT",
        default=f"{MARGIN * 100:g}",
        help=f"a change within it counts as the same (default: {MARGIN * 100:g})",
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
        stem = args.output or paths[1].with_suffix("")
        pictures = draw_comparison(comparison, stem, force=args.force)
    if paths[0].samefile(paths[1]):
        _print_plain(err, f"walredo-bench: both are {paths[0]}: nothing can differ")
    status = output.show(comparison, args, out, err)
    for picture in pictures:
        _print_plain(out, str(picture))
    return status


@dataclass(frozen=True, slots=True)
class Output:
    """The arguments of `add_output_arguments`, checked."""

    fail_on: FailOn | None
    margin: float

    @classmethod
    def of(cls, args: argparse.Namespace) -> Output:
        """Raises BenchError."""
        fail_on = None if args.fail_on is None else FailOn.parse(args.fail_on)
        return cls(fail_on, _margin(args.margin))

    def show(
        self, comparison: Comparison, args: argparse.Namespace, out: Console, err: Console
    ) -> int:
        """Prints it; the exit status."""
        _print(comparison, args, out)
        return 0 if self.fail_on is None else _failed(comparison, self.fail_on, err)


def _print(comparison: Comparison, args: argparse.Namespace, out: Console) -> None:
    if args.json:
        _print_plain(out, json.dumps(as_data(comparison), indent=1))
    elif args.csv:
        _print_plain(out, as_csv(comparison))
    elif args.markdown:
        _print_plain(out, as_markdown(comparison))
    else:
        print_comparison(comparison, plain_console(out) if args.plain else out)


def _failed(comparison: Comparison, fail_on: FailOn, err: Console) -> int:
    worst = worst_slowdown(comparison)
    if worst is None or worst.measures[DECISIVE].effect.ratio < 1 + fail_on.share:
        return 0
    decisive = worst.measures[DECISIVE]
    err.print(
        f"walredo-bench: {worst.case.name} is {verdict_text(decisive)}:"
        f" {decisive.effect.ratio:.3f} times the time per redo",
        style="bold red",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    return EXIT_SLOWER


def _check_comparable(comparison: Comparison, paths: list[Path], *, force: bool) -> None:
    base, changed = paths
    if not comparison.cases:
        raise BenchError(f"{base} and {changed} have no case in common")
    if comparison.differences and not force:
        raise BenchError(
            f"{base} and {changed} were not measured under the same conditions"
            f" ({'; '.join(comparison.differences)}): --force compares them all the same"
        )


def _margin(text: str) -> float:
    share = _share(text)
    if not 0 < share < 1:
        raise BenchError(f"--margin {text!r}: a percentage above 0 and below 100")
    return share


def _share(percent: str) -> float:
    """0.05 for "5"; for what is no number nan, which is within no bounds."""
    try:
        return float(percent) / 100
    except ValueError:
        return math.nan


def _print_plain(out: Console, text: str) -> None:
    out.print(text, highlight=False, markup=False, soft_wrap=True)
