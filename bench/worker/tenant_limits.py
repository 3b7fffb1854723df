"""The descriptors and tasks that many managers in one process need, and raising its limits to them.

Standard library only, because the worker imports it. `bench.running.equipment.tenants` checks
before the first launch whether the system allows as many.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import Final

from bench.cases.managers.registry import kind_of
from bench.cases.names import PIPE, SHM

LAUNCHES_AT_ONCE: Final = 8
"""More would not be faster on few CPUs, and each launch takes descriptors and a thread."""

_PER_LAUNCH: Final = (8, 1)
"""Descriptors and tasks while a child is being launched: the child's ends of the pipes, the pipe
that reports a failed exec, one or two descriptors of the code that starts it; a thread."""

_PER_MEMORY: Final = (2, 0)
"""Descriptors and tasks besides, of a manager with shared memory: its memfd, and the one that the
mapping keeps before CPython 3.13."""

_OWN: Final = (64, 16)
"""Descriptors and tasks of the worker itself: streams, event loop, a library that is loaded."""


@dataclass(frozen=True, slots=True)
class Needs:
    """The most that one process holds at any time."""

    descriptors: int
    tasks: int


def needs(manager: str, tenants: int, transport: str = PIPE) -> Needs:
    """The needs of a worker with so many of these managers."""
    per_tenant = kind_of(manager).per_tenant
    memory = _PER_MEMORY if transport == SHM else (0, 0)
    descriptors, tasks = (
        own + LAUNCHES_AT_ONCE * launch + tenants * (each + further)
        for own, launch, each, further in zip(_OWN, _PER_LAUNCH, per_tenant, memory, strict=True)
    )
    return Needs(descriptors, tasks)


def make_room(manager: str, tenants: int, transport: str = PIPE) -> None:
    """Raises the soft limits of this process as far as so many tenants need.

    Raises ValueError if a hard limit is lower, which the suite has checked before.
    """
    needed = needs(manager, tenants, transport)
    for limit, count in (
        (resource.RLIMIT_NOFILE, needed.descriptors),
        (resource.RLIMIT_NPROC, needed.tasks),
    ):
        soft, hard = resource.getrlimit(limit)
        if soft != resource.RLIM_INFINITY and soft < count:
            resource.setrlimit(limit, (count, hard))
