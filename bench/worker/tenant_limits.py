"""What many managers in one process need of the system, and how their process makes room for it.

Standard library only, because the worker imports it. Whether the system grants as much is asked
before anything is launched: see ``tenant_check``.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import Final

from bench.cases.managers.registry import kind_of

LAUNCHES_AT_ONCE: Final = 8
"""More would not be faster with few CPUs, and each holds descriptors and a thread of its own."""

_PER_LAUNCH: Final = (8, 1)
"""While a child is being launched: its ends of the pipes, the pipe that tells of a failed exec, and
a descriptor or two of those who start it; a thread."""

_OWN: Final = (64, 16)
"""The worker itself: its streams, its event loop, a library that is being loaded."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What one process with so many tenants holds at the most."""

    descriptors: int
    tasks: int


def needs(manager: str, tenants: int) -> Needs:
    """What a worker with so many of these managers needs."""
    per_tenant = kind_of(manager).per_tenant
    descriptors, tasks = (
        own + LAUNCHES_AT_ONCE * launch + tenants * each
        for own, launch, each in zip(_OWN, _PER_LAUNCH, per_tenant, strict=True)
    )
    return Needs(descriptors, tasks)


def make_room(manager: str, tenants: int) -> None:
    """Raises this process's soft limits as far as so many tenants need. Raises ValueError where the
    hard ones are lower, which ``tenant_check`` tells before."""
    needed = needs(manager, tenants)
    for limit, count in (
        (resource.RLIMIT_NOFILE, needed.descriptors),
        (resource.RLIMIT_NPROC, needed.tasks),
    ):
        soft, hard = resource.getrlimit(limit)
        if soft != resource.RLIM_INFINITY and soft < count:
            resource.setrlimit(limit, (count, hard))
