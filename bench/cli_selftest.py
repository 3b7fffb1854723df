"""``selftest``: how often `ab` is right on this machine, where the truth is known."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import statistics
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from functools import partial

from rich.console import Console
from rich.table import Table

from bench.cases import Case
from bench.cli_ab import ON_ONE_CPU, SLICES, minutes_in_s, say
from bench.cli_check import say_what_disturbs
from bench.config import Config, load_profile, override
from bench.environment import Environment
from bench.equipment import prepare, scratch_folder
from bench.errors import BenchError
from bench.findings import FLOOR
from bench.interpreters import find_interpreters
from bench.laboratory import SHARES, Laboratory
from bench.layout import print_whole
from bench.matrix import cases_of
from bench.names import unknown
from bench.placement import problem as placement_problem
from bench.result_names import ROOT
from bench.selftest import KNOWN_COST_S, Report, Tally
from bench.snapshots import of_working_tree
from bench.worker_process import RunFailedError, adopt_orphans, end_all

DEFAULT_MINUTES = 5.0
KINDS = ("floor", "slower", "same", "late", "ab")
PROFILE = "quick"
_EXIT_CONTRADICTED = 1

Trial = Callable[[Report], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--minutes",
        metavar="M",
        default=f"{DEFAULT_MINUTES:g}",
        help=f"trials are made for so long (default: {DEFAULT_MINUTES:g}; the table in docs: 90)",
    )
    parser.add_argument(
        "--only",
        metavar="LIST",
        default=",".join(KINDS),
        help="kinds of trials (default: %(default)s)",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="the table as Markdown")
    form.add_argument("--json", action="store_true", help="the counts as JSON")


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    seconds = minutes_in_s(args.minutes)
    only = args.only.split(",")
    for kind in only:
        if kind not in KINDS:
            raise BenchError(f"--only: {unknown('kind of trial', kind, KINDS)}")
    report = Report()
    adopt_orphans()
    try:
        with contextlib.ExitStack() as stack:
            _measure(report, seconds, only, err, stack)
    except KeyboardInterrupt:
        _print(report, args, out)
        raise
    finally:
        end_all()
    _print(report, args, out)
    problems = report.problems()
    for problem in problems:
        say(err, f"problem: {problem}")
    return _EXIT_CONTRADICTED if problems else 0


def _measure(
    report: Report,
    seconds: float,
    only: Collection[str],
    err: Console,
    stack: contextlib.ExitStack,
) -> None:
    config = _config()
    interpreters = find_interpreters(config.python)
    scratch = stack.enter_context(scratch_folder())
    equipment = prepare(config, scratch, interpreters)
    for warning in equipment.warnings:
        say(err, f"warning: {warning}")
    environment = Environment.collect(
        ROOT,
        child_build={},
        seed=config.seed,
        profile=config.name,
        config_json=config.without_paths().to_json(),
    )
    snapshot = of_working_tree(ROOT, scratch / "code")
    laboratory = Laboratory(config, snapshot, equipment, environment, scratch)
    cases = [case for case in cases_of(config) if case.manager != FLOOR]
    say_what_disturbs(err)
    _repeat(_cycle(laboratory, cases, only), report, seconds, err)


def _cycle(
    laboratory: Laboratory, cases: Sequence[Case], only: Collection[str]
) -> list[tuple[str, Trial]]:
    """The trials of these kinds. The same twice needs most, so it comes with each of the others."""
    same = ("same", "the same twice", partial(laboratory.same, cases=cases))
    trials: list[tuple[str, str, Trial]] = [("floor", "a floor of known cost", laboratory.floor)]
    for share in SHARES:
        trials += [("slower", f"+{share:.0%}", partial(laboratory.slower, share=share)), same]
    trials += [("late", "late now and then", laboratory.late), same]
    trials += [("ab", "ab of one case", laboratory.decided)] * 4
    return [(name, trial) for kind, name, trial in trials if kind in only]


def _repeat(cycle: list[tuple[str, Trial]], report: Report, seconds: float, err: Console) -> None:
    """Every trial once, then again and again while there is time."""
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


def _config() -> Config:
    config = override(load_profile(PROFILE), manager=["sync", "async", FLOOR], slices=SLICES)
    if placement_problem(ON_ONE_CPU) is None:
        config = override(config, placement=[ON_ONE_CPU])
    return config


_HEADINGS = ("asked", "trials", "said", "rate (95 %)", "wrong way", "measured", "could show")
"""The last two are medians over the trials."""
_WIDTH = 100


def _print(report: Report, args: argparse.Namespace, out: Console) -> None:
    if args.json:
        data = {
            "tallies": {
                name: {**asdict(tally), "interval": tally.interval()}
                for name, tally in report.tallies.items()
            },
            "floor_costs_s": report.floor_costs_s,
            "known_cost_s": KNOWN_COST_S,
            "failed": report.failed,
        }
        _plain(out, json.dumps(data, indent=2))
        return
    rows = [_row(name, report.tallies[name]) for name in sorted(report.tallies, key=_order)]
    if args.markdown:
        lines = [_HEADINGS, ("---", *("---:",) * (len(_HEADINGS) - 1)), *rows]
        _plain(out, "\n".join(f"| {' | '.join(line)} |" for line in lines))
    else:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for at, heading in enumerate(_HEADINGS):
            table.add_column(heading, justify="right" if at else "left", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        print_whole(table, _WIDTH, out)
    if report.floor_costs_s:
        costs_us = sorted(cost * 1e6 for cost in report.floor_costs_s)
        _plain(
            out,
            f"\nA cost of {KNOWN_COST_S * 1e6:.0f} us, measured by the floor {len(costs_us)} times:"
            f" {costs_us[len(costs_us) // 2]:.0f} us"
            f" ({costs_us[0]:.0f} to {costs_us[-1]:.0f})",
        )


def _order(name: str) -> tuple[int | str, ...]:
    """False alarms first, then effects by their size and pairs: numbers in names count as such."""
    parts = re.split(r"(\d+)", name)
    numbered = (int(part) if part.isdecimal() else part for part in parts)
    return not name.startswith("false alarm"), *numbered


def _row(name: str, tally: Tally) -> tuple[str, ...]:
    low, high = tally.interval()
    return (
        name,
        str(tally.trials),
        str(tally.found),
        f"{tally.found / tally.trials:.0%} ({low:.0%} to {high:.0%})",
        str(tally.wrong) if tally.ratios else "-",
        f"{statistics.median(tally.ratios) - 1:+.1%}" if tally.ratios else "-",
        f"{statistics.median(tally.smallest_shown):.1%}" if tally.smallest_shown else "-",
    )


def _plain(out: Console, text: str) -> None:
    out.print(text, highlight=False, markup=False, soft_wrap=True)
