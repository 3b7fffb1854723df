"""What several commands take: dimensions and settings."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.cases.config import OPTIONS, Config, load_profile, option_name, override
from bench.errors import BenchError

_WIDER_THAN_ANY: Final = 10_000


def file_path(text: str) -> Path:
    """A file to be written, for argparse. Raises ArgumentTypeError for what can only be a
    folder."""
    if text.endswith("/"):
        raise argparse.ArgumentTypeError(f"{text} is a folder: name a file in it")
    return Path(text)


def place_path(text: str) -> Path:
    """A folder that is there, or how names of files begin, for argparse."""
    if text.endswith("/") and not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {text}: make it, or leave out the /")
    return Path(text)


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """``--profile`` and every dimension and setting that overrides it."""
    parser.add_argument("--profile", metavar="NAME|PATH", help="default: default")
    group = parser.add_argument_group("in place of the profile's (lists with commas)")
    for option, rule in OPTIONS.items():
        name = option_name(option)
        group.add_argument(name, dest=option, metavar=rule.metavar, help=rule.help)


def add_plain_argument(parser: argparse.ArgumentParser) -> None:
    """``--plain``, for `plain_console`."""
    parser.add_argument(
        "--plain",
        action="store_true",
        help="for pipes: no colours, no small curves, a line never wrapped",
    )


def plain_console(out: Console) -> Console:
    """The same stream, without colours and as wide as any line."""
    return Console(file=out.file, width=_WIDER_THAN_ANY, color_system=None, soft_wrap=True)


def given_options(args: argparse.Namespace) -> dict[str, object]:
    """The options that were given, as ``override`` takes them."""
    given = {option: getattr(args, option) for option in OPTIONS}
    if given["rounds"] is not None and given["budget_s"] is None:
        given["budget_s"] = "inf"
    return {option: value for option, value in given.items() if value is not None}


def config_of(args: argparse.Namespace) -> Config:
    """The profile with the options on top. Raises ConfigError."""
    return override(load_profile(args.profile or "default"), **given_options(args))


def minutes_in_s(minutes: str) -> float:
    try:
        seconds = float(minutes) * 60
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise BenchError(f"--minutes {minutes!r}: a number of minutes above 0, as 0.5")
    return seconds
