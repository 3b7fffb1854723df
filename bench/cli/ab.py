"""``ab``: measures two states of the code in turn on this machine, and compares them."""

from __future__ import annotations

import argparse
import random
import shlex
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.cases.config import Config, OptionGroup, option_name, override, with_managers
from bench.cases.managers.yours import is_peer
from bench.cases.matrix import cases_of, without_meaning
from bench.cases.names import FLOOR, MYPYC
from bench.cases.notations import Load
from bench.cli import measuring, options
from bench.cli.comparing import Output, add_output_arguments
from bench.cli.options import say
from bench.cli.progress import PairListener
from bench.errors import BenchError, ResultTakenError
from bench.places import RESULTS, ROOT
from bench.results.claim import claimed, first_free
from bench.results.result_file import ResultFile, default_ab_name
from bench.results.suite_file import check_place, make_folder
from bench.running.ab import SLICES, PairFiles, Side, measure, measure_pair
from bench.running.equipment.equipment import hashes, prepare, usable_managers
from bench.running.equipment.interpreters import find_interpreters
from bench.running.processes import adopt_orphans, end_all, scratch_folder
from bench.running.snapshots import of_commit, of_working_tree, tracked
from bench.statistics.gate import check_patterns

DEFAULT_MINUTES = 5.0


EXAMPLES: Final = (
    "python -m bench ab main",
    "python -m bench ab v1 v2 --workload short --clients 8 --minutes 2",
    "python -m bench ab HEAD --manager examples.lock_manager:create --fail-on slower:5",
)


