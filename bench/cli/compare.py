"""``compare``: shows what changed from one result to another, and how sure that is."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.cli.comparing import Output, add_output_arguments, listed
from bench.cli.options import add_flag, add_output_path, say
from bench.errors import BenchError
from bench.results.naming import RESULT_HELP, result_path
from bench.results.suite_file import beside
from bench.results.summary import Summary, load_summary
from bench.statistics.comparison import compare, of_cases
from bench.statistics.gate import check_measured, check_patterns

EXAMPLES: Final = (
    "python -m bench compare main latest",
    "python -m bench compare base.json changed.json --markdown",
    "python -m bench compare base.json changed.json --fail-on 'sync/*:slower:5'",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("base", metavar="BASE", help=RESULT_HELP)
    parser.add_argument(
        "changed", metavar="CHANGED", nargs="+", help="likewise; each is compared with the base"
    )
    parser.add_argument(
        "--baseline",
        metavar="RESULT",
        help="which of the results the others are compared with (default: the first)",
    )
    parser.add_argument(
        "--case",
        metavar="GLOB",
        action="append",
        help="only these cases, as 'sync/*' or 'async*/n=8' (several: with commas, or again)",
    )
    add_flag(
        parser,
        "--no-control",
        "leave ratios as they are; by default they are divided by the change of the floor, which"
        " is the machine's (docs/comparing.md)",
    )
    add_output_arguments(parser, plot=True)
    add_output_path(
        parser,
        "PLACE",
        "of --plot: a folder, or how the pictures' names begin (default: beside CHANGED)",
    )
    add_flag(
        parser,
        "--force",
        "compare what was measured under other conditions, overwrite pictures that are there",
    )


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    output = Output.of(args)
    if args.output is not None and not args.plot:
        raise BenchError("--output is where --plot draws to: give --plot as well")
    base, *changed = _sides(args)
    whole = [load_summary(path) for path in (base, *changed)]
    summaries = _chosen(whole, listed(args.case))
    check_patterns(output.bounds, {row.case for summary in summaries for row in summary.rows})
    comparisons = []
    for path, summary, with_floor in zip(changed, summaries[1:], whole[1:], strict=True):
        comparison = compare(
            summaries[0],
            summary,
            margin=output.margin,
            measures=output.measures,
            is_controlled=not args.no_control,
            whole=(whole[0], with_floor),
        )
        if not (comparison.cases or comparison.failed):
            raise BenchError(f"{base} and {path} have no case in common")
        if comparison.differences and not args.force:
            raise BenchError(
                f"{base} and {path} were not measured under the same conditions"
                f" ({'; '.join(comparison.differences)}): --force compares them all the same"
            )
        comparisons.append(comparison)
    check_measured(output.bounds, comparisons)
    pictures: list[Path] = []
    if args.plot:
        from bench.show.pictures.comparison import draw_comparison  # late: it loads matplotlib

        stems = _stems(args.output, changed)
        for comparison, stem in zip(comparisons, stems, strict=True):
            pictures += draw_comparison(comparison, stem, force=args.force)
    for path in changed:
        if base.samefile(path):
            say(err, f"walredo-bench: both are {base}: nothing can differ")
    status = output.show(comparisons, args, out, err)
    for picture in pictures:
        say(out, picture)
    return status


def _sides(args: argparse.Namespace) -> list[Path]:
    """The paths of the results, the baseline first. Raises BenchError."""
    paths = [result_path(name) for name in (args.base, *args.changed)]
    if args.baseline is not None:
        wanted = result_path(args.baseline).resolve()
        at = next((n for n, path in enumerate(paths) if path.resolve() == wanted), None)
        if at is None:
            raise BenchError(f"--baseline {args.baseline}: is none of the results to compare")
        paths.insert(0, paths.pop(at))
    return paths


def _chosen(summaries: list[Summary], patterns: Sequence[str]) -> list[Summary]:
    """With the cases only that match a pattern; all if there is none. Raises BenchError."""
    if not patterns:
        return summaries
    names = {row.case.name for summary in summaries for row in summary.rows}
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise BenchError(f"--case {pattern!r}: none of the {len(names)} cases is called so")
    return [of_cases(summary, patterns) for summary in summaries]


def _stems(place: Path | None, changed: Sequence[Path]) -> list[Path]:
    """How the names of the pictures begin, one for each result. Raises BenchError."""
    stems = [beside(path) for path in changed]
    if place is not None:
        names = [stem.name for stem in stems]
        stems = [place / name if place.is_dir() else Path(f"{place}-{name}") for name in names]
        if len(changed) == 1:
            stems = [place]
    if len(set(stems)) < len(stems):
        raise BenchError("two of the pictures would have the same name: compare one by one")
    return stems
