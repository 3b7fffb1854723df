"""The options, the output and the exit status that `compare` and `ab` share."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console

from bench.cli.options import add_flag, add_plain, console_for, longer_help, say
from bench.errors import BenchError
from bench.results.row import MEASURE_NAMES, Measure, measure_field
from bench.show.comparison import as_csv, as_data, as_markdown, print_comparison, verdict_text
from bench.statistics.comparison import MARGIN, MEASURES, Comparison
from bench.statistics.gate import Bound, as_share, breaches


def add_output_arguments(parser: argparse.ArgumentParser, *, plot: bool = False) -> None:
    """Adds the options of the output. ``plot``: whether there is an option that draws it."""
    forms = parser.add_mutually_exclusive_group()
    add_flag(forms, "--markdown", "a table for a pull request")
    add_flag(forms, "--json", "everything, for programs")
    add_flag(forms, "--csv", "a line per case and measure")
    if plot:
        add_flag(forms, "--plot", "draw it as well, as SVG and PNG")
    add_plain(parser)
    longer = longer_help(parser)
    measure = parser.add_argument(
        "--measure",
        metavar="NAME",
        action="append",
        help="what tables show, as p99,cpu-total",
    )
    longer[measure] = (
        "what the tables show, in place of the usual: of"
        f" {', '.join(MEASURE_NAMES)}; p99 is short for turn-p99 (several: with commas, or again)"
    )
    fail_on = parser.add_argument(
        "--fail-on",
        metavar="BOUND",
        action="append",
        help="exit 1 if a case is slower, as 'sync/*@p99:slower:5' (%%)",
    )
    longer[fail_on] = (
        "a BOUND is [GLOB@][MEASURE:]slower[:PERCENT]: exit 1 if a case is slower (by at least so"
        " much), or failed on a side. MEASURE as in --measure (default: time-per-redo); GLOB:"
        " cases, as 'sync/*' (default: all). As slower:5, p99:slower:20, 'sync/*:slower:5',"
        " 'sync/*@p99:slower:5'. Slower means worse: a throughput is slower by 25 %% if the base's"
        " is 1.25 times as high (several: with commas, or again; each holds for itself)"
    )
    parser.add_argument(
        "--margin",
        metavar="PERCENT",
        default=f"{MARGIN * 100:g}",
        help=f"changes within it are the same (default: {MARGIN * 100:g})",
    )


def listed(options: list[str] | None) -> tuple[str, ...]:
    """The values of an option that may be given several times, each a list with commas."""
    return tuple(value for option in options or () for value in option.split(","))


@dataclass(frozen=True, slots=True)
class Output:
    """The options of `add_output_arguments`, checked. ``margin`` is a share: 0.05 for 5 %.
    ``shown`` are the fields of --measure."""

    bounds: tuple[Bound, ...]
    margin: float
    shown: tuple[str, ...]

    @classmethod
    def of(cls, args: argparse.Namespace) -> Output:
        """Raises BenchError."""
        margin = as_share(args.margin)
        if not 0 < margin < 1:
            raise BenchError(f"--margin {args.margin!r}: a percentage above 0 and below 100")
        return cls(
            tuple(map(Bound.parse, listed(args.fail_on))),
            margin,
            tuple(dict.fromkeys(measure_field("--measure", m) for m in listed(args.measure))),
        )

    @property
    def measures(self) -> tuple[str, ...]:
        """The fields that must be compared."""
        bounded = (bound.measure for bound in self.bounds)
        return tuple(dict.fromkeys((*MEASURES, *self.shown, *bounded)))

    def show(
        self,
        comparisons: Sequence[Comparison],
        args: argparse.Namespace,
        out: Console,
        err: Console,
    ) -> int:
        """Prints the comparisons, at least one. Returns the exit status."""
        if args.json:
            data = [as_data(comparison) for comparison in comparisons]
            say(out, json.dumps(data[0] if len(data) == 1 else data, indent=1))
        elif args.csv:
            say(out, as_csv(*comparisons))
        else:
            for number, comparison in enumerate(comparisons):
                if number:
                    say(out, "")
                if args.markdown:
                    say(out, as_markdown(comparison, self.shown))
                else:
                    print_comparison(comparison, console_for(args, out), self.shown)
        broken = [
            line
            for comparison in comparisons
            for line in self._broken(comparison, name_result=len(comparisons) > 1)
        ]
        for line in broken:
            say(err, f"walredo-bench: {line}", "bold red")
        return int(bool(broken))

    def _broken(self, comparison: Comparison, *, name_result: bool) -> Iterator[str]:
        """What fails --fail-on, each in one line."""
        if not self.bounds:
            return
        where = f"{comparison.changed.source}: " if name_result else ""
        for failed in comparison.failed:
            yield f"{where}{failed.case.name} failed in {failed.side}: {failed.reason}"
        for breach in breaches(comparison, self.bounds):
            noun = Measure.of_field(breach.bound.measure).noun
            yield (
                f"{where}{breach.case.name} is {verdict_text(breach.compared)}:"
                f" {breach.compared.effect.ratio:.3f} times the {noun}"
                f" (--fail-on {breach.bound.text})"
            )
