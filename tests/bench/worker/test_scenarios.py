"""Cold starts, relaunches, reaping and storms with real children: what is counted, what is left."""

from __future__ import annotations

import importlib.util
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cases.managers.registry import KINDS
from bench.cases.names import PIPE, SHM, THIS_PYTHON
from bench.cases.notations import (
    COLD_START,
    REAP,
    REDO,
    RELAUNCH,
    SCENARIOS,
    STORM,
    STORM_BACK_OFF,
    STORM_BACKGROUND,
    STORM_WAIT,
    STORMS,
    WITHOUT_PAGES,
)
from bench.results.samples import SliceSamples
from bench.running.equipment.interpreters import find_interpreters
from bench.running.equipment.workloads import Traffic, write_traffic
from bench.worker.clients.slice import WrongPageError
from bench.worker.meters import memory_bytes
from bench.worker.protocol import WorkerSpec
from bench.worker.subjects import scenarios
from bench.worker.subjects.bare_children import Unreaped, reaping_at_once, reaping_in_background
from bench.worker.subjects.choice import open_subject
from bench.worker.subjects.hosts import Host
from bench.worker.subjects.subject import SubjectError
from fake_redo_child import build
from tests.support.children import LIMIT_S, command_of
from tests.support.managers import SLACK_S, eventually, has_ended, is_gone, own_children
from tests.support.workers import Spec, Worker
from walredo import PAGE_SIZE, LaunchError, ManagerConfig
from walredo.child import Child

WALREDO = [kind.name for kind in KINDS if kind.is_walredo]

OTHERS = [one for one in SCENARIOS if one != REDO]
OF_MANAGERS = (COLD_START, RELAUNCH, STORM, STORM_BACK_OFF)


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Traffic:
    return write_traffic(tmp_path_factory.mktemp("traffic"), ["short"], seed=1)["short"]


@pytest.fixture
def spec(traffic: Traffic) -> Spec:
    """Makes the spec of a case, of what can run here."""

    def make(
        scenario: str, manager: str = "sync", child: str = "c", clients: int = 1
    ) -> WorkerSpec:
        if manager == "async-uvloop" and importlib.util.find_spec("uvloop") is None:
            pytest.skip("uvloop is not installed")
        return WorkerSpec(
            manager=manager,
            workload="short",
            clients=clients,
            child_command=command_of(child),
            requests=str(traffic.requests),
            pages=str(traffic.pages),
            timeout_s=LIMIT_S,
            library_path=find_interpreters([])[THIS_PYTHON].uvloop_folder,
            scenario=scenario,
        )

    return make


@pytest.fixture(autouse=True)
def no_child_is_left() -> Iterator[None]:
    before = own_children()
    yield
    assert own_children() == before


def measured(spec: WorkerSpec, slices: int = 1) -> tuple[list[SliceSamples], Mapping[str, int]]:
    """Slices of one episode each, and the counters after them."""
    subject = open_subject(spec)
    try:
        payloads = [subject.run_slice(0.0).payload for _ in range(slices)]
        counters = subject.counters()
    finally:
        subject.close()
    return [SliceSamples.from_payload(one, spec.clients) for one in payloads], counters


@pytest.mark.parametrize("child", build.CHILD_KINDS)
@pytest.mark.parametrize(
    ("scenario", "transport"),
    [*((one, PIPE) for one in OTHERS), *((one, SHM) for one in OF_MANAGERS)],
)
@pytest.mark.parametrize("manager", WALREDO)
def test_a_run_through_the_worker(
    manager: str, scenario: str, transport: str, child: str, spec: Spec
) -> None:
    clients = 1 if scenario in WITHOUT_PAGES else 3
    with Worker() as worker:
        case = replace(spec(scenario, manager, child, clients), transport=transport)
        opened = worker.open(case)
        assert (opened["child_pid"] is not None) == (scenario == RELAUNCH)
        for _ in range(2):
            reply = worker.ask({"command": "slice", "seconds": 0.0}, "slice")
            payload = worker.stdout.read(reply["payload_bytes"])
            samples = SliceSamples.from_payload(payload, clients)
            assert samples.redos.tolist() == [1] * clients
            assert samples.end_ns.tolist() == samples.latency_ns.tolist()
            assert min(reply["usage"].values()) >= 0
            counts = reply["counts"]
            assert ("launches" in counts) == (scenario in STORMS)
            assert ("child_rss_bytes" in counts) == (scenario not in STORMS)
            assert ("unreaped_peak" in counts) == (scenario in (STORM_WAIT, STORM_BACKGROUND))
        report = worker.ask({"command": "report"}, "report")
        assert report["counters"]["launches"] >= 2
        assert report["counters"]["launch_ns_total"] > 0
        of_manager = scenario in OF_MANAGERS
        assert ("redo_worker_manager_kind" in report["facts"]) == of_manager
        assert ("redo_loop" in report["facts"]) == (of_manager and manager != "sync")
        assert worker.ask({"command": "stop"}, "stopped") == {"reply": "stopped"}
        assert worker.process.wait(LIMIT_S) == 0


