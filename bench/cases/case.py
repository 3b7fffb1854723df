"""What a case is and what it is called.

A case is one point of the matrix. Its fields are the one table of dimensions: each field says all
that there is to say of its dimension. A dimension with a default shows in a name only where it
differs from that default, so every older name stays valid when one is added. To add a dimension,
add its field here, write the code that acts on it, and explain it in bench/profiles/default.toml.
Nothing here measures. Standard library only, because the worker imports it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

from bench.cases import names, notations
from bench.cases.cost import NOTATION, cost_name
from bench.cases.dimension import METADATA, Dimension, OptionGroup
from bench.cases.managers.floor import FLOOR
from bench.cases.managers.kind import Kind
from bench.cases.managers.registry import NAMES, kind_of, manager_label
from bench.cases.managers.sync import SYNC
from bench.cases.own import child_label, is_own_child, workload_label
from bench.cases.placement import PLACEMENTS
from bench.errors import CaseError

# No "/" or blank: they separate the parts of a name. (A fault has "=" in it: the first one counts.)
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+:=,%-]*")
ONE_LINE = r"[^\0\r\n]*"
ONE_LINE_WITHOUT_COMMA = r"[^\0\r\n,]*"
_NAME = re.compile(
    r"(?P<manager>[^/]+)/(?P<workload>[^/]+)/n=(?P<clients>[0-9]+)(?P<extra>(/[^/]+)*)"
)


class ChildVariant(NamedTuple):
    """What decides the command of a redo child."""

    kind: str = "c"
    cost: str = "none"
    fault: str = "none"


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """One point of the matrix; also the identity of a pyperf benchmark in a result file.

    Raises CaseError when a value could not be read back out of the name.
    """

    manager: str = Dimension(
        meaning="what the clients call",
        group=OptionGroup.COMMON,
        help=f"of {', '.join(NAMES)}",
        notation=f"any of {', '.join(NAMES[:-1])}, or {NAMES[-1]}",
        label=manager_label,
        label_notation="LABEL=package.module:factory",
        label_hides_path=False,
        nesting=95,
    ).field()
    workload: str = Dimension(
        meaning="the requests that are sent",
        group=OptionGroup.COMMON,
        help=f"of {', '.join(names.WORKLOADS)}, file:PATH",
        notation=f"any of {', '.join(names.WORKLOADS)}, or file:PATH without a comma",
        label=workload_label,
        label_notation="file:LABEL=PATH",
        pattern=ONE_LINE_WITHOUT_COMMA,
        nesting=10,
    ).field()
    clients: int = Dimension(
        meaning="N, the number of concurrent clients",
        group=OptionGroup.COMMON,
        help="N, the numbers of concurrent clients, as 1,8,128",
        bounds=(1, names.MAX_CLIENTS),
        nesting=99,
    ).field()
    child: str = Dimension(
        meaning="which redo child answers",
        group=OptionGroup.COMMON,
        help=f"of {', '.join(names.CHILDREN)}, cmd:COMMAND",
        notation=f"any of {', '.join(names.CHILDREN)}, or cmd:COMMAND",
        label=child_label,
        label_notation="cmd:LABEL=COMMAND",
        pattern=ONE_LINE,
        # A command may have commas of its own.
        separator=rf",(?=\s*(?:cmd:|(?:{'|'.join(names.CHILDREN)})\s*(?:,|$)))",
        profile_field="child.kind",
        nesting=0,
    ).field("c")
    cost: str = Dimension(
        meaning="CPU that the child burns besides",
        help=f"CPU of the child: {NOTATION}",
        notation=NOTATION,
        normal=cost_name,
        is_list=False,
        metavar="COST",
        profile_field="child.cost",
    ).field("none")
    fault: str = Dimension(
        meaning="how the child misbehaves",
        group=OptionGroup.EXPERIMENT,
        help="how the child misbehaves, as late:ms=5,every=100 (PROTOCOL.md), or none",
        notation="none, or a fault as NAME:KEY=VALUE",
        check=notations.check_fault,
        is_list=False,
        metavar="FAULT",
        profile_field="child.fault",
    ).field("none")
    transport: str = Dimension(
        meaning="what carries requests and pages: pipes, or shared memory",
        group=OptionGroup.EXPERIMENT,
        help="what carries requests and pages: pipe, or shm (shared memory)",
        names=names.TRANSPORTS,
        nesting=88,
        protocol=3,
        means_something=lambda case: case.kind is FLOOR or case.runs_walredo,
    ).field(names.PIPE)
    wait: str = Dimension(
        meaning="how the manager waits for a page",
        help="how managers wait: park, or spin:US (poll before)",
        notation=f"park, or spin:US with 1 to {names.MAX_SPIN_US} us",
        check=names.spin_us,
        nesting=90,
        means_something=lambda case: (
            # Over pipes the floor never spins: then it is what the traffic costs at the least.
            case.transport == names.SHM if case.kind is FLOOR else case.runs_walredo
        ),
    ).field("park")
    placement: str = Dimension(
        meaning="which CPUs both processes run on",
        help=f"CPUs of manager and child: {', '.join(PLACEMENTS)}",
        names=PLACEMENTS,
        nesting=20,
    ).field("any")
    python: str = Dimension(
        meaning="label of the worker's interpreter",
        help="of the workers: this, NAME, PATH or LABEL=PATH",
        notation="this, or an interpreter as NAME, PATH or LABEL=PATH",
        label=names.python_label,
        label_notation="LABEL=PATH",
        pattern=ONE_LINE_WITHOUT_COMMA,
        noun="interpreter",
        nesting=40,
        means_something=lambda case: case.kind.is_python,
    ).field("this")
    build: str = Dimension(
        meaning="walredo as Python, or with its hot modules compiled",
        group=OptionGroup.EXPERIMENT,
        help=f"of walredo: {', '.join(names.BUILDS)} (make compiled-core)",
        names=names.BUILDS,
        nesting=42,
        protocol=3,
        means_something=lambda case: case.runs_walredo,
    ).field(names.PURE)
    topology: str = Dimension(
        meaning="one manager for all clients, or one each",
        group=OptionGroup.EXPERIMENT,
        help="shared: one manager for all clients; per-tenant: one each",
        names=notations.TOPOLOGIES,
        nesting=45,
        changes_calls=True,
        protocol=2,
        means_something=lambda case: case.kind.has_tenants,
    ).field("shared")
    executor: str = Dimension(
        meaning="threads that the clients of sync have or share",
        group=OptionGroup.EXPERIMENT,
        help="threads of sync's clients: per-client, ncpus, or K that they share",
        notation=(
            f"per-client, ncpus, or a number of threads from 1 to {notations.MAX_THREADS}, as text"
        ),
        check=notations.executor_threads,
        nesting=75,
        changes_calls=True,
        protocol=2,
        means_something=lambda case: case.kind is SYNC,
    ).field("per-client")
    load: str = Dimension(
        meaning="what starts a redo: the last one's end, or a clock",
        help="closed, open:RATE (redos/s) or open:PERCENT%%",
        notation="closed, open:RATE or open:PERCENT%",
        check=notations.Load.parse,
        nesting=60,
        changes_calls=True,
        protocol=2,
        means_something=lambda case: case.kind.is_python,
    ).field("closed")
    admission: str = Dimension(
        meaning="how many clients may hold data, and how many redo",
        group=OptionGroup.EXPERIMENT,
        help="none, unlimited, before:K, after:K, both:D,K: who may hold data, who redo",
        notation="none, unlimited, before:K, after:K or both:D,K",
        check=notations.Admission.parse,
        separator=r",(?=\s*[a-z])",  # not the comma of both:D,K
        nesting=55,
        changes_calls=True,
        protocol=2,
        means_something=lambda case: case.kind.is_python and case.kind.has_child,
    ).field("none")
    pause: str = Dimension(
        meaning="what a client does between two redos",
        group=OptionGroup.EXPERIMENT,
        help=f"between two redos of a client: {', '.join(notations.PAUSES)}",
        names=notations.PAUSES,
        nesting=85,
        protocol=2,
        means_something=lambda case: case.kind.is_python and case.redoes,
    ).field("yield")
    caller: str = Dimension(
        meaning="from where the clients call a sync manager",
        group=OptionGroup.EXPERIMENT,
        help=f"from where sync is called: {', '.join(notations.CALLERS)}",
        names=notations.CALLERS,
        nesting=70,
        changes_calls=True,
        protocol=2,
        means_something=lambda case: case.kind is SYNC,
    ).field("own")
    heartbeat: str = Dimension(
        meaning="whose lateness is measured beside the redos",
        group=OptionGroup.EXPERIMENT,
        help=f"lateness measured beside the redos: {', '.join(notations.HEARTBEATS)}",
        names=notations.HEARTBEATS,
        nesting=65,
        protocol=2,
        means_something=lambda case: (
            case.kind.is_python
            and case.redoes
            and (case.heartbeat != notations.HEARTBEAT_ON_LOOP or case.has_loop)
        ),
    ).field("none")
    background_load: int = Dimension(
        meaning="busy processes beside manager and child",
        help="busy processes beside manager and child, as 0,2",
        bounds=(0, notations.MAX_BACKGROUND),
        nesting=30,
        protocol=2,
        means_something=lambda case: case.kind.has_worker,  # which starts them
    ).field(0)
    scenario: str = Dimension(
        meaning="what one sample is",
        group=OptionGroup.EXPERIMENT,
        help=f"what is measured: {', '.join(notations.SCENARIOS)}",
        names=notations.SCENARIOS,
        nesting=50,
        changes_calls=True,
        protocol=2,
        means_something=lambda case: case.kind.is_walredo,
    ).field("redo")

    def __post_init__(self) -> None:
        for name in DIMENSIONS:
            value = getattr(self, name)
            if not (isinstance(value, int) or _WORD.fullmatch(value)):
                raise CaseError(
                    f"{name} {value!r} of a case: use letters, digits and _ . + : = , % - only"
                )
        if self.clients < 1:
            raise CaseError(f"clients {self.clients} of a case: use 1 or more")
        if self.background_load < 0:
            raise CaseError(f"background_load {self.background_load} of a case: use 0 or more")

    @property
    def kind(self) -> Kind:
        """The kind of its manager. Raises ValueError for a manager that this version does not
        know, as a case of a file may have one."""
        return kind_of(self.manager)

    @property
    def runs_walredo(self) -> bool:
        """Whether a manager of walredo does the redos."""
        return self.kind.is_walredo and self.scenario not in notations.WITHOUT_MANAGER

    @property
    def child_variant(self) -> ChildVariant:
        return ChildVariant(self.child, self.cost, self.fault)

    @property
    def redoes(self) -> bool:
        """Whether its clients have one redo after another."""
        return self.scenario == notations.REDO or not self.kind.is_walredo

    @property
    def has_loop(self) -> bool:
        """Whether its clients are tasks on an event loop."""
        return self.kind.is_async is True or (self.kind is SYNC and self.caller != notations.OWN)

    @property
    def name(self) -> str:
        """As ``async/short/n=128``, with ``/child=python`` and the like where not the default."""
        extra = "".join(f"/{key}={value}" for key, value in self.extra.items())
        return f"{self.manager}/{self.workload}/n={self.clients}{extra}"

    @property
    def extra(self) -> Mapping[str, str | int]:
        """The further dimensions that differ from their default, in the order of the fields."""
        values = {key: getattr(self, key) for key in DEFAULTS}
        return {key: value for key, value in values.items() if value != DEFAULTS[key]}

    @classmethod
    def parse(cls, name: str) -> Case:
        """The case of a name as ``name`` gives it. Raises CaseError."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise CaseError(
                f"case name {name!r}: expected MANAGER/WORKLOAD/n=N, as in async/short/n=128"
            )
        extra: dict[str, str | int] = {}
        for part in match["extra"].split("/")[1:]:
            key, equals, value = part.partition("=")
            if key not in DEFAULTS or not equals or key in extra:
                known = ", ".join(DEFAULTS)
                raise CaseError(f"case name {name!r}: {part!r} is not one of {known}, given once")
            try:
                extra[key] = type(DEFAULTS[key])(value)
            except ValueError:
                problem = f"{value!r} is not a whole number"
                raise CaseError(f"case name {name!r}: {problem}") from None
        required = (match["manager"], match["workload"], int(match["clients"]))
        return cls(*required, **extra)  # type: ignore[arg-type]


