"""What the commands that measure (`run`, `ab`, `selftest`) share before their first run."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from rich.console import Console

from bench.cases.case import Case
from bench.cases.config import Config, override
from bench.cases.names import SHM
from bench.cases.placement import SAME_CPU, problem
from bench.cli.options import say
from bench.errors import BenchError
from bench.machine.checks import in_brief
from bench.machine.machine import Machine
from bench.places import IS_CHECKOUT, ROOT
from bench.results.environment import Environment
from bench.results.git import GitError, check_checkout


def new_environment(config: Config, now_utc: datetime | None = None) -> Environment:
    """The machine, the code and the configuration. What the equipment adds is not known yet."""
    return Environment.collect(
        ROOT,
        seed=config.seed,
        profile=config.name,
        config_json=config.without_paths().to_json(),
        now_utc=now_utc,
    )


def unknown_code(environment: Environment) -> tuple[str, ...]:
    """A warning if the result of a checkout will not say which code was measured; with git's own
    reason. What is installed has no commit, and no warning."""
    if not IS_CHECKOUT or None not in (environment.git_commit, environment.git_dirty):
        return ()
    try:
        check_checkout(ROOT)
    except GitError as error:
        return (f"the result will not say which commit was measured: {error}",)
    return ()


def check_placements(config: Config) -> None:
    """Raises BenchError if this process may not use the CPUs that a placement needs."""
    for placement in config.values("placement"):
        if why := problem(placement):
            raise BenchError(why)


def on_one_cpu(config: Config) -> Config:
    """The configuration with manager and child on the same CPU, where CPUs can be chosen."""
    return config if problem(SAME_CPU) else override(config, placement=[SAME_CPU])


def warn(err: Console, warnings: Iterable[str]) -> None:
    for warning in warnings:
        say(err, f"warning: {warning}")


def say_what_disturbs(err: Console, cases: Iterable[Case]) -> None:
    """Prints one line about this machine, or none if nothing is known to disturb these cases."""
    # Over shared memory pipes only wake: nothing asks for a size.
    no_matter = ("pipes",) if all(case.transport == SHM for case in cases) else ()
    if brief := in_brief(Machine.here(), no_matter):
        say(err, f"machine: {brief} (`python -m bench check` says more)")
