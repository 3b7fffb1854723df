"""``list``: prints the cases of a profile, one per line, or the profiles."""

from __future__ import annotations

import argparse
from typing import Final

from rich.console import Console

from bench.cases.config import profiles
from bench.cases.matrix import cases_of
from bench.cli.options import add_config_options, add_flag, config_of, say

EXAMPLES: Final = (
    "python -m bench list --profiles",
    "python -m bench list --profile quick",
    "python -m bench list --manager sync,async --workload short --clients 1,8",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_flag(parser, "--profiles", "list the profiles instead")
    add_config_options(parser)


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    if args.profiles:
        found = profiles()
        width = max(len(name) for name, _ in found)
        lines = [f"{name:<{width}}  {title}" for name, title in found]
    else:
        lines = [case.name for case in cases_of(config_of(args))]
    for line in lines:
        say(out, line)
    return 0
