"""What a case is and what it is called.

A case is one point of the matrix. Its fields are the table of dimensions: a field with a default is
a dimension that shows in a name only where it differs from that default, so adding a dimension is
adding one field with its default and meaning, and every older name stays valid. Nothing here
measures, and nothing here needs more than the standard library.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from bench.errors import CaseError

# No "/" or blank: they separate the parts of a name. (A fault has "=" in it: the first one counts.)
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+:=,%-]*")
_NAME = re.compile(
    r"(?P<manager>[^/]+)/(?P<workload>[^/]+)/n=(?P<clients>[0-9]+)(?P<extra>(/[^/]+)*)"
)


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """One point of the matrix; also the identity of a pyperf benchmark in a result file.

    Raises CaseError when a value could not be read back out of the name.
    """

    manager: str = field(metadata={"meaning": "what the clients call"})
    workload: str = field(metadata={"meaning": "the requests that are sent"})
    clients: int = field(metadata={"meaning": "N, the number of concurrent clients"})
    child: str = field(default="c", metadata={"meaning": "which redo child answers"})
    cost: str = field(default="none", metadata={"meaning": "CPU that the child burns besides"})
    fault: str = field(default="none", metadata={"meaning": "how the child misbehaves"})
    wait: str = field(default="park", metadata={"meaning": "how the manager waits for a page"})
    placement: str = field(default="any", metadata={"meaning": "which CPUs both processes run on"})
    python: str = field(default="this", metadata={"meaning": "label of the worker's interpreter"})
    topology: str = field(
        default="shared", metadata={"meaning": "one manager for all clients, or one each"}
    )
    executor: str = field(
        default="per-client", metadata={"meaning": "threads that the clients of sync have or share"}
    )
    load: str = field(
        default="closed", metadata={"meaning": "what starts a redo: the last one's end, or a clock"}
    )
    admission: str = field(
        default="none", metadata={"meaning": "how many clients may hold data, and how many redo"}
    )
    pause: str = field(
        default="yield", metadata={"meaning": "what a client does between two redos"}
    )
    caller: str = field(
        default="own", metadata={"meaning": "from where the clients call a sync manager"}
    )
    heartbeat: str = field(
        default="none", metadata={"meaning": "whose lateness is measured beside the redos"}
    )
    background_load: int = field(
        default=0, metadata={"meaning": "busy processes beside manager and child"}
    )
    scenario: str = field(default="redo", metadata={"meaning": "what one sample is"})

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not (isinstance(value, int) or _WORD.fullmatch(value)):
                raise CaseError(
                    f"{item.name} {value!r} of a case: use letters, digits and _ . + : = , % - only"
                )
        if self.clients < 1:
            raise CaseError(f"clients {self.clients} of a case: use 1 or more")
        if self.background_load < 0:
            raise CaseError(f"background_load {self.background_load} of a case: use 0 or more")

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
            extra[key] = _as_type_of(DEFAULTS[key], value, name)
        dimensions: dict[str, object] = {
            "manager": match["manager"],
            "workload": match["workload"],
            "clients": int(match["clients"]),
        }
        return cls(**(dimensions | extra))  # type: ignore[arg-type]


def is_closed_loop(case: Case) -> bool:
    """Whether N clients redo all the time: then N = throughput x time per redo, and a slice is as
    long as it is asked to be, or stretched so that each client finishes enough redos in it."""
    return (case.load, case.scenario) == (DEFAULTS["load"], DEFAULTS["scenario"])


def _as_type_of(default: str | int, text: str, name: str) -> str | int:
    if isinstance(default, str):
        return text
    try:
        return int(text)
    except ValueError:
        raise CaseError(f"case name {name!r}: {text!r} is not a whole number") from None


DEFAULTS: Mapping[str, str | int] = {
    item.name: default
    for item in fields(Case)
    if isinstance(default := item.default, str | int)  # and not dataclasses.MISSING
}
"""Every further dimension and the value that a name leaves out."""


def shared_extra(cases: Sequence[Case]) -> dict[str, str | int]:
    """The further dimensions that have the same value in all of these cases."""
    first, *others = (case.extra for case in cases) if cases else ({},)
    return {k: v for k, v in first.items() if all(one.get(k) == v for one in others)}


def without(case: Case, dimensions: Iterable[str]) -> Case:
    """The case with these dimensions as a name leaves them out."""
    defaults = {name: DEFAULTS[name] for name in dimensions}
    return replace(case, **defaults)  # type: ignore[arg-type]
