"""The command line: parses it, runs the command, and handles errors and interruptions.

The only place that decides exit statuses. Each command is a module of this room, with
``add_arguments``, ``execute``, and the ``EXAMPLES`` that end its help.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.metadata
import logging
import os
import sys
import textwrap
import tomllib
from collections.abc import Iterable, Sequence
from typing import Any, Final, NoReturn, TextIO

from rich.console import Console

from bench import interrupts
from bench.cases.names import unknown
from bench.cli.console import OutputConsole, PlainConsole, accept_any_text
from bench.cli.options import check_output, say
from bench.errors import BenchError, reason_of
from bench.places import ROOT

COMMANDS: Final = {
    "run": "measure the cases of a profile and save a result file",
    "list": "the cases of a profile, the profiles, or the saved names",
    "show": "a result file as tables",
    "compare": "what changed from one result to another, and how sure that is",
    "ab": "measure two commits in turn and compare them",
    "selftest": "how often `ab` is right, where the truth is known",
    "check": "what on this machine disturbs a measurement",
    "report": "results as one HTML page that needs nothing else",
    "plot": "a result file as latency and throughput curves",
    "history": "one measure of chosen cases over all results, commit by commit",
    "workload": "check a file of requests, or write one: a built-in workload, or real WAL",
    "dump-request": "one whole request of a workload, raw, on stdout",
}

EXIT_STATUS: Final = (
    "Exit status: 0 success, 1 a failed run or check, 2 bad usage or input, 130 interrupted, 141"
    " nobody reads the output."
)
EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED, EXIT_PIPE = 1, 2, 130, 141
_ERROR_STYLE: Final = "bold red"
_HELP_COLUMN: Final = 27
"""Where the texts of options begin."""


class _Formatter(argparse.HelpFormatter):
    """Usage without a list of all options, and indented lines of text (examples) as they are."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=_HELP_COLUMN)

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[Any],  # noqa: ARG002 - argparse's own signature
        prefix: str | None = None,
    ) -> None:
        of_command = list(actions)
        shown = [action for action in of_command if not action.option_strings]
        if len(shown) < len(of_command):
            shown.append(argparse.Action(["OPTION ..."], "", nargs=0))
        super().add_usage(usage, shown, [], prefix)

    def _split_lines(self, text: str, width: int) -> list[str]:
        # Names of managers are not broken at their hyphens.
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fill = super()._fill_text
        lines = (
            line if line.startswith(" ") else fill(line, width, indent)
            for line in text.splitlines()
        )
        return "\n".join(lines)


