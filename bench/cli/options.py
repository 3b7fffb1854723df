"""What several commands take: dimensions and settings."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.cases.config import OPTIONS, Config, load_profile, option_name, override
from bench.cases.cost import NOTATION
from bench.cases.dimensions import CALLERS, HEARTBEATS, PAUSES, SCENARIOS
from bench.cases.names import CHILDREN, MANAGERS, WORKLOADS
from bench.cases.placement import PLACEMENTS
from bench.errors import BenchError

_HELP: Final = {
    "manager": ("LIST", f"of {', '.join(MANAGERS)}, peer:KIND, package.module:factory"),
    "workload": ("LIST", f"of {', '.join(WORKLOADS)}, file:PATH (docs/extending.md)"),
    "clients": ("LIST", "numbers of concurrent clients, as 1,8,128"),
    "child": ("LIST", f"of {', '.join(CHILDREN)}, cmd:COMMAND (docs/extending.md)"),
    "cost": ("COST", f"CPU that the child burns besides: {NOTATION}, in us, as us:9+0.5"),
    "fault": ("FAULT", "how the child misbehaves, as late:ms=5,every=100 (PROTOCOL.md), or none"),
    "wait": ("LIST", "how managers wait: park, or spin:US, which polls for US microseconds before"),
    "placement": ("LIST", f"CPUs of manager and child: {', '.join(PLACEMENTS)}"),
    "python": ("LIST", "interpreters of the workers: this, NAME, PATH or LABEL=PATH"),
    "topology": ("LIST", "shared: one manager for all clients; per-tenant: one each"),
    "executor": ("LIST", "threads of sync's clients: per-client, ncpus, or K that they share"),
    "load": ("LIST", "closed, open:RATE (redos/s), open:PERCENT%% of the closed loop's capacity"),
    "admission": (
        "LIST",
        "none, unlimited, before:K, after:K, both:D,K: who may hold data, who redo",
    ),
    "pause": ("LIST", f"between two redos of a client: {', '.join(PAUSES)}"),
    "caller": ("LIST", f"from where sync is called: {', '.join(CALLERS)}"),
    "heartbeat": ("LIST", f"lateness measured beside the redos: {', '.join(HEARTBEATS)}"),
    "background_load": ("LIST", "busy processes beside manager and child, as 0,2"),
    "scenario": ("LIST", f"what is measured: {', '.join(SCENARIOS)}"),
    "data_bytes": ("B", "that a read collects for its redo, with an admission"),
    "download_ms": ("MS", "that a read waits for some of them"),
    "download_share": ("SHARE", "of the reads that wait, from 0 to 1"),
    "budget_bytes": ("B", "that all reads may hold; a run that needs more ends; 0: no limit"),
    "rounds": ("K", "runs of each case; lifts the profile's time budget"),
    "slices": ("K", "slices of a run"),
    "seconds": ("S", "measured in a run, over all its slices"),
    "warmup_s": ("S", "before the first slice"),
    "timeout_s": ("S", "deadline of a redo"),
    "run_timeout_s": ("S", "a run that takes longer has failed"),
    "budget_s": ("S", "no round starts that would end later; inf: no limit"),
    "peer": ("PATH", "program that the managers peer:KIND are (docs/peer.md)"),
    "seed": ("K", "of the order of cases and the contents of requests"),
}


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
    for option in OPTIONS:
        metavar, text = _HELP[option]
        group.add_argument(option_name(option), dest=option, metavar=metavar, help=text)


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


ON_ONE_CPU = "same-cpu"


def minutes_in_s(minutes: str) -> float:
    try:
        seconds = float(minutes) * 60
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise BenchError(f"--minutes {minutes!r}: a number of minutes above 0, as 0.5")
    return seconds