def is_closed_loop(case: Case) -> bool:
    """Whether N clients redo all the time: then N = throughput x time per redo, and a slice is as
    long as it is asked to be, or stretched so that each client finishes enough redos in it."""
    return (case.load, case.scenario) == (DEFAULTS["load"], DEFAULTS["scenario"])


DEFAULTS: Mapping[str, str | int] = {
    item.name: default
    for item in fields(Case)
    if isinstance(default := item.default, str | int)  # and not dataclasses.MISSING
}
"""Every further dimension and the value that a name leaves out."""


def shared_extra(cases: Sequence[Case]) -> dict[str, str | int]:
    """The further dimensions that have the same value in all of these cases."""
    first, *others = (case.extra for case in cases) if cases else ({},)
    return {k: v for k, v in first.items() if all(extra.get(k) == v for extra in others)}


def without(case: Case, dimensions: Iterable[str]) -> Case:
    """The case with these dimensions as a name leaves them out."""
    return replace(case, **{name: DEFAULTS[name] for name in dimensions})  # type: ignore[arg-type]


DIMENSIONS: Mapping[str, Dimension] = {item.name: item.metadata[METADATA] for item in fields(Case)}
"""Every dimension by its name, in the order of the fields."""


def has_unknown_pages(case: Case) -> bool:
    """Whether a child of the user's makes the pages. That of a ping is known: zeros."""
    return is_own_child(case.child) and case.workload != "ping" and case.kind.has_child
