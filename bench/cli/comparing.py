"""The options, the output and the exit status that `compare` and `ab` share."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass

from rich.console import Console

from bench.cli.options import add_plain_argument, plain_console
from bench.cli.say import say
from bench.errors import BenchError
from bench.show.comparison import as_csv, as_data, as_markdown, print_comparison, verdict_text
from bench.statistics.comparison import DECISIVE, MARGIN, Comparison, worst_slowdown

EXIT_SLOWER = 1


@dataclass(frozen=True, slots=True)
class FailOn:
    """``slower`` or ``slower:PERCENT``. ``share``: 0.05 for 5 %."""

    share: float

    @classmethod
    def parse(cls, text: str) -> FailOn:
        """Raises BenchError."""
        kind, colon, percent = text.partition(":")
        share = _share(percent) if colon else 0.0
        if kind != "slower" or not 0 <= share < float("inf"):
            raise BenchError(f"--fail-on {text!r}: slower or slower:PERCENT, as slower:5")
        return cls(share)


def add_output_arguments(parser: argparse.ArgumentParser, *, plot: bool = False) -> None:
    """Adds the options of the output. ``plot``: whether there is an option that draws it."""
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


@dataclass(frozen=True, slots=True)
class Output:
    """The options of `add_output_arguments`, checked."""

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
        """Prints the comparison. Returns the exit status."""
        _print(comparison, args, out)
        return 0 if self.fail_on is None else _failed(comparison, self.fail_on, err)


def _print(comparison: Comparison, args: argparse.Namespace, out: Console) -> None:
    if args.json:
        say(out, json.dumps(as_data(comparison), indent=1))
    elif args.csv:
        say(out, as_csv(comparison))
    elif args.markdown:
        say(out, as_markdown(comparison))
    else:
        print_comparison(comparison, plain_console(out) if args.plain else out)


def _failed(comparison: Comparison, fail_on: FailOn, err: Console) -> int:
    worst = worst_slowdown(comparison)
    if worst is None or worst.measures[DECISIVE].effect.ratio < 1 + fail_on.share:
        return 0
    decisive = worst.measures[DECISIVE]
    say(
        err,
        f"walredo-bench: {worst.case.name} is {verdict_text(decisive)}:"
        f" {decisive.effect.ratio:.3f} times the time per redo",
        "bold red",
    )
    return EXIT_SLOWER


def _margin(text: str) -> float:
    share = _share(text)
    if not 0 < share < 1:
        raise BenchError(f"--margin {text!r}: a percentage above 0 and below 100")
    return share


def _share(percent: str) -> float:
    """0.05 for "5". Text that is no number is nan, which is outside any bounds."""
    try:
        return float(percent) / 100
    except ValueError:
        return math.nan
