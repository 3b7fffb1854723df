"""Many managers in one worker: each client has its own, and none of their children is left."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import walredo.transport.pipes
from bench.cases import placement
from bench.cases.names import PIPE, SHM
from bench.cases.notations import PER_TENANT
from bench.machine.cgroup import tasks_left
from bench.results.samples import SliceSamples
from bench.running.equipment import tenants as tenant_check
from bench.running.equipment.tenants import problem
from bench.worker.protocol import WorkerSpec
from bench.worker.subjects.choice import open_subject
from bench.worker.tenant_limits import LAUNCHES_AT_ONCE, needs
from tests.support.made_up_runs import Bench
from tests.support.managers import eventually, has_ended, is_gone, open_descriptors, own_children
from tests.support.workers import CALLS, SLICE_S, USAGE, Spec, Worker
from walredo import PAGE_SIZE
from walredo.child import Child
from walredo.errors import LaunchError

MANAGERS = ("sync", "async", "async-uvloop", "streams")
OURS = ("sync", "async", "async-uvloop")


WAYS = [*((manager, PIPE) for manager in MANAGERS), *((manager, SHM) for manager in OURS)]


def tenants(
    spec: Spec, manager: str, clients: int = 5, workload: str = "short", transport: str = PIPE
) -> WorkerSpec:
    made = spec(manager, workload=workload, clients=clients)
    return replace(made, topology=PER_TENANT, transport=transport)


def children_of(pid: int) -> set[int]:
    """The children of a process, whichever of its threads has launched them."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return {int(one) for text in lists for one in text.read_text().split()}


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Afterwards this process has no more children, threads and descriptors than before."""
    with contextlib.suppress(ImportError):
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as first:
            first.get_loop()  # the first one opens what the library keeps
    gc.collect()
    descriptors, threads = len(open_descriptors()), threading.active_count()
    yield
    assert own_children() == set()
    assert eventually(lambda: threading.active_count() <= threads)
    assert len(open_descriptors()) == descriptors


# --- A run ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("manager", OURS)
def test_a_whole_run(manager: str, spec: Spec) -> None:
    with Worker() as worker:
        opened = worker.open(tenants(spec, manager))
        children = children_of(worker.process.pid)
        assert len(children) == 5
        assert opened["child_pid"] in children
        redos = 0
        for _ in range(2):
            payload, usage = worker.slice()
            samples = SliceSamples.from_payload(payload, 5)
            redos += samples.latency_ns.size
            assert set(usage) == USAGE | CALLS
            assert usage["child_cpu_ns"] > 0
        report = worker.ask({"command": "report"}, "report")
        counters = report["counters"]
        assert counters["redos"] == redos
        assert counters["bytes_sent"] == 1132 * redos + 5 * (5 + counters["fences"])
        assert counters["bytes_received"] == PAGE_SIZE * (redos + 5 + counters["fences"])
        assert (counters["launches"], counters["errors"], counters["kills"]) == (5, 0, 0)
        assert counters["in_flight_peak"] <= 2, "a manager has one client, and a fence perhaps"
        assert ("redo_loop" in report["facts"]) == (manager != "sync")
        pipes = {report["facts"][f"redo_worker_pipe_bytes_{way}_child"] for way in ("to", "from")}
        assert max(pipes) <= 64 * 1024
        worker.ends()
    assert all(map(is_gone, children))


@pytest.mark.parametrize("manager", MANAGERS)
def test_pings(manager: str, spec: Spec) -> None:
    with Worker() as worker:
        worker.open(tenants(spec, manager, workload="ping"))
        payload, _ = worker.slice()
        assert SliceSamples.from_payload(payload, 5).redos.min() >= 1
        worker.ends()


@pytest.mark.parametrize("manager", MANAGERS)
@pytest.mark.usefixtures("nothing_left")
def test_each_client_calls_a_manager_of_its_own(manager: str, spec: Spec) -> None:
    subject = open_subject(tenants(spec, manager, clients=4))
    try:
        assert len(set(subject.child_pids)) == 4
        assert set(subject.child_pids) == own_children()
        used = subject.meters[1].used()
        payload = subject.run_slice(SLICE_S).payload
        assert subject.meters[1].used().since(used).cpu_ns > 0
        samples = SliceSamples.from_payload(payload, 4)
        managers = subject._managers  # type: ignore[attr-defined]
        assert [_redos(one) for one in managers] == samples.redos.tolist()
        assert subject.counters()["redos"] == samples.redos.sum()
    finally:
        subject.close()


def _redos(manager: Any) -> int:
    """What a manager has answered since it was made, whichever it is."""
    if hasattr(manager, "_life"):
        session = manager._life.current
        return 0 if session is None else int(session.pipeline.counters.redos)
    return int(manager._redos)


@pytest.mark.parametrize("where", ["same-cpu", "split"])
@pytest.mark.parametrize("manager", ["sync", "async"])
def test_all_children_are_where_they_were_asked_for(manager: str, where: str, spec: Spec) -> None:
    if why := placement.problem(where):
        pytest.skip(why)
    with Worker() as worker:
        worker.open(replace(tenants(spec, manager), placement=where))
        worker.slice()
        cpus = [os.sched_getaffinity(pid) for pid in children_of(worker.process.pid)]
    expected = placement.cpus(where)
    assert expected is not None
    assert cpus == [{expected[1]}] * 5


@pytest.mark.parametrize("manager", OURS)
def test_a_child_that_dies_fails_the_run_and_is_named(manager: str, spec: Spec) -> None:
    with Worker() as worker:
        worker.open(tenants(spec, manager))
        worker.slice()
        victim = max(children_of(worker.process.pid))
        os.kill(victim, signal.SIGKILL)
        reason = worker.refuses({"command": "slice", "seconds": SLICE_S})
    assert str(victim) in reason


@pytest.mark.parametrize("manager", MANAGERS)
def test_a_killed_worker_leaves_no_child(manager: str, spec: Spec) -> None:
    with Worker() as worker:
        worker.open(tenants(spec, manager))
        pids = children_of(worker.process.pid)
        assert len(pids) == 5
        worker.process.kill()
        worker.process.wait()
        for pid in pids:
            assert eventually(lambda pid=pid: has_ended(pid))  # type: ignore[misc]


# --- Launches that fail ---------------------------------------------------------------------------


class _Launches:
    """Stands in for `Child`: the first launches succeed, all others fail."""

    def __init__(self, succeeding: int) -> None:
        self.children: list[Child] = []
        self._left = succeeding
        self._lock = threading.Lock()

    def __call__(self, command: tuple[str, ...], pipe_bytes: int) -> Child:
        with self._lock:
            self._left -= 1
            if self._left < 0:
                raise LaunchError(command, "no more of them")
        child = Child(command, pipe_bytes)
        self.children.append(child)
        return child


@pytest.mark.parametrize("succeeding", [0, 3, LAUNCHES_AT_ONCE + 3])
@pytest.mark.parametrize("manager", OURS)
@pytest.mark.usefixtures("nothing_left")
def test_where_one_cannot_be_launched_all_are_ended(
    manager: str, succeeding: int, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    launches = _Launches(succeeding)
    monkeypatch.setattr(walredo.transport.pipes, "Child", launches)
    with pytest.raises(LaunchError, match="no more of them"):
        open_subject(tenants(spec, manager, clients=24))
    assert len(launches.children) == succeeding
    assert all(child.returncode is not None for child in launches.children)


@pytest.mark.parametrize("manager", MANAGERS)
@pytest.mark.usefixtures("nothing_left")
def test_a_program_that_is_not_there(manager: str, spec: Spec) -> None:
    case = replace(tenants(spec, manager, clients=12), child_command=("/no/such/child",))
    with pytest.raises(LaunchError, match="/no/such/child"):
        open_subject(case)


# --- What the system grants -----------------------------------------------------------------------


@pytest.mark.parametrize(("manager", "transport"), WAYS)
@pytest.mark.usefixtures("nothing_left")
def test_each_tenant_holds_the_descriptors_that_are_counted(
    manager: str, transport: str, spec: Spec
) -> None:
    held = []
    for clients in (2, 12):
        subject = open_subject(tenants(spec, manager, clients=clients, transport=transport))
        held.append(len(open_descriptors()))
        subject.close()
    most, least = (needs(manager, tenants, transport).descriptors for tenants in (12, 2))
    counted = most - least
    # Without a pidfd streams holds one less each; so does a mapping from CPython 3.13 on.
    may_be_less = manager == "streams" or transport == SHM
    assert held[1] - held[0] in {counted, counted - 10 if may_be_less else counted}


@pytest.mark.parametrize("manager", MANAGERS)
def test_a_worker_raises_its_soft_limit(manager: str, spec: Spec) -> None:
    with Worker() as worker:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE, (40, hard))
        worker.open(tenants(spec, manager, clients=30))
        soft, _ = resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE)
        assert soft == needs(manager, 30).descriptors
        worker.ends()


@pytest.mark.parametrize(("manager", "transport"), WAYS)
def test_what_is_counted_is_enough(manager: str, transport: str, spec: Spec) -> None:
    with Worker() as worker:
        enough = needs(manager, 40, transport).descriptors
        resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE, (enough, enough))
        worker.open(tenants(spec, manager, clients=40, transport=transport))
        worker.slice(0.0)
        worker.ends()


@pytest.mark.parametrize(
    ("hard", "said"),
    [
        (
            {resource.RLIMIT_NOFILE: 1024},
            "sync with 256 tenants needs 1408 file descriptors, and 1024 are allowed (ulimit -Hn):"
            " raise that limit, or measure fewer clients",
        ),
        (
            {resource.RLIMIT_NPROC: 500},
            "sync with 256 tenants needs 792 processes and threads, and 500 are allowed"
            " (ulimit -Hu): raise that limit, or measure fewer clients",
        ),
        ({resource.RLIMIT_NOFILE: resource.RLIM_INFINITY}, None),
    ],
)
def test_what_is_not_granted_is_named(
    hard: Mapping[int, int], said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        resource, "getrlimit", lambda limit: (10, hard.get(limit, resource.RLIM_INFINITY))
    )
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert problem("sync", 256, lambda _: None) == said


V1 = {"sys/fs/cgroup/pids/cgroup.procs": "1", "proc/self/cgroup": "8:pids:/a\n5:cpu:/b"}
V2 = {"sys/fs/cgroup/cgroup.controllers": "cpu pids", "proc/self/cgroup": "0::/a/b"}


def limit(group: str, most: object, now: int) -> dict[str, str]:
    folder = f"sys/fs/cgroup/{group}"
    return {f"{folder}/pids.max": str(most), f"{folder}/pids.current": str(now)}


@pytest.mark.parametrize(
    ("files", "left"),
    [
        (V2 | limit("a/b", 50, 10) | limit("a", 1000, 990), 10),
        (V2 | limit("a/b", "max", 10), None),
        (V2, None),
        (V1 | limit("pids/a", 50, 10) | limit("cpu/b", 5, 5), 40),
        (limit("a/b", 50, 10), None),
    ],
)
def test_the_control_groups_of_both_versions(files: Mapping[str, str], left: int | None) -> None:
    assert tasks_left(files.get) == left


def test_a_control_group_that_is_full_is_named() -> None:
    files = V2 | limit("a/b", 110, 10)
    assert problem("async", 64, files.get) is None
    why = problem("async", 128, files.get)
    assert why is not None
    assert "152 processes and threads, and 100 are allowed (pids.max" in why


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"proc/meminfo": "MemFree: 1 kB\nMemAvailable:  512000 kB\n"}, "500 (MemAvailable"),
        (V2 | {"sys/fs/cgroup/a/memory.max": "104857600\n"}, "100 (memory.max"),
        (
            {
                "sys/fs/cgroup/memory/cgroup.procs": "1",
                "proc/self/cgroup": "8:memory:/a",
                "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "209715200",
            },
            "200 (memory.max",
        ),
    ],
)
def test_memory_to_share_must_be_there(files: dict[str, str], said: str) -> None:
    why = problem("async", 256, files.get, transport=SHM)
    assert why is not None
    assert f"256 tenants needs 769 MiB of shared memory, and there are {said}" in why
    assert problem("async", 8, files.get, transport=SHM) is None
    assert problem("async", 256, files.get) is None


def test_memory_without_a_limit_is_not_missed() -> None:
    files = V2 | {"sys/fs/cgroup/a/memory.max": "max\n", "proc/meminfo": "MemFree: 1 kB\n"}
    assert problem("async", 256, files.get, transport=SHM) is None


def test_too_many_tenants_are_refused_before_anything_starts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hard(limit: int) -> int | None:
        return 1000 if limit == resource.RLIMIT_NOFILE else None

    monkeypatch.setattr(tenant_check, "_hard", hard)
    monkeypatch.setattr(tenant_check, "tasks_left", lambda _: None)
    run = "run --profile quick --child python --workload short --topology per-tenant -o o.json"
    said = bench.refuses(f"{run} --manager sync --clients 1,256")
    assert "topology per-tenant: sync with 256 tenants needs 1408 file descriptors" in said
    # Async holds fewer; what has no tenants is not asked.
    status, _, err = bench(f"{run} --manager async,noop-sync --clients 256 --rounds 1")
    assert (status, len(bench.ran)) == (0, 2), err
