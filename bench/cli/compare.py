"""``compare``: shows what changed from one result to another, and how sure that is."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.cli.combining import add_combine, read_combined
from bench.cli.comparing import Output, add_output_arguments, listed
from bench.cli.options import add_flag, add_output_path, say
from bench.errors import BenchError
from bench.results.naming import LATEST, RESULT_HELP, result_paths
from bench.results.suite_file import beside
from bench.results.summary import Summary, summary_of
from bench.statistics.comparison import compare, of_cases
from bench.statistics.gate import check_measured, check_patterns

EXAMPLES: Final = (
    "python -m bench compare main",
    "python -m bench compare base.json changed.json --markdown",
    "python -m bench compare base.json changed.json --fail-on 'sync/*:slower:5'",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("base", metavar="BASE", help=RESULT_HELP)
    parser.add_argument(
        "changed",
        metavar="CHANGED",
        nargs="*",
        help=f"likewise; each is compared with the base (default: {LATEST})",
    )
    add_combine(parser, "BASE and CHANGED may be several sessions, as a.json,b.json")
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
    sides = _sides(args)
    base, *changed = (side[0] for side in sides)
    whole = [summary_of(side[0], read_combined(side)) for side in sides]
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
    for side in sides[1:]:
        if _same(side, sides[0]):
            names = " and ".join(map(str, sides[0]))
            say(err, f"walredo-bench: both are {names}: nothing can differ")
    status = output.show(comparisons, args, out, err)
    for picture in pictures:
        say(out, picture)
    return status


def _sides(args: argparse.Namespace) -> list[list[Path]]:
    """The paths of each result, which are several of a combined one; the baseline first. Raises
    BenchError."""
    names = (args.base, *(args.changed or [LATEST]))
    sides = [_paths(name, args) for name in names]
    if args.baseline is not None:
        wanted = _paths(args.baseline, args)
        at = next((n for n, side in enumerate(sides) if _same(side, wanted)), None)
        if at is None:
            raise BenchError(f"--baseline {args.baseline}: is none of the results to compare")
        sides.insert(0, sides.pop(at))
    for side in sides[1:]:
        shared = [path for path in side if path in sides[0]]
        if shared and not _same(side, sides[0]):
            raise BenchError(f"{shared[0]}: is on both sides: combine it with one of them")
    return sides


def _paths(name: str, args: argparse.Namespace) -> list[Path]:
    several = args.combine and not Path(name).is_file()
    return result_paths(name.split(",") if several else [name])


def _same(side: Sequence[Path], other: Sequence[Path]) -> bool:
    return {path.resolve() for path in side} == {path.resolve() for path in other}


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
