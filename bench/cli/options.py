"""What several commands share: their options, and how they print."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from rich.console import Console

from bench.cases.config import OPTIONS, Config, OptionGroup, load_profile, option_name, override
from bench.cases.names import unknown
from bench.cli.console import plain
from bench.errors import BenchError
from bench.results.key import SUFFIXES


def say(console: Console, text: object, style: str | None = None) -> None:
    """Prints a line of text as it is, without markup and never wrapped: scripts may read it."""
    console.print(str(text), style=style, highlight=False, markup=False, soft_wrap=True)


def add_flag(parser: argparse._ActionsContainer, name: str, help_text: str) -> None:
    parser.add_argument(name, action="store_true", help=help_text)


def add_seed(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--seed", type=int, default=1, metavar="K", help="default: %(default)s")


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


_WHOLE_NAMES: Final = (*SUFFIXES, *(f".{extension}" for extension in ("svg", "png", "html")))
"""How names of files end that are whole, and begin no other."""


def check_output(args: argparse.Namespace) -> None:
    """Raises BenchError if the folder of ``--output`` is not there: no command makes it."""
    output: Path | None = getattr(args, "output", None)
    if output is not None and not output.parent.is_dir():
        raise BenchError(f"--output {output}: there is no folder {output.parent}: make it first")


def _file_path(text: str, suffixes: Sequence[str]) -> Path:
    """A file to be written. Raises ArgumentTypeError for other names."""
    if text.endswith("/") or Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a folder: name a file in it")
    if not text.endswith(tuple(suffixes)):
        raise argparse.ArgumentTypeError(f"{text}: its name must end in {' or '.join(suffixes)}")
    return Path(text)


def _place_path(text: str) -> Path:
    """An existing folder, or how names of files begin. Raises ArgumentTypeError."""
    if Path(text).is_dir():
        return Path(text)
    if text.endswith("/"):
        raise argparse.ArgumentTypeError(f"there is no folder {text}: make it, or leave out the /")
    if suffix := next((one for one in _WHOLE_NAMES if text.endswith(one)), None):
        raise argparse.ArgumentTypeError(f"{text} is how names begin: leave out {suffix}")
    return Path(text)


def add_output_path(
    parser: argparse._ActionsContainer, metavar: str, help_text: str, *suffixes: str
) -> None:
    """``--output``: a file whose name ends in one of the suffixes. Without any: a folder, or how
    names of files begin."""
    kind = partial(_file_path, suffixes=suffixes) if suffixes else _place_path
    parser.add_argument("-o", "--output", metavar=metavar, type=kind, help=help_text)


class _HelpAll(argparse.Action):
    """``--help-all``: help with the longer texts of options."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)
        self.longer: dict[argparse.Action, str] = {}

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        for action, text in self.longer.items():
            action.help = text
        parser.print_help()
        parser.exit()


def longer_help(parser: argparse.ArgumentParser) -> dict[argparse.Action, str]:
    """What ``--help-all`` says of options, where ``--help`` says less, to be added to."""
    for action in parser._actions:
        if isinstance(action, _HelpAll):
            return action.longer
    text = "all options, and all that they can be"
    added = parser.add_argument("--help-all", action=_HelpAll, help=text)
    assert isinstance(added, _HelpAll)
    return added.longer


class _Moved(argparse.Action):
    """An option that is called otherwise now: it is refused, and the other named."""

    def __call__(self, *_: object) -> NoReturn:
        raise argparse.ArgumentError(None, f"{self.option_strings[0]}: say {self.const}")


def add_moved(parser: argparse.ArgumentParser, name: str, instead: str) -> None:
    """An option that there was once, and what to say now."""
    parser.add_argument(name, action=_Moved, nargs=0, const=instead, help=argparse.SUPPRESS)


DEFAULT_PROFILE: Final = "default"
USUAL: Final = (OptionGroup.COMMON, OptionGroup.VARIES)


def add_config_options(
    parser: argparse.ArgumentParser,
    profile: str = DEFAULT_PROFILE,
    usual: Collection[OptionGroup] = USUAL,
    refused: Collection[str] = (),
) -> None:
    """``--profile``, and every dimension and setting that overrides it, in their groups.

    ``profile``: the one that is measured unless another is asked for. ``usual``: the groups that
    ``--help`` lists; ``--help-all`` lists all. ``refused``: options that the command knows only in
    order to refuse them.
    """
    longer = longer_help(parser)
    groups = {group: parser.add_argument_group(group.value) for group in OptionGroup}
    choice = groups[OptionGroup.COMMON].add_argument(
        "--profile",
        metavar="NAME|PATH",
        help=f"a built-in profile or a file (default: {profile})",
    )
    longer[choice] = (
        f"{choice.help}; `list --profiles` has the built-in ones. Each option replaces what the"
        " profile says, and drops its tables [[also]] that say something of the same"
    )
    for option, rule in OPTIONS.items():
        text = rule.help if rule.group in usual and option not in refused else argparse.SUPPRESS
        action = groups[rule.group].add_argument(
            option_name(option), dest=option, metavar=rule.metavar, help=text
        )
        if option not in refused:
            longer[action] = rule.help


def add_plain(parser: argparse._ActionsContainer) -> None:
    """``--plain``, for `console_for`."""
    add_flag(parser, "--plain", "no colours, no curves, nothing wrapped")


def add_legend(parser: argparse._ActionsContainer) -> None:
    add_flag(parser, "--legend", "explain every column below the tables")


def console_for(args: argparse.Namespace, out: Console) -> Console:
    """``out``; with ``--plain`` the same stream, without colours and as wide as any line."""
    return plain(out) if args.plain else out


def check_known(option: str, kind: str, names: Iterable[str], known: Collection[str]) -> None:
    """Raises BenchError if the option was given a name that is not among the known ones."""
    for name in names:
        if name not in known:
            raise BenchError(f"{option}: {unknown(kind, name, tuple(known))}")


def given_options(args: argparse.Namespace) -> dict[str, object]:
    """The options that were given, as ``override`` takes them."""
    given = {option: getattr(args, option) for option in OPTIONS}
    if given["rounds"] is not None and given["budget_s"] is None:
        given["budget_s"] = "inf"
    return {option: value for option, value in given.items() if value is not None}


def config_of(args: argparse.Namespace, default: str = DEFAULT_PROFILE) -> Config:
    """The profile with the options on top. Raises ConfigError."""
    return override(load_profile(args.profile or default), **given_options(args))


def minutes_in_s(minutes: str) -> float:
    try:
        seconds = float(minutes) * 60
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise BenchError(f"--minutes {minutes!r}: a number of minutes above 0, as 0.5")
    return seconds
