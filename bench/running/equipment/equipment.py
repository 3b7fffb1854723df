"""Makes what the runs of a suite need, before the first of them: programs and traffic."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.cases.case import ChildVariant
from bench.cases.config import Config
from bench.cases.cost import ChildCost
from bench.cases.managers.yours import is_peer
from bench.cases.matrix import cases_of
from bench.cases.names import MYPYC, NO_FAULT, SHM, THIS_PYTHON
from bench.cases.own import child_label, is_own_child
from bench.errors import BenchError
from bench.results.environment import Environment
from bench.running.equipment.compiled_core import CompiledCore, find_core
from bench.running.equipment.interpreters import Interpreter
from bench.running.equipment.own import (
    OwnChild,
    OwnManager,
    check_shared_memory,
    find_child,
    find_managers,
)
from bench.running.equipment.tenants import check_tenants
from bench.running.equipment.workloads import Traffic, write_traffic
from bench.running.peer import PeerProgram, prepare_peer
from bench.running.processes import no_room
from fake_redo_child import build
from fake_redo_child.build import Build, BuildError, CompilerMissing


@dataclass(frozen=True, slots=True)
class Equipment:
    """What runs need, by the name or label of workloads, children, interpreters and managers.

    ``floor_program``, ``peer`` and ``core`` are None if no case needs them. ``build_facts``
    describe how the C programs were built. ``warnings`` are lines for the user.
    """

    traffic: Mapping[str, Traffic]
    child_commands: Mapping[ChildVariant, tuple[str, ...]]
    floor_program: Path | None
    build_facts: Mapping[str, str]
    interpreters: Mapping[str, Interpreter]
    warnings: tuple[str, ...] = ()
    peer: PeerProgram | None = None
    own_children: Mapping[str, OwnChild] = field(default_factory=dict)
    own_managers: Mapping[str, OwnManager] = field(default_factory=dict)
    core: CompiledCore | None = None

    def described_in(self, environment: Environment) -> Environment:
        """The environment of a result, with what the result says about this equipment."""
        return replace(
            environment,
            child_build=self.build_facts,
            peer_sha256=None if self.peer is None else self.peer.sha256,
            pythons=_listed(
                (label, found.description)
                for label, found in self.interpreters.items()
                if label != THIS_PYTHON
            ),
            compiled_core=None if self.core is None else self.core.description,
            workload_files=hashes(self.traffic),
            own_managers=hashes(self.own_managers),
            own_children=hashes(self.own_children),
        )


def hashes(found: Mapping[str, OwnManager | OwnChild | Traffic]) -> str | None:
    """The hashes by name, as a result file has them; None if there are none."""
    return _listed((name, each.sha256) for name, each in found.items() if each.sha256 is not None)


def _listed(found: Iterable[tuple[str, str]]) -> str | None:
    return "; ".join(f"{name}: {text}" for name, text in found) or None


def prepare(config: Config, folder: Path, interpreters: Mapping[str, Interpreter]) -> Equipment:
    """Builds the programs that the cases need and writes the traffic into the folder.

    Raises BenchError, also if a limit of the system is too low for the cases.
    """
    check_tenants(config)
    pythons = {case.python for case in cases_of(config) if case.build == MYPYC}
    core = find_core(pythons) if pythons else None
    own_managers = find_managers(config, interpreters)
    children = config.values("child")
    own_children = {child_label(own): find_child(own) for own in filter(is_own_child, children)}
    shared = {case.child for case in cases_of(config) if case.transport == SHM}
    for choice in filter(is_own_child, children):
        if child_label(choice) in shared:
            check_shared_memory(choice, own_children[child_label(choice)])
    builds: dict[str, Build] = {}
    sandbox = True
    try:
        if "c" in children:
            builds["c_child"] = build.build_child()
            sandbox = build.sandbox_allowed(builds["c_child"].path)
        if "floor" in config.values("manager"):
            builds["floor"] = build.build_floor()
        commands = {
            variant: build.child_command(
                program=builds["c_child"].path if variant.kind == "c" else None, **options
            )
            for variant, options in child_options(config, sandbox=sandbox).items()
        }
        commands |= {ChildVariant(label): own.command for label, own in own_children.items()}
    except BuildError as error:
        # A compiler prints a lot; the user gets the beginning, on one line.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise BenchError(" | ".join(lines[:4])) from error
    try:
        traffic = write_traffic(folder, config.values("workload"), config.seed)
        has_peer = any(map(is_peer, config.values("manager")))
        peer = prepare_peer(config, commands, folder) if has_peer else None
    except OSError as error:
        raise no_room(folder, error) from error
    warnings = [
        f"all requests of {name} are equal: a page that comes to the wrong caller is not noticed"
        for name, files in traffic.items()
        if files.distinct < 2
    ]
    if not sandbox:
        warnings.insert(
            0,
            "the C child runs without its sandbox: this process has a seccomp filter already, as in"
            " a container; the result says so",
        )
    return Equipment(
        traffic=traffic,
        child_commands=commands,
        floor_program=builds["floor"].path if "floor" in builds else None,
        build_facts=_build_facts(builds, sandbox),
        interpreters=interpreters,
        warnings=tuple(warnings),
        peer=peer,
        own_children=own_children,
        own_managers=own_managers,
        core=core,
    )


def child_options(config: Config, *, sandbox: bool) -> dict[ChildVariant, dict[str, Any]]:
    """The fake children that the configuration asks for, as arguments of `child_command`."""
    return {
        ChildVariant(kind, child.cost, child.fault): {
            "kind": kind,
            **ChildCost.parse(child.cost).child_options(),
            "fault": None if child.fault == NO_FAULT else child.fault,
            "sandbox": sandbox,
        }
        for child in (matrix.child for matrix in config.matrices())
        for kind in itertools.filterfalse(is_own_child, child.kind)
    }


def usable_managers(
    config: Config, interpreters: Mapping[str, Interpreter], *, asked_for: bool
) -> tuple[tuple[str, ...], list[str]]:
    """The configuration's managers that can run here, and for each other one why it is left out.

    A manager that the command line asked for is not left out: that raises BenchError. Neither is
    the floor if the C child needs the compiler as well: then building reports the error.
    """
    problems = {}
    managers, children = config.values("manager"), config.values("child")
    if "async-uvloop" in managers:
        labels = config.labels("python")
        without = [label for label in labels if interpreters[label].uvloop_folder is None]
        if without == [THIS_PYTHON]:
            problems["async-uvloop"] = (
                "uvloop is not installed: `make` installs it, or leave out async-uvloop"
            )
        elif without:
            problems["async-uvloop"] = (
                f"the interpreter {' and '.join(without)} has no uvloop: install it there, or leave"
                " out async-uvloop or that interpreter"
            )
    if "floor" in managers and any(map(is_own_child, children)):
        problems["floor"] = (
            "it checks every byte of a page, and those of a child of your own are not known: leave"
            " out floor, or that child"
        )
    elif "floor" in managers and "c" not in children:
        try:
            build.find_compiler()
        except CompilerMissing as error:
            problems["floor"] = (
                f"no C compiler (looked for {', '.join(error.looked_for)}): install one, or leave"
                " out floor"
            )
    usable = tuple(name for name in managers if name not in problems)
    if problems and (asked_for or not set(usable) & set(config.manager)):
        raise BenchError("; ".join(f"{name}: {problem}" for name, problem in problems.items()))
    return usable, [f"{name} is left out: {problem}" for name, problem in problems.items()]


def _build_facts(builds: Mapping[str, Build], sandbox: bool) -> dict[str, str]:
    if not builds:
        return {}
    compiler = next(iter(builds.values())).compiler.version
    facts = {"compiler": compiler.partition("\n")[0]}
    if "c_child" in builds:
        facts["c_child_sandbox"] = "on" if sandbox else "off"
    for name, made in builds.items():
        facts[f"{name}_flags"] = " ".join(made.flags)
        facts[f"{name}_key"] = made.key
    return facts
