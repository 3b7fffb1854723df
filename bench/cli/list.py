"""``list``: prints the cases of a profile, one per line; or the profiles, or the saved names."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.cases.config import profiles
from bench.cases.matrix import cases_of
from bench.cli.options import add_config_options, add_flag, config_of, say
from bench.errors import ResultFileError
from bench.results.naming import saved_results
from bench.results.summary import load_summary

EXAMPLES: Final = (
    "python -m bench list --profiles",
    "python -m bench list --profile quick",
    "python -m bench list --manager sync,async --workload short --clients 1,8",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    add_flag(what, "--profiles", "list the profiles instead")
    add_flag(what, "--saved", "list the names that `run --save-as` gave instead")
    add_config_options(parser)


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    if args.profiles:
        lines = _aligned(profiles())
    elif args.saved:
        lines = _aligned([(name, _described(path)) for name, path in saved_results().items()])
        if not lines:
            say(err, "no saved names: `run --save-as NAME` saves a result under one")
    else:
        lines = [case.name for case in cases_of(config_of(args))]
    for line in lines:
        say(out, line)
    return 0


def _aligned(lines: Sequence[tuple[str, str]]) -> list[str]:
    """Each name with what is said of it, in two columns."""
    width = max((len(name) for name, _ in lines), default=0)
    return [f"{name:<{width}}  {text}" for name, text in lines]


def _described(path: Path) -> str:
    """When it was measured, and which code; or why it cannot be read."""
    try:
        environment = load_summary(path).environment
    except ResultFileError as error:
        return error.problem
    return f"{environment.suite_date}  {environment.version}"
