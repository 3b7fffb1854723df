"""``run``: measure the cases of a profile, round by round, into a result file."""

from __future__ import annotations

import argparse
import shlex
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.console import Console

from bench.cases import Case
from bench.cli_options import RESULTS, ROOT, add_config_options, config_of, given_options
from bench.config import Config, differences, from_json, override
from bench.environment import Environment
from bench.equipment import prepare, usable_managers
from bench.errors import BenchError
from bench.matrix import cases_of
from bench.measure import measure_run
from bench.plots import check_free, draw
from bench.progress import ProgressListener
from bench.records import RunRecord
from bench.results import ResultFile, default_name
from bench.schedule import Plan, run_rounds
from bench.stats import load_summary
from bench.suite_file import check_place
from bench.table import print_summary
from bench.worker_process import adopt_orphans

RUN_OVERHEAD_S = 0.2
"""What a run takes beside its redos: a worker's start and end, and its report."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_options(parser)
    group = parser.add_argument_group("the result")
    group.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="default: results/TIME-COMMIT.json"
    )
    group.add_argument("--force", action="store_true", help="overwrite what is there")
    group.add_argument(
        "--resume", metavar="FILE", type=Path, help="do the rounds that are missing in FILE"
    )
    group.add_argument("--plot", action="store_true", help="draw the curves beside the result")


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    adopt_orphans()
    older = _older(args)
    config = config_of(args) if older is None else _config_to_resume(args, older)
    # A suite that goes on must have all of its managers, as one that was asked for by name.
    asked_for = args.manager is not None or older is not None
    managers, left_out = usable_managers(config, asked_for=asked_for)
    for warning in left_out:
        _say(err, f"warning: {warning}")
    if older is not None and managers != config.manager:
        raise BenchError(f"{older.path}: a manager it has cannot run here: {'; '.join(left_out)}")
    config = override(config, manager=list(managers))
    with tempfile.TemporaryDirectory(prefix="walredo-bench-") as folder:
        equipment = prepare(config, Path(folder))
        for warning in equipment.warnings:
            _say(err, f"warning: {warning}")
        environment = Environment.collect(
            ROOT,
            child_build=equipment.build_facts,
            seed=config.seed,
            profile=config.name,
            config_json=config.to_json() if older is None else older.environment.config_json,
        )
        if older is None:
            result = ResultFile(_place(args, environment), environment, overwrite=args.force)
        else:
            result = older
            result.check_resumable(environment)
        check_place(result.path)
        if args.plot and not args.force and older is None:
            check_free(cases_of(config), result.path.with_suffix(""))
        _measure(config, result, partial(measure_run, config=config, equipment=equipment), err)
    return _conclude(args, result, out, err)


def _older(args: argparse.Namespace) -> ResultFile | None:
    """The file to resume. Raises BenchError."""
    if args.resume is None:
        return None
    for option in ("profile", "output"):
        if getattr(args, option) is not None:
            raise BenchError(f"--resume goes on with a file as it was begun: leave out --{option}")
    return ResultFile.load(args.resume)


def _config_to_resume(args: argparse.Namespace, older: ResultFile) -> Config:
    """The configuration of the file, with another number of rounds perhaps. Raises BenchError."""
    begun = from_json(older.environment.config_json, where=str(older.path))
    config = override(begun, **given_options(args))
    if differing := differences(begun, config):
        raise BenchError(
            f"{older.path}: was begun with other settings ({'; '.join(differing)}): leave those"
            " options out, or start a new file"
        )
    return config


def _place(args: argparse.Namespace, environment: Environment) -> Path:
    if args.output is not None:
        place: Path = args.output
        return place
    commit, dirty = environment.git_commit, environment.git_dirty
    return RESULTS / default_name(datetime.now(UTC), commit, dirty)


def _measure(
    config: Config,
    result: ResultFile,
    measure: Callable[[Case, int], RunRecord],
    err: Console,
) -> None:
    """Runs the rounds. An interruption leaves with the way to go on as its text."""
    plan = Plan(
        cases=cases_of(config),
        rounds=config.rounds,
        seed=config.seed,
        budget_s=config.budget_s,
        run_s=config.seconds + config.warmup_s + RUN_OVERHEAD_S,
    )
    saved = bool(result.run_count)

    def save() -> None:
        nonlocal saved
        if result.run_count:
            result.save()
            saved = True

    try:
        with ProgressListener(err) as listener:
            run_rounds(
                plan,
                result,
                measure=measure,
                save=save,
                listener=listener,
                now_s=time.monotonic,
            )
    except KeyboardInterrupt as interrupt:
        # The round that was broken off is not saved, but the file holds those before it.
        if not saved:
            raise KeyboardInterrupt("interrupted before the first round was saved") from interrupt
        words = ["python", "-m", "bench", "run", "--resume", str(result.path)]
        if config.rounds != from_json(result.environment.config_json).rounds:
            words += ["--rounds", str(config.rounds)]
        again = shlex.join(words)
        raise KeyboardInterrupt(f"interrupted; to do the missing rounds: {again}") from interrupt


def _conclude(args: argparse.Namespace, result: ResultFile, out: Console, err: Console) -> int:
    """Shows what was measured; the exit status."""
    if not result.run_count:
        first = result.failures[0]
        _say(err, f"no run gave a result; the first, {first.case.name}: {first.reason}")
        return 1
    summary = load_summary(result.path)
    print_summary(summary, out)
    out.print()
    _say(out, str(result.path))
    if args.plot:
        stem = result.path.with_suffix("")
        overwrite = args.force or args.resume is not None
        for picture in draw(summary, stem, force=overwrite):
            _say(out, str(picture))
    return 1 if result.failures else 0


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
