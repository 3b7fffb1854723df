"""The options, the output and the exit status that `compare` and `ab` share."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass

from rich.console import Console

from bench.cli.options import add_flag, add_plain, console_for, say
from bench.errors import BenchError
from bench.show.comparison import as_csv, as_data, as_markdown, print_comparison, verdict_text
from bench.statistics.comparison import DECISIVE, MARGIN, Comparison, worst_slowdown


def add_output_arguments(parser: argparse.ArgumentParser, *, plot: bool = False) -> None:
    """Adds the options of the output. ``plot``: whether there is an option that draws it."""
    forms = parser.add_mutually_exclusive_group()
    add_flag(forms, "--markdown", "a table for a pull request")
    add_flag(forms, "--json", "everything, for programs")
    add_flag(forms, "--csv", "a line per case and measure")
    if plot:
        add_flag(forms, "--plot", "draw it as well, as SVG and PNG")
    add_plain(parser)
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
    """The options of `add_output_arguments`, checked. Both numbers are shares: 0.05 for 5 %."""

    fail_on: float | None
    margin: float

    @classmethod
    def of(cls, args: argparse.Namespace) -> Output:
        """Raises BenchError."""
        fail_on = None
        if args.fail_on is not None:
            text = args.fail_on
            kind, colon, percent = text.partition(":")
            fail_on = _share(percent) if colon else 0.0
            if kind != "slower" or not 0 <= fail_on < math.inf:
                raise BenchError(f"--fail-on {text!r}: slower or slower:PERCENT, as slower:5")
        margin = _share(args.margin)
        if not 0 < margin < 1:
            raise BenchError(f"--margin {args.margin!r}: a percentage above 0 and below 100")
        return cls(fail_on, margin)

    def show(
        self, comparison: Comparison, args: argparse.Namespace, out: Console, err: Console
    ) -> int:
        """Prints the comparison. Returns the exit status."""
        if args.json:
            say(out, json.dumps(as_data(comparison), indent=1))
        elif args.csv:
            say(out, as_csv(comparison))
        elif args.markdown:
            say(out, as_markdown(comparison))
        else:
            print_comparison(comparison, console_for(args, out))
        worst = None if self.fail_on is None else worst_slowdown(comparison)
        if self.fail_on is None or worst is None:
            return 0
        decisive = worst.measures[DECISIVE]
        if decisive.effect.ratio < 1 + self.fail_on:
            return 0
        say(
            err,
            f"walredo-bench: {worst.case.name} is {verdict_text(decisive)}:"
            f" {decisive.effect.ratio:.3f} times the time per redo",
            "bold red",
        )
        return 1


def _share(percent: str) -> float:
    """0.05 for "5". Text that is no number is nan, which is outside any bounds."""
    try:
        return float(percent) / 100
    except ValueError:
        return math.nan
