"""``run``: measures the cases of a profile, round by round, into a result file."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.cases.config import Config, differences, from_json, named_again, with_managers
from bench.cases.managers.yours import is_peer
from bench.cases.matrix import cases_of, without_meaning
from bench.cases.names import THIS_PYTHON
from bench.cases.own import is_own_child, is_own_workload
from bench.cli import options
from bench.cli.measuring import (
    check_placements,
    new_environment,
    say_what_disturbs,
    unknown_code,
    warn,
)
from bench.cli.options import say
from bench.cli.progress import ProgressListener
from bench.errors import BenchError, ResultFileError, ResultTakenError
from bench.experiments.registry import VIEWS
from bench.interrupts import held_back
from bench.places import RESULTS
from bench.results.claim import claimed, first_free
from bench.results.environment import Environment
from bench.results.histogram import distributions_of
from bench.results.key import SUFFIXES
from bench.results.naming import path_to_save
from bench.results.result_file import ResultFile, default_name
from bench.results.suite_file import beside, check_place, make_folder
from bench.results.summary import summary_of
from bench.running.equipment.equipment import prepare, usable_managers
from bench.running.equipment.interpreters import find_interpreters
from bench.running.peer import check_peer
from bench.running.processes import STDERR_ENDS, adopt_orphans, end_all, scratch_folder
from bench.running.run import measure_run
from bench.running.schedule import MeasuresLoad, Plan, Suite, WithCapacity, closed_first
from bench.show.page.page import check_page, write_page
from bench.show.pictures.choice import check_free, draw
from bench.show.summary import print_summary
from bench.show.view import Reading

RUN_OVERHEAD_S = 0.2
"""Time of a run besides its slices: the start, the report and the end of the worker."""


EXAMPLES: Final = (
    "python -m bench run --profile quick",
    "python -m bench run --manager sync,async --clients 1,8,128 --save-as before --plot",
    "python -m bench run --manager sync,lock=examples.lock_manager:create --clients 8",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_config_options(parser)
    group = parser.add_argument_group("the result")
    place = group.add_mutually_exclusive_group()
    options.add_output_path(place, "FILE", "default: results/TIME-COMMIT.json", *SUFFIXES)
    place.add_argument(
        "--save-as", metavar="NAME", help="keep it as a baseline, for `compare NAME`"
    )
    options.add_flag(group, "--force", "overwrite what is there")
    group.add_argument(
        "--resume", metavar="FILE", type=Path, help="do the rounds that are missing in FILE"
    )
    options.add_flag(group, "--plot", "draw the curves beside the result")
    options.add_flag(group, "--report", "write the page beside the result")
    options.add_legend(group)
    options.add_plain(group)


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    adopt_orphans()
    try:
        with contextlib.ExitStack() as stack:
            return _conclude(args, _run(args, err, stack), out, err)
    finally:
        end_all()


def _run(args: argparse.Namespace, err: Console, stack: contextlib.ExitStack) -> ResultFile:
    """Measures, and saves the result, whose file is claimed until the stack is left.

    Raises BenchError. All checks come before the first run: bad input must not cost measured runs.
    """
    older = _older(args, stack)
    place = args.output
    if args.save_as is not None:
        place = path_to_save(args.save_as)
        make_folder(place.parent)
    config = options.config_of(args) if older is None else _config_to_resume(args, older)
    if args.peer and not any(map(is_peer, config.values("manager"))):
        raise BenchError(
            f"--peer {args.peer}: no manager is this program: say --manager sync,async,peer:async"
        )
    check_placements(config)
    check_peer(config)
    interpreters = find_interpreters(config.values("python"))
    # A resumed suite must have all of its managers, as if each had been asked for by name.
    asked_for = args.manager is not None or older is not None
    managers, left_out = usable_managers(config, interpreters, asked_for=asked_for)
    if older is not None and managers != config.values("manager"):
        raise BenchError(f"{older.path}: a manager it has cannot run here: {'; '.join(left_out)}")
    config = with_managers(config, managers)
    without = without_meaning(config) if older is None else ()
    environment = new_environment(config)
    if older is None:
        path = _claimed_place(place, environment, stack)
    else:
        path = older.path
        environment = replace(environment, config_json=older.environment.config_json)
    check_place(path)
    overwrite = args.force or older is not None
    if args.plot and not overwrite:
        check_free(VIEWS, cases_of(config), beside(path))
    if args.report:
        check_page(beside(path, ".html"), of=[path], overwrite=overwrite)
    equipment = prepare(config, stack.enter_context(scratch_folder()), interpreters)
    environment = equipment.described_in(environment)
    if older is None:
        result = ResultFile(path, environment, overwrite=args.force)
    else:
        result = older
        result.check_resumable(environment)
    # Not before the last check: an error must be the only line on stderr.
    warn(err, (*left_out, *without, *unknown_code(environment), *equipment.warnings))
    say_what_disturbs(err, cases_of(config))
    _measure(config, result, partial(measure_run, config=config, equipment=equipment), err)
    return result


def _older(args: argparse.Namespace, stack: contextlib.ExitStack) -> ResultFile | None:
    """The file to resume, claimed. Raises BenchError."""
    if args.resume is None:
        return None
    for option in ("profile", "output", "save-as"):
        if getattr(args, option.replace("-", "_")) is not None:
            raise BenchError(f"--resume goes on with a file as it was begun: leave out --{option}")
    if args.resume.is_file():
        # Claimed before it is read: another suite may be adding rounds to it.
        stack.enter_context(claimed(args.resume))
    return ResultFile.load(args.resume)


def _config_to_resume(args: argparse.Namespace, older: ResultFile) -> Config:
    """The configuration of the file, perhaps with another number of rounds. Raises BenchError."""
    begun = from_json(older.environment.config_json, where=str(older.path))
    # For workloads and children of the user the file has only labels, since results are published
    # and must not contain paths. The user must name the paths again.
    missing = [
        f"--{option} {','.join(f'{name}{ending}' if is_own(name) else name for name in choices)}"
        for option, choices, is_own, ending in (
            ("workload", begun.values("workload"), is_own_workload, "=PATH"),
            ("child", begun.values("child"), is_own_child, "=COMMAND"),
        )
        if getattr(args, option) is None and any(map(is_own, choices))
    ]
    if missing:
        raise BenchError(
            f"{older.path}: does not hold where what is yours is: say {' and '.join(missing)}"
        )
    config = named_again(begun, **options.given_options(args))
    if differing := differences(begun, config):
        raise BenchError(
            f"{older.path}: was begun with other settings ({'; '.join(differing)}): leave those"
            " options out, or start a new file"
        )
    return config


def _claimed_place(
    path: Path | None, environment: Environment, stack: contextlib.ExitStack
) -> Path:
    """The file of a new suite, claimed; one with a name of its own if none is given. Raises
    ResultFileError."""
    if path is not None:
        stack.enter_context(claimed(path))
        return path
    now_utc = datetime.now(UTC)
    make_folder(RESULTS)

    def take(number: int) -> Path:
        commit, dirty = environment.git_commit, environment.git_dirty
        path = RESULTS / default_name(now_utc, commit, dirty, number)
        # The claim comes before the look at the file, or two suites could find it free.
        stack.enter_context(claimed(path))
        if path.exists():
            raise ResultTakenError(path, "exists")
        return path

    return first_free(take)


def _measure(config: Config, result: ResultFile, measure: MeasuresLoad, err: Console) -> None:
    """Runs the rounds. The text of an interruption says how to resume the suite."""
    cases = tuple(case for case in cases_of(config) if case not in result.dropped_cases)
    plan = Plan(
        cases=cases,
        rounds=config.rounds,
        seed=config.seed,
        budget_s=config.budget_s,
        run_s=config.seconds + config.warmup_s + RUN_OVERHEAD_S,
        first=closed_first(cases),
        repeats=config.repeat_disturbed,
        further_rounds=config.further_rounds,
    )
    saved = bool(result.run_count)

    def save() -> None:
        nonlocal saved
        if result.run_count:
            # An interruption waits until the file is saved and noted as saved: the text of the
            # interruption depends on both.
            with held_back():
                try:
                    result.save()
                except ResultFileError as error:
                    what = f"{error.problem}; {_kept(config, result, has_rounds=saved)}"
                    raise ResultFileError(result.path, what) from error
                saved = True

    try:
        with ProgressListener(err) as listener:
            Suite(
                plan,
                result,
                measure=WithCapacity(measure),
                save=save,
                listener=listener,
                now_s=time.monotonic,
            ).run()
    except KeyboardInterrupt as interrupt:
        # The interrupted round is not saved, but the file holds the rounds before it.
        if not saved:
            what = "interrupted before the first round was finished: nothing was saved"
            raise KeyboardInterrupt(what) from interrupt
        again = _to_go_on(config, result, result.path)
        raise KeyboardInterrupt(f"interrupted; to do the missing rounds: {again}") from interrupt


def _kept(config: Config, result: ResultFile, *, has_rounds: bool) -> str:
    """What is kept of a result that could not be saved, and how to resume from there."""
    if rescued := result.rescue():
        return f"all is kept in {rescued}, for {_to_go_on(config, result, rescued)}"
    if has_rounds:
        return f"its earlier rounds are kept, for {_to_go_on(config, result, result.path)}"
    return "what was measured is lost"


def _to_go_on(config: Config, result: ResultFile, path: Path) -> str:
    """The command that measures the missing rounds of the file."""
    words = ["python", "-m", "bench", "run", "--resume", str(path)]
    begun = from_json(result.environment.config_json)
    if config.rounds != begun.rounds:
        words += ["--rounds", str(config.rounds)]
    if config.repeat_disturbed not in (begun.repeat_disturbed, None):
        words += ["--repeat-disturbed", str(config.repeat_disturbed)]
    if any(map(is_peer, config.values("manager"))):
        words += ["--peer", config.peer]
    if any(map(is_own_workload, config.values("workload"))):
        words += ["--workload", ",".join(config.values("workload"))]
    if any(map(is_own_child, config.values("child"))):
        words += ["--child", ",".join(config.values("child"))]
    if config.values("python") != (THIS_PYTHON,):
        words += ["--python", ",".join(config.values("python"))]
    return shlex.join(words)


def _conclude(args: argparse.Namespace, result: ResultFile, out: Console, err: Console) -> int:
    """Shows the result. Returns the exit status."""
    if not result.run_count:
        first = result.failures[0]
        # The end of its worker's stderr was already shown when the run failed.
        reason = first.reason.partition(STDERR_ENDS)[0]
        say(err, f"no run gave a result; the first, {first.case.name}: {reason}")
        return 1
    suite = result.suite()
    distributions = distributions_of(result.path, suite) if args.report else {}
    reading = Reading.of(summary_of(result.path, suite), VIEWS, distributions)
    shown = options.console_for(args, out)
    print_summary(
        reading,
        shown,
        plain=not shown.is_terminal,
        legend=args.legend,
        verdict_last=shown.is_terminal,
    )
    out.print()
    say(out, result.path)
    if args.plot:
        overwrite = args.force or args.resume is not None
        for picture in draw(reading, beside(result.path), force=overwrite):
            say(out, picture)
    if args.report:
        page = beside(result.path, ".html")
        write_page(page, [reading])
        say(out, page)
    # A run that exceeds its memory budget is a result of the experiment, not an error.
    return 1 if any(failure.over_budget is None for failure in result.failures) else 0