@pytest.mark.parametrize("manager", WALREDO)
def test_a_cold_start_launches_one_child_for_all_clients(manager: str, spec: Spec) -> None:
    samples, counters = measured(spec(COLD_START, manager, clients=16), slices=3)
    assert [one.latency_ns.size for one in samples] == [16] * 3
    assert counters["launches"] == 3
    assert counters["redos"] == 3 * 16


@pytest.mark.parametrize("manager", WALREDO)
def test_a_cold_start_with_another_launch_fails_the_run(manager: str, spec: Spec) -> None:
    command = build.child_command("c", fault="exit-before-reply:every=2")
    case = replace(spec(COLD_START, manager, clients=2), child_command=command)
    with pytest.raises(SubjectError, match=r"launched [23] children, not one"):
        measured(case)


@pytest.mark.parametrize("manager", WALREDO)
def test_a_relaunch_is_a_kill_and_a_launch(manager: str, spec: Spec) -> None:
    samples, counters = measured(spec(RELAUNCH, manager, clients=4), slices=3)
    assert [one.latency_ns.size for one in samples] == [4] * 3
    assert (counters["launches"], counters["kills"]) == (1 + 3, 3)


def test_a_child_that_ends_before_it_is_killed_fails_the_run(spec: Spec) -> None:
    subject = open_subject(spec(RELAUNCH, "async"))
    try:
        (pid,) = subject.child_pids
        os.kill(pid, signal.SIGKILL)
        # Each look at the counters is a turn of the loop, in which the manager notices.
        assert eventually(lambda: bool(subject.counters()) and not subject.child_pids)
        with pytest.raises(SubjectError, match="has ended by itself"):
            subject.run_slice(0.0)
    finally:
        subject.close()


@pytest.mark.parametrize("scenario", [COLD_START, RELAUNCH])
@pytest.mark.parametrize("manager", WALREDO)
def test_a_wrong_page_fails_the_run(
    manager: str, scenario: str, spec: Spec, traffic: Traffic, tmp_path: Path
) -> None:
    pages = bytearray(traffic.pages.read_bytes())
    pages[PAGE_SIZE - 1] ^= 1
    path = tmp_path / "pages"
    path.write_bytes(pages)
    with pytest.raises(WrongPageError, match="client 0, request 0"):
        measured(replace(spec(scenario, manager, clients=2), pages=str(path)))


@pytest.mark.parametrize("scenario", STORMS)
@pytest.mark.parametrize("manager", WALREDO)
def test_a_storm_whose_child_answers_fails_the_run(
    manager: str, scenario: str, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scenarios, "FAILS", ())
    waits_for_failure = scenario in (STORM_WAIT, STORM_BACKGROUND)
    case = spec(scenario, manager)
    if waits_for_failure:
        case = replace(case, timeout_s=0.05)
    with pytest.raises(SubjectError, match="does nothing" if waits_for_failure else "has answered"):
        measured(case)


@pytest.mark.parametrize("scenario", OTHERS)
@pytest.mark.parametrize("manager", ["sync", "async"])
def test_a_child_that_cannot_be_launched_fails_the_run(
    manager: str, scenario: str, spec: Spec
) -> None:
    case = replace(spec(scenario, manager), child_command=("/no/such/child",))
    with pytest.raises((SubjectError, LaunchError), match=r"such|failed for another reason"):
        measured(case)


def test_a_child_that_does_not_answer_is_not_reaped_as_if_it_had(spec: Spec) -> None:
    command = build.child_command("c", fault="exit-before-reply")
    with pytest.raises(SubjectError, match="ended instead of answering"):
        measured(replace(spec(REAP), child_command=command))
    command = build.child_command("c", fault="hang")
    with pytest.raises(SubjectError, match="does not answer"):
        measured(replace(spec(REAP), child_command=command, timeout_s=0.05))


