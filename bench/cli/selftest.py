"""``selftest``: measures how often `ab` is right on this machine, where the truth is known."""

from __future__ import annotations

import argparse
import contextlib
import re
import statistics
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.cases.case import Case
from bench.cases.config import Config, load_profile, override
from bench.cases.matrix import cases_of
from bench.cases.names import FLOOR
from bench.cli.measuring import new_environment, on_one_cpu, say_what_disturbs, warn
from bench.cli.options import add_flag, check_known, minutes_in_s, say
from bench.errors import BenchError
from bench.places import ROOT
from bench.results.disturbance import OTHERS, PRESSURE
from bench.results.row import MEASURES
from bench.running.ab import SLICES
from bench.running.equipment.equipment import prepare
from bench.running.equipment.interpreters import find_interpreters
from bench.running.processes import RunFailedError, adopt_orphans, end_all, scratch_folder
from bench.running.selftest.laboratory import SHARES, Laboratory
from bench.running.selftest.tallies import (
    KNOWN_COST_S,
    LATE,
    Kept,
    Report,
    Tally,
    from_json,
    to_json,
)
from bench.running.snapshots import of_working_tree
from bench.running.watched import watch, watched
from bench.show.findings import HEADINGS
from bench.show.layout import whole_table

DEFAULT_MINUTES = 5.0
KINDS = ("floor", "slower", "same", "late", "ab", "files")
USUAL = ("floor", "slower", "same", "late", "ab")
"""Without two whole files, which are about `compare`, and of which many are needed."""
PROFILE = "ab"

Trial = Callable[[Report], None]


EXAMPLES: Final = (
    "python -m bench selftest",
    "python -m bench selftest --minutes 30 --json > counts.json",
    "python -m bench selftest --from counts.json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--minutes",
        metavar="M",
        help="trials are made for so long, each kind once at least, which takes about 8 minutes"
        f" (default: {DEFAULT_MINUTES:g}; in docs: 30, 40)",
    )
    parser.add_argument(
        "--only",
        metavar="LIST",
        help=f"kinds of trials, of {','.join(KINDS)} (default: all but files)",
    )
    parser.add_argument(
        "--from",
        dest="kept",
        type=Path,
        metavar="FILE",
        help="measure nothing: print what FILE has, the output of an earlier --json",
    )
    form = parser.add_mutually_exclusive_group()
    add_flag(form, "--markdown", "the table as Markdown")
    add_flag(form, "--json", "the counts as JSON")


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    if args.kept is not None:
        if args.minutes is not None or args.only is not None:
            raise BenchError("--from measures nothing: leave out --minutes and --only")
        return _conclude(from_json(args.kept), args, out, err)
    seconds = minutes_in_s(args.minutes or f"{DEFAULT_MINUTES:g}")
    only = USUAL if args.only is None else tuple(args.only.split(","))
    check_known("--only", "kind of trial", only, KINDS)
    profile = load_profile(PROFILE)
    config = on_one_cpu(override(profile, manager=["sync", "async", FLOOR], slices=SLICES))
    kept = Kept(Report(), new_environment(config), minutes=seconds / 60, only=only)
    adopt_orphans()
    try:
        with contextlib.ExitStack() as stack:
            _measure(config, kept, err, stack)
    except KeyboardInterrupt:
        _print(kept, args, out)
        raise
    finally:
        end_all()
    return _conclude(kept, args, out, err)


def _conclude(kept: Kept, args: argparse.Namespace, out: Console, err: Console) -> int:
    """Prints the counts, and those that contradict the documentation. Returns the exit status."""
    _print(kept, args, out)
    problems = kept.report.problems()
    for problem in problems:
        say(err, f"problem: {problem}")
    return int(bool(problems))


def _measure(config: Config, kept: Kept, err: Console, stack: contextlib.ExitStack) -> None:
    interpreters = find_interpreters(config.values("python"))
    scratch = stack.enter_context(scratch_folder())
    equipment = prepare(config, scratch, interpreters)
    warn(err, equipment.warnings)
    snapshot = of_working_tree(ROOT, scratch / "code")
    laboratory = Laboratory(config, snapshot, equipment, kept.environment, scratch)
    say_what_disturbs(err, cases_of(config))
    trials = _cycle(laboratory, cases_of(config), kept.only)
    begun = watch()
    try:
        _repeat(trials, kept.report, kept.minutes * 60, err)
    finally:
        kept.machine.update(watched(begun))
    laboratory.files_apart(kept.report)


