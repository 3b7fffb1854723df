"""Checks whether the system's limits allow many managers in one process, before any is launched.

Descriptors are limited by RLIMIT_NOFILE, processes and threads by RLIMIT_NPROC (for ordinary users)
and by the pids controller of control groups. Soft limits do not count: the worker raises its own.
Memory that managers share with their children must be free.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Final

from bench.cases.config import Config
from bench.cases.matrix import cases_of
from bench.cases.names import PIPE, SHM
from bench.cases.notations import PER_TENANT
from bench.errors import BenchError
from bench.machine.cgroup import Text, memory_bytes, tasks_left
from bench.machine.machine import read_text
from bench.worker.tenant_limits import needs
from walredo.transport.ring import MEMORY_BYTES

_MIB: Final = 1 << 20


def check_tenants(config: Config) -> None:
    """Raises BenchError if one process cannot have a manager for each client."""
    tenants = [case for case in cases_of(config) if case.topology == PER_TENANT]
    for case in sorted(tenants, key=lambda case: case.clients, reverse=True):
        if why := problem(case.manager, case.clients, transport=case.transport):
            raise BenchError(f"topology {PER_TENANT}: {why}")


def problem(
    manager: str,
    tenants: int,
    text: Text = lambda name: read_text(Path("/", name)),
    *,
    transport: str = PIPE,
) -> str | None:
    """Why so many tenants are not possible here: one line that names the limit and the remedy.

    ``text`` reads a file below the root folder, as for `bench.machine.cgroup`.
    """
    needed = needs(manager, tenants, transport)
    tasks = "processes and threads"
    # The limit of the user's tasks counts existing tasks too. Root has none.
    of_user = None if os.geteuid() == 0 else _hard(resource.RLIMIT_NPROC)
    bounds = (
        (needed.descriptors, "file descriptors", _hard(resource.RLIMIT_NOFILE), "ulimit -Hn"),
        (needed.tasks, tasks, of_user, "ulimit -Hu"),
        (needed.tasks, tasks, tasks_left(text), "pids.max of the control group"),
    )
    for count, what, most, limit in bounds:
        if most is not None and count > most:
            return (
                f"{manager} with {tenants} tenants needs {count} {what}, and {most} are allowed"
                f" ({limit}): raise that limit, or measure fewer clients"
            )
    shared = tenants * MEMORY_BYTES if transport == SHM else 0
    grants = (
        (_available_bytes(text), "MemAvailable in /proc/meminfo"),
        (memory_bytes(text), "memory.max of the control group"),
    )
    for most, limit in grants:
        if most is not None and shared > most:
            return (
                f"{manager} with {tenants} tenants needs {shared // _MIB} MiB of shared memory, and"
                f" there are {most // _MIB} ({limit}): measure fewer clients, or --transport {PIPE}"
            )
    return None


def _available_bytes(text: Text) -> int | None:
    """The memory that the kernel could give out now."""
    for line in (text("proc/meminfo") or "").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _hard(limit: int) -> int | None:
    _, hard = resource.getrlimit(limit)
    return None if hard == resource.RLIM_INFINITY else hard