def test_back_off_holds_launches_back_unless_it_is_switched_off(
    spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[ManagerConfig] = []
    begin = Host.begin

    def noting(host: Host, config: ManagerConfig) -> None:
        begun.append(config)
        begin(host, config)

    monkeypatch.setattr(Host, "begin", noting)
    subject = open_subject(spec(STORM_BACK_OFF))
    try:
        launches = subject.run_slice(0.1).counts["launches"]
    finally:
        subject.close()
    # Two at once, then after 10, 20, 40 and 80 ms more, the last of them at the latest.
    assert launches <= 2 + 4
    measured(spec(STORM))
    built = ManagerConfig(child_command=("x",))
    assert begun[0].backoff_after == built.backoff_after
    assert begun[1].backoff_after > 1_000_000


def test_launches_wait_where_there_is_no_room(c_child: tuple[str, ...]) -> None:
    unreaped = Unreaped(c_child, most=2)
    first, second = unreaped.launch(), unreaped.launch()
    third: list[Child] = []
    waiting = threading.Thread(target=lambda: third.append(unreaped.launch()))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    unreaped.discard(first)
    waiting.join(SLACK_S)
    for child in (second, *third):
        unreaped.discard(child)
    assert (unreaped.count, unreaped.peak, unreaped.launches) == (0, 2, 3)
    assert len(third) == 1


def test_a_launch_that_fails_takes_no_room() -> None:
    unreaped = Unreaped(("/no/such/child",), most=1)
    for _ in range(2):
        with pytest.raises(LaunchError):
            unreaped.launch()
    assert (unreaped.count, unreaped.peak, unreaped.launches) == (0, 0, 0)


def test_reaping_in_the_background_lets_launches_go_on_and_ends_with_none_left(
    c_child: tuple[str, ...],
) -> None:
    may_reap = threading.Event()

    class Slowly(Unreaped):
        def discard(self, child: Child) -> None:
            assert may_reap.wait(SLACK_S)
            super().discard(child)

    unreaped = Slowly(c_child, most=4)
    with reaping_in_background(unreaped) as discard:
        children = [unreaped.launch() for _ in range(4)]
        for child in children:
            discard(child)
        assert (unreaped.count, unreaped.peak) == (4, 4)
        may_reap.set()
    assert unreaped.count == 0
    assert all(is_gone(child.pid) for child in children)


def test_what_goes_wrong_in_the_background_is_raised(c_child: tuple[str, ...]) -> None:
    class Fails(Unreaped):
        def discard(self, child: Child) -> None:
            super().discard(child)
            raise OSError("no")

    unreaped = Fails(c_child)
    with pytest.raises(OSError, match="no"), reaping_in_background(unreaped) as discard:
        discard(unreaped.launch())


def test_reaping_at_once_leaves_none_to_the_next_launch(c_child: tuple[str, ...]) -> None:
    unreaped = Unreaped(c_child)
    with reaping_at_once(unreaped) as discard:
        for _ in range(3):
            child = unreaped.launch()
            discard(child)
            assert is_gone(child.pid)
    assert unreaped.peak == 1


@pytest.mark.parametrize("scenario", OTHERS)
@pytest.mark.parametrize("manager", ["sync", "async"])
def test_a_worker_killed_inside_a_slice_leaves_no_child(
    manager: str, scenario: str, spec: Spec
) -> None:
    with Worker() as worker:
        worker.open(spec(scenario, manager))
        worker.send({"command": "slice", "seconds": 60.0})
        found: set[int] = set()

        def has_children() -> bool:
            found.update(children_of(worker.process.pid))
            return bool(found)

        assert eventually(has_children)
        os.kill(worker.process.pid, signal.SIGSTOP)
        found.update(children_of(worker.process.pid))
        worker.process.kill()
        worker.process.wait()
        for pid in found:
            assert eventually(lambda pid=pid: has_ended(pid))  # type: ignore[misc]


def children_of(pid: int) -> set[int]:
    """Child processes of all threads of a process; some may have ended meanwhile."""
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found |= {int(one) for one in (task / "children").read_text().split()}
        except (FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            continue
    return found


def test_memory_of_a_process() -> None:
    own = memory_bytes(os.getpid())
    assert own["rss_bytes"] >= own["pss_bytes"] > 1 << 20
    assert memory_bytes(2**22 + 1) == {}  # more than any pid