def _cycle(
    laboratory: Laboratory, cases: Sequence[Case], only: Collection[str]
) -> list[tuple[str, Trial]]:
    """The trials of these kinds. Trials without a change come after each of the others, since the
    rate of false alarms needs most of them."""
    managers = [case for case in cases if case.manager != FLOOR]
    same = ("same", "the same twice", partial(laboratory.same, cases=managers))
    trials: list[tuple[str, str, Trial]] = [("floor", "a floor of known cost", laboratory.floor)]
    for share in SHARES:
        trials += [("slower", f"+{share:.0%}", partial(laboratory.slower, share=share)), same]
    trials += [("late", "late now and then", laboratory.late), same]
    trials += [("ab", "ab of one case", laboratory.decided)] * 4
    # A comparison needs two files.
    trials += [("files", "a whole file", partial(laboratory.files, cases=cases))] * 2
    return [(name, trial) for kind, name, trial in trials if kind in only]


def _repeat(cycle: list[tuple[str, Trial]], report: Report, seconds: float, err: Console) -> None:
    """Makes every trial once, then again and again while there is time."""
    began_s = time.monotonic()
    longest_s: dict[str, float] = {}
    number = 0
    while True:
        name, trial = cycle[number % len(cycle)]
        spent_s = time.monotonic() - began_s
        if number >= len(cycle) and spent_s + longest_s[name] > seconds:
            return
        say(err, f"trial {number + 1}, {name}: {max(0.0, seconds - spent_s) / 60:.1f} min left")
        try:
            trial(report)
        except RunFailedError as error:
            report.failed.append(f"{name}: {error}")
        took_s = time.monotonic() - began_s - spent_s
        longest_s[name] = max(longest_s.get(name, 0.0), took_s)
        number += 1


_HEADINGS = ("asked", "trials", "said", "rate (95 %)", "wrong way", "measured", "MDE")
"""The last two are medians over the trials."""


def _print(kept: Kept, args: argparse.Namespace, out: Console) -> None:
    """Prints the table, the measured known cost, and the code and machine they are about."""
    report = kept.report
    if args.json:
        say(out, to_json(kept))
        return
    rows = [_row(name, report.tallies[name]) for name in sorted(report.tallies, key=_order)]
    if args.markdown:
        lines = [_HEADINGS, ("---", *("---:",) * (len(_HEADINGS) - 1)), *rows]
        say(out, "\n".join(f"| {' | '.join(line)} |" for line in lines))
    else:
        out.print(whole_table(None, _HEADINGS, rows, left=[0]), crop=False)
    if report.floor_costs_s:
        costs_us = sorted(cost * 1e6 for cost in report.floor_costs_s)
        say(
            out,
            f"\nA cost of {KNOWN_COST_S * 1e6:.0f} us, measured by the floor {len(costs_us)} times:"
            f" {costs_us[len(costs_us) // 2]:.0f} us"
            f" ({costs_us[0]:.0f} to {costs_us[-1]:.0f})",
        )
    where = kept.environment
    say(
        out,
        f"\nselftest --minutes {kept.minutes:g} --only {','.join(kept.only)}, begun"
        f" {where.suite_date}, of {where.version},"
        f" on {where.cpu_model} x {where.cpu_count or '?'}, {where.kernel}",
    )
    if meanwhile := _meanwhile(kept.machine):
        say(out, f"meanwhile {meanwhile}")


def _meanwhile(machine: Mapping[str, float]) -> str:
    """As ``others took 3% of the CPUs; for 12% of the time a process waited for a CPU (PSI)``."""
    texts = {
        OTHERS: "others took {:.0%} of the CPUs",
        PRESSURE: "for {:.0%} of the time a process waited for a CPU (PSI)",
    }
    return "; ".join(text.format(machine[key]) for key, text in texts.items() if key in machine)


def _order(name: str) -> tuple[int | str, ...]:
    """Sorts false alarms first, then effects by size and pairs: numbers sort by their value."""
    parts = re.split(r"(\d+)", name)
    numbered = (int(part) if part.isdecimal() else part for part in parts)
    return not name.startswith("false alarm"), *numbered


def _row(name: str, tally: Tally) -> tuple[str, ...]:
    low, high = tally.interval()
    for field, heading in HEADINGS.items():
        name = name.replace(field, heading).replace(MEASURES[field].instead or field, heading)
    return (
        name.replace(LATE, "late now and then"),
        str(tally.trials),
        str(tally.found),
        f"{tally.found / tally.trials:.0%} ({low * 100:.0f}-{high * 100:.0f})",
        str(tally.wrong) if tally.ratios else "-",
        f"{statistics.median(tally.ratios) - 1:+.1%}" if tally.ratios else "-",
        f"{statistics.median(tally.smallest_shown):.1%}" if tally.smallest_shown else "-",
    )