class Parser(argparse.ArgumentParser):
    """Reports errors in one line. It accepts no abbreviated options, whose meaning would change
    when an option is added."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=_Formatter, **kwargs)

    def error(self, message: str) -> NoReturn:
        raise BenchError(f"{message} (see {self.prog} --help)")


def make_parser(command: str | None) -> tuple[Parser, Parser | None]:
    """The parser, and that of the command, which alone is imported: some load slow libraries."""
    parser = Parser(
        prog="walredo-bench",
        description="Measures synchronous and asynchronous waiting for a worker process.",
        epilog=EXIT_STATUS,
    )
    parser.add_argument("--version", action="version", version=f"walredo-bench {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    chosen: Parser | None = None
    for name, summary in COMMANDS.items():
        description = f"{summary[0].upper()}{summary[1:]}."
        sub = commands.add_parser(name, help=summary, description=description, epilog=EXIT_STATUS)
        if name == command:
            module = importlib.import_module(f"bench.cli.{name.replace('-', '_')}")
            module.add_arguments(sub)
            sub.epilog = "\n".join(
                ("Examples:", *(f"  {line}" for line in module.EXAMPLES), "", EXIT_STATUS)
            )
            sub.set_defaults(execute=module.execute)
            chosen = sub
    return parser, chosen


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The parsed command line. Raises BenchError; ``--help`` exits."""
    command = next((word for word in argv if not word.startswith("-")), None)
    parser, chosen = make_parser(command)
    if command is not None and chosen is None:
        raise BenchError(unknown("command", command, tuple(COMMANDS)))
    args, rest = parser.parse_known_args(argv)
    if args.command is None:
        raise BenchError(f"no command: choose one of {', '.join(COMMANDS)} (see --help)")
    if rest and chosen is not None:
        word = rest[0].partition("=")[0]
        if word.startswith("-"):
            known = [name for name in chosen._option_string_actions if name.startswith("--")]
            raise BenchError(unknown("option", word, known))
        raise BenchError(f"unexpected argument {rest[0]!r} (see {chosen.prog} --help)")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. Returns its exit status."""
    _settle_streams()
    accept_any_text()
    _settle_libraries()
    out: Console = _Console()
    err = _Console(stderr=True)
    if not out.is_terminal:
        out = PlainConsole(sys.stdout)
    interrupts.install()
    try:
        args = parse(sys.argv[1:] if argv is None else argv)
        check_output(args)
        status: int = args.execute(args, out, err)
        sys.stdout.flush()
    except BenchError as error:
        _complain(err, str(error))
        return EXIT_USAGE
    except KeyboardInterrupt as interrupt:
        _complain(err, str(interrupt) or "interrupted")
        return EXIT_INTERRUPTED
    except OSError as error:
        # The reader of our output has gone (`| head`), or its disk is full.
        _drop(sys.stdout)
        if isinstance(error, BrokenPipeError):
            return EXIT_PIPE
        # Outputs block: what would is a process too many.
        no_file = "no process can be started" if isinstance(error, BlockingIOError) else "output"
        _complain(err, f"{error.filename or no_file}: {reason_of(error)}")
        return EXIT_FAILED
    return status


class _Console(OutputConsole):
    """A console that exits with `EXIT_PIPE` when its reader goes. Rich itself would exit with 1,
    which here means a failed run or check."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        _drop(sys.stdout)
        raise SystemExit(EXIT_PIPE)


def _drop(stream: TextIO) -> None:
    """What the stream has and gets is discarded: it must not fail again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _complain(err: Console, what: str) -> None:
    """Says it in one line, unless there is nobody to read it: the terminal may be gone."""
    line = what.replace("\n", r"\n").replace("\r", r"\r")  # a name may have them
    try:
        say(err, f"walredo-bench: {line}", _ERROR_STYLE)
        sys.stderr.flush()
    except OSError:
        _drop(sys.stderr)


def _settle_streams() -> None:
    """Replaces streams that were closed at the start (`>&-`) by ones that discard everything.

    Outputs block: without buffers (PYTHONUNBUFFERED) Python drops what a pipe has no room for.
    """
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            os.set_blocking(descriptor, True)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123 - till the end


def _settle_libraries() -> None:
    """Decides what libraries that some commands load do on their own.

    matplotlib reads no settings of the user's: it fails for some and warns about others, and
    figures do not depend on them. Nor does it warn where the user has no folder for its settings,
    or take one below the current folder for its cache: relative paths do not count for XDG.

    OpenBLAS, which numpy and scipy load, starts no threads: nothing here needs them, and where the
    limit of processes allows none it would interrupt the command (SIGINT).
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ["MATPLOTLIBRC"] = os.devnull
    os.environ.pop("MPLBACKEND", None)
    if not os.environ.get("XDG_CACHE_HOME", "").startswith("/"):
        os.environ.pop("XDG_CACHE_HOME", None)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    if os.path.exists("matplotlibrc"):  # noqa: PTH110 - as matplotlib asks
        # matplotlib prefers it to the variable, once, when it is loaded.
        with contextlib.chdir(ROOT / "bench"):
            importlib.import_module("matplotlib")


def _version() -> str:
    """The version of the project. A checkout that is not installed has it in pyproject.toml."""
    try:
        return importlib.metadata.version("walredo-bench")
    except importlib.metadata.PackageNotFoundError:
        text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        return str(tomllib.loads(text)["project"]["version"])
