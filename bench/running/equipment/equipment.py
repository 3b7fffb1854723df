"""What the runs of a suite need, made before the first of them: programs and traffic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.cases.config import Config
from bench.cases.cost import ChildCost
from bench.cases.managers.yours import is_peer
from bench.cases.names import NO_FAULT, THIS_PYTHON, python_label
from bench.cases.own import child_label, is_own_child
from bench.errors import BenchError
from bench.running.equipment.interpreters import Interpreter
from bench.running.equipment.own import OwnManager, find_child, find_managers
from bench.running.equipment.peer import PeerProgram, prepare_peer
from bench.running.equipment.tenants import check_tenants
from bench.running.equipment.traffic import Traffic, write_traffic
from bench.running.scratch import no_room
from fake_redo_child.build import (
    Build,
    BuildError,
    CompilerMissing,
    build_child,
    build_floor,
    child_command,
    find_compiler,
    sandbox_allowed,
)

_NO_SANDBOX = (
    "the C child runs without its sandbox: this process has a seccomp filter already, as in a"
    " container; the result says so"
)


@dataclass(frozen=True, slots=True)
class Equipment:
    """The traffic of each workload, the command of each child, and the floor's program (None if no
    case needs it). ``build_facts``: what a result says of the programs. ``warnings``: what is not
    as it should be, a line each. ``interpreters``: by label. ``peer``: None if no case needs it.
    ``workload_files``, ``own_children``: what a result says of those; None if there are none.
    ``own_managers``: those of the user's, by name.
    """

    traffic: Mapping[str, Traffic]
    child_commands: Mapping[str, tuple[str, ...]]
    floor_program: Path | None
    build_facts: Mapping[str, str]
    interpreters: Mapping[str, Interpreter]
    warnings: tuple[str, ...] = ()
    peer: PeerProgram | None = None
    workload_files: str | None = None
    own_children: str | None = None
    own_managers: Mapping[str, OwnManager] = field(default_factory=dict)


def prepare(config: Config, folder: Path, interpreters: Mapping[str, Interpreter]) -> Equipment:
    """Builds the programs that the cases need and writes the traffic into the folder.

    Raises BenchError, also where the system does not grant what the cases need.
    """
    check_tenants(config)
    own_managers = find_managers(config, interpreters)
    own_children = {
        child_label(choice): find_child(choice)
        for choice in config.child.kind
        if is_own_child(choice)
    }
    builds: dict[str, Build] = {}
    sandbox = True
    try:
        if "c" in config.child.kind:
            builds["c_child"] = build_child()
            sandbox = sandbox_allowed(builds["c_child"].path)
        if "floor" in config.manager:
            builds["floor"] = build_floor()
        commands = {
            kind: child_command(
                kind,
                sandbox=sandbox,
                fault=None if config.child.fault == NO_FAULT else config.child.fault,
                program=builds["c_child"].path if kind == "c" else None,
                **ChildCost.parse(config.child.cost).child_options(),
            )
            for kind in config.child.kind
            if not is_own_child(kind)
        }
        commands |= {label: child.command for label, child in own_children.items()}
    except BuildError as error:
        # A compiler has much to say; the user gets its beginning, on one line.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise BenchError(" | ".join(lines[:4])) from error
    try:
        traffic = write_traffic(folder, config.workload, config.seed)
        has_peer = any(map(is_peer, config.manager))
        peer = prepare_peer(config, commands, folder) if has_peer else None
    except OSError as error:
        raise no_room(folder, error) from error
    floor = builds.get("floor")
    return Equipment(
        traffic=traffic,
        child_commands=commands,
        floor_program=None if floor is None else floor.path,
        build_facts=_described(builds, sandbox),
        interpreters=interpreters,
        warnings=(*(() if sandbox else (_NO_SANDBOX,)), *_warnings_of(traffic)),
        peer=peer,
        workload_files=_described_hashes(
            (name, one.sha256) for name, one in traffic.items() if one.sha256 is not None
        ),
        own_children=_described_hashes(
            (label, child.sha256) for label, child in own_children.items()
        ),
        own_managers=own_managers,
    )


def _warnings_of(traffic: Mapping[str, Traffic]) -> Iterator[str]:
    for name, one in traffic.items():
        if one.distinct < 2:
            yield (
                f"all requests of {name} are equal: a page that comes to the wrong caller is not"
                " noticed"
            )


def _described_hashes(by_name: Iterable[tuple[str, str]]) -> str | None:
    return "; ".join(f"{name}: {sha256}" for name, sha256 in by_name) or None


def usable_managers(
    config: Config, interpreters: Mapping[str, Interpreter], *, asked_for: bool
) -> tuple[tuple[str, ...], list[str]]:
    """The configuration's managers that can run here, and why others are left out, a line each.

    Managers that the command line asked for are not left out: BenchError. Neither is the floor
    where the children need the compiler, too: that error comes with the building.
    """
    problems = {}
    if "async-uvloop" in config.manager:
        without = [
            label
            for label in map(python_label, config.python)
            if interpreters[label].uvloop_folder is None
        ]
        if without == [THIS_PYTHON]:
            problems["async-uvloop"] = (
                "uvloop is not installed: `make` installs it, or leave out async-uvloop"
            )
        elif without:
            problems["async-uvloop"] = (
                f"the interpreter {' and '.join(without)} has no uvloop: install it there, or leave"
                " out async-uvloop or that interpreter"
            )
    if "floor" in config.manager and any(map(is_own_child, config.child.kind)):
        problems["floor"] = (
            "it checks every byte of a page, and those of a child of your own are not known: leave"
            " out floor, or that child"
        )
    elif "floor" in config.manager and "c" not in config.child.kind:
        try:
            find_compiler()
        except CompilerMissing as error:
            problems["floor"] = (
                f"no C compiler (looked for {', '.join(error.looked_for)}): install one, or leave"
                " out floor"
            )
    usable = tuple(name for name in config.manager if name not in problems)
    if problems and (asked_for or not usable):
        raise BenchError("; ".join(f"{name}: {problem}" for name, problem in problems.items()))
    return usable, [f"{name} is left out: {problem}" for name, problem in problems.items()]


def _described(builds: Mapping[str, Build], sandbox: bool) -> dict[str, str]:
    if not builds:
        return {}
    compiler = next(iter(builds.values())).compiler.version
    described = {"compiler": compiler.partition("\n")[0]}
    if "c_child" in builds:
        described["c_child_sandbox"] = "on" if sandbox else "off"
    for name, build in builds.items():
        described[f"{name}_flags"] = " ".join(build.flags)
        described[f"{name}_key"] = build.key
    return described