_PROFILE: Final = "ab"
_REFUSED: Final = ("rounds", "budget_s", "repeat_disturbed", "peer")
"""Options of the configuration that have no meaning here."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Measure two commits in turn and compare them. A manager of your own comes from the tree of"
        " each side if git tracks it, else it is the same on both."
    )
    parser.add_argument("base", metavar="BASE", help="a commit, tag or branch")
    parser.add_argument(
        "changed", metavar="CHANGED", nargs="?", help="likewise (default: the working tree)"
    )
    parser.add_argument(
        "--minutes",
        metavar="M",
        default=f"{DEFAULT_MINUTES:g}",
        help=f"how long undecided cases are measured (default: {DEFAULT_MINUTES:g})",
    )
    options.add_output_path(
        parser,
        "PREFIX",
        "of PREFIX-base.json and PREFIX-changed.json (default: results/TIME-ab)",
    )
    add_output_arguments(parser)
    options.add_config_options(parser, _PROFILE, [OptionGroup.COMMON], _REFUSED)


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    output = Output.of(args)
    seconds = options.minutes_in_s(args.minutes)
    adopt_orphans()
    try:
        with ExitStack() as stack:
            files = _measure(args, seconds, output, err, stack)
            failures = (*files.base.failures, *files.changed.failures)
            for failure in failures:
                say(err, f"failed: {failure.case.name}, pair {failure.round}: {failure.reason}")
            if not (files.base.run_count and files.changed.run_count):
                raise BenchError("no pair was measured")
            status = output.show([files.comparison(output.measures)], args, out, err)
            return status or int(bool(failures))
    finally:
        end_all()


def _measure(
    args: argparse.Namespace, seconds: float, output: Output, err: Console, stack: ExitStack
) -> PairFiles:
    config = _config(args)
    interpreters = find_interpreters(config.values("python"))
    managers, left_out = usable_managers(config, interpreters, asked_for=args.manager is not None)
    config = with_managers(config, managers)
    measuring.warn(err, (*left_out, *without_meaning(config)))
    cases = cases_of(config)
    check_patterns(output.bounds, cases)
    now_utc = datetime.now(UTC)
    paths = _places(args.output, now_utc, stack)
    for path in paths:
        check_place(path)
    scratch = stack.enter_context(scratch_folder())
    equipment = prepare(config, scratch, interpreters)
    also = [own.top for own in equipment.own_managers.values() if tracked(ROOT, own.file)]
    # Folder names of equal length: the length of paths may change the layout of memory.
    base = of_commit(args.base, ROOT, scratch / "a", also)
    if args.changed is None:
        changed = of_working_tree(ROOT, scratch / "b", also)
    else:
        changed = of_commit(args.changed, ROOT, scratch / "b", also)
    measuring.warn(err, equipment.warnings)
    environment = equipment.described_in(measuring.new_environment(config, now_utc))
    # The keys name the sources, which the two sides need not have in common.
    build = {k: v for k, v in environment.child_build.items() if not k.endswith("_key")}
    environment = replace(environment, ab=f"{now_utc:%Y%m%dT%H%M%S.%f}", child_build=build)
    sides = (Side.of(base, equipment, config), Side.of(changed, equipment, config))
    environments = (
        replace(
            environment,
            git_commit=side.snapshot.commit,
            git_dirty=side.snapshot.dirty,
            git_diff_sha256=environment.git_diff_sha256 if side.snapshot.dirty else None,
            own_managers=hashes(side.equipment.own_managers),
        )
        for side in sides
    )
    base_file, changed_file = map(ResultFile, paths, environments)
    files = PairFiles(base_file, changed_file, output.margin)
    try:
        most = f"{seconds / 60:g} min at most"
        say(err, f"{base} against {changed}: {options.count(len(cases), 'case')}, {most}")
        measuring.say_what_disturbs(err, cases)
        order = random.Random(config.seed)
        with PairListener(err, len(cases), seconds) as listener:
            measure(
                cases,
                partial(measure_pair, config=config, sides=sides, order=order),
                files,
                seconds=seconds,
                now_s=time.monotonic,
                order=order,
                report_round=listener.round_saved,
                report_pair=listener.pair_started,
            )
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(_kept(paths)) from interrupt
    return files


def _places(prefix: Path | None, now_utc: datetime, stack: ExitStack) -> list[Path]:
    """The two files, claimed. Raises BenchError."""

    def free(prefix: Path) -> list[Path]:
        paths = [prefix.with_name(f"{prefix.name}-{side}.json") for side in ("base", "changed")]
        with ExitStack() as claims:
            for path in paths:
                claims.enter_context(claimed(path))
                if path.exists():
                    raise ResultTakenError(path, "exists; name another --output, or remove it")
            stack.enter_context(claims.pop_all())
        return paths

    if prefix is not None:
        return free(prefix)
    make_folder(RESULTS)
    return first_free(lambda number: free(RESULTS / default_ab_name(now_utc, number)))


def _kept(paths: Sequence[Path]) -> str:
    """What an interruption leaves, and how to go on from there."""
    if not all(path.exists() for path in paths):
        return "interrupted before the first pair of each case was measured: nothing was saved"
    names = [str(path) for path in paths]
    again = shlex.join(["python", "-m", "bench", "compare", *names])
    return (
        f"interrupted; {' and '.join(names)} hold the pairs that were measured (`ab` cannot add to"
        f" them); to compare them: {again}"
    )


def _config(args: argparse.Namespace) -> Config:
    """The profile with the options on top; on one CPU by default. Raises BenchError."""
    for option in _REFUSED:
        if getattr(args, option) is not None:
            name = option_name(option)
            raise BenchError(f"{name} is not for `ab`: --minutes says how long it measures")
    config = options.config_of(args, _PROFILE)
    if args.slices is None:
        config = override(config, slices=SLICES)
    if args.placement is None:
        config = measuring.on_one_cpu(config)
    measuring.check_placements(config)
    if MYPYC in config.values("build"):
        raise BenchError(
            f"--build {MYPYC}: `ab` measures commits, which have no compiled core: leave it out"
        )
    for load in config.values("load"):
        if Load.parse(load).percent is not None:
            raise BenchError(
                f"--load {load}: `ab` has no round to take a percentage of: use open:RATE"
            )
    managers = config.values("manager")
    foreign = {FLOOR, *filter(is_peer, managers)}
    ours = [name for name in managers if name not in foreign]
    if args.manager is not None and len(ours) < len(managers):
        raise BenchError(
            "`ab` compares managers in Python, of which each side has its own copy: leave out floor"
            " and peers"
        )
    return with_managers(config, ours)
