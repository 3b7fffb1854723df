"""The command line: which commands there are, and what becomes of errors and interruptions.

The only place that decides exit statuses: 0 success, 1 a failed run or check, 2 bad usage or input,
130 interrupted. Each command is a module ``cli_NAME`` with ``add_parser`` and ``execute``.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from rich.console import Console

from bench.errors import BenchError
from bench.names import unknown

COMMANDS: Final = {
    "run": "measure the cases of a profile and save a result file",
    "list": "the cases of a profile, or the profiles",
    "show": "a result file as tables",
    "plot": "a result file as latency and throughput curves",
    "dump-request": "one whole request of a workload, raw, on stdout",
}

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


class UsageError(BenchError):
    """The command line makes no sense."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; knows no abbreviations, which would change their meaning
    when an option is added."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")

    @property
    def options(self) -> list[str]:
        """The long options, for a guess at what was meant."""
        return [o for o in self._option_string_actions if o.startswith("--")]


def make_parser(command: str | None) -> tuple[Parser, Parser | None]:
    """The parser, and that of the command. Only the command that is called is imported: some need
    libraries that take a while."""
    parser = Parser(
        prog="walredo-bench",
        description="Measures synchronous and asynchronous waiting for a worker process.",
        epilog="Exit status: 0 success, 1 a failed run, 2 bad usage or input, 130 interrupted.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    chosen: Parser | None = None
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(name, help=summary, description=_sentence(summary))
        if name == command:
            module = importlib.import_module(f"bench.cli_{name.replace('-', '_')}")
            module.add_arguments(sub)
            sub.set_defaults(execute=module.execute)
            chosen = sub
    return parser, chosen


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The parsed command line. Raises UsageError; ``--help`` exits."""
    command = next((word for word in argv if not word.startswith("-")), None)
    parser, chosen = make_parser(command)
    if command is not None and chosen is None:
        raise UsageError(unknown("command", command, tuple(COMMANDS)))
    args, rest = parser.parse_known_args(argv)
    if args.command is None:
        raise UsageError(f"no command: choose one of {', '.join(COMMANDS)} (see --help)")
    if rest and chosen is not None:
        word = rest[0].partition("=")[0]
        if word.startswith("-"):
            raise UsageError(unknown("option", word, chosen.options))
        raise UsageError(f"unexpected argument {rest[0]!r} (see {chosen.prog} --help)")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; its exit status."""
    out, err = Console(), Console(stderr=True)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        args = parse(sys.argv[1:] if argv is None else argv)
        status: int = args.execute(args, out, err)
        sys.stdout.flush()
    except BenchError as error:
        _say(err, f"walredo-bench: {error}")
        return EXIT_USAGE
    except KeyboardInterrupt as interrupt:
        _say(err, f"walredo-bench: {interrupt or 'interrupted'}")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nothing more to say, also not at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    return status


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt("terminated")


def _say(err: Console, text: str) -> None:
    err.print(text, style="bold red", highlight=False, markup=False, soft_wrap=True)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
