"""The worker, driven by hand over its pipes, on a bare interpreter as the suite runs it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cases import placement
from bench.cases.names import PARK, PIPE, SHM, TRANSPORTS
from bench.places import ROOT
from bench.results.samples import SliceSamples
from bench.running.equipment.workloads import Traffic
from bench.worker.meters import ProcessMeter
from bench.worker.protocol import PIPE_FACTS, PROTOCOL_VERSION, REDO_END, REDO_NS, WorkerSpec
from fake_redo_child import build
from tests.support.children import LIMIT_S
from tests.support.managers import eventually, has_ended, is_gone
from tests.support.workers import CALLS, SLICE_S, USAGE, Spec, Worker
from walredo import PAGE_SIZE

SUBJECTS = ("sync", "async", "async-uvloop", "floor")
WITH_STREAMS = (*SUBJECTS, "streams")
HEAVY = ("numpy", "matplotlib", "pyperf", "msgspec", "rich", "hdrh")


@pytest.fixture
def wrong_pages(traffic: Mapping[str, Traffic], tmp_path: Path) -> Callable[[int], str]:
    """Makes a file of pages in which one byte of that page is wrong."""

    def make(page: int) -> str:
        pages = bytearray(traffic["short"].pages.read_bytes())
        pages[page * PAGE_SIZE + PAGE_SIZE - 1] ^= 1
        path = tmp_path / "pages"
        path.write_bytes(pages)
        return str(path)

    return make


@pytest.mark.parametrize(("transport", "wait"), [(PIPE, PARK), (SHM, PARK), (SHM, "spin:2000")])
@pytest.mark.parametrize("child", build.CHILD_KINDS)
@pytest.mark.parametrize("manager", SUBJECTS)
def test_a_whole_run(manager: str, child: str, transport: str, wait: str, spec: Spec) -> None:
    with Worker() as worker:
        opened = worker.open(replace(spec(manager, child), transport=transport, wait=wait))
        assert opened["start_ns"] > 0
        child_pid = opened["child_pid"]
        redos = 0
        for _ in range(2):
            payload, usage = worker.slice()
            samples = SliceSamples.from_payload(payload, 3)
            redos += samples.latency_ns.size
            assert worker.series[REDO_END].size == samples.latency_ns.size
            assert set(usage) == USAGE | CALLS
            assert usage["read_calls"] > 0 or transport == SHM
            assert min(usage.values()) >= 0
            assert usage["manager_cpu_ns"] > 0
            assert usage["child_cpu_ns"] > 0
        report = worker.ask({"command": "report"}, "report")
        if manager == "floor":
            assert set(report["counters"]) == CALLS
        else:
            counters = report["counters"]
            assert counters["redos"] == redos
            assert counters["records"] == 2 * redos
            assert counters["bytes_sent"] == 1132 * redos + 5 * (1 + counters["fences"])
            assert counters["bytes_received"] == PAGE_SIZE * (redos + 1 + counters["fences"])
            assert (counters["launches"], counters["errors"], counters["kills"]) == (1, 0, 0)
        facts = report["facts"]
        assert facts["redo_worker_peak_rss_bytes"] > 0
        has_sizes = transport == PIPE and manager != "floor"
        assert all((name in facts) == has_sizes for name in PIPE_FACTS)
        for process in ("manager", "child"):
            share = report[f"{process}_user_share"]
            assert share is None or 0 <= share <= 1
        assert worker.ask({"command": "stop"}, "stopped") == {"reply": "stopped"}
        assert worker.process.wait(LIMIT_S) == 0
        assert is_gone(child_pid)  # reaped by its manager, before the worker said so


@pytest.mark.parametrize("manager", SUBJECTS)
def test_pings(manager: str, spec: Spec) -> None:
    with Worker() as worker:
        worker.open(spec(manager, workload="ping", clients=2))
        payload, _ = worker.slice()
        pings = SliceSamples.from_payload(payload, 2).latency_ns.size
        if manager != "floor":
            counters = worker.ask({"command": "report"}, "report")["counters"]
            assert (counters["redos"], counters["pings"]) == (0, pings + 1)
        worker.ends()


@pytest.mark.parametrize("manager", SUBJECTS)
def test_what_it_is_is_said(manager: str, spec: Spec) -> None:
    with Worker() as worker:
        worker.open(spec(manager))
        worker.slice(0.0)
        facts = worker.ask({"command": "report"}, "report")["facts"]
        worker.ends()
    loops = {"async": "asyncio ", "async-uvloop": "uvloop "}
    assert facts.get("redo_loop", "").startswith(loops.get(manager, ""))
    assert ("redo_loop" in facts) == (manager in loops)
    kind = None if manager == "floor" else manager.partition("-")[0]
    assert facts.get("redo_worker_manager_kind") == kind


@pytest.mark.parametrize("manager", SUBJECTS)
def test_a_slice_of_no_time_is_one_redo_of_each_client(manager: str, spec: Spec) -> None:
    with Worker() as worker:
        worker.open(spec(manager, clients=130))
        payload, usage = worker.slice(0.0)
        assert SliceSamples.from_payload(payload, 130).redos.tolist() == [1] * 130
        if manager != "floor":
            assert usage["read_calls"] > 0
        worker.ends()


@pytest.mark.parametrize("manager", SUBJECTS)
def test_end_of_input_ends_it_and_its_child(manager: str, spec: Spec) -> None:
    with Worker() as worker:
        child_pid = worker.open(spec(manager))["child_pid"]
        assert not has_ended(child_pid)
        worker.ends()
        assert is_gone(child_pid)


def test_end_of_input_before_anything() -> None:
    with Worker() as worker:
        worker.ends()


def test_end_of_input_inside_a_slice(spec: Spec) -> None:
    with Worker() as worker:
        child_pid = worker.open(spec("async"))["child_pid"]
        worker.send({"command": "slice", "seconds": 0.2})
        worker.stdin.close()
        reply = worker.reply()
        worker.payload_of(reply)
        assert worker.reply() == {"reply": "stopped"}
        assert worker.process.wait(LIMIT_S) == 0
        assert is_gone(child_pid)


def test_walredo_is_imported_with_the_case_and_not_before() -> None:
    """Which build it is, is up to the case."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import bench.worker.__main__"
    code += "; print([name for name in sys.modules if name.startswith('walredo')])"
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert told.stdout == "[]\n"


def test_the_build_of_walredo_is_that_of_the_case(spec: Spec) -> None:
    case = spec("sync", child="python")
    with Worker() as worker:
        worker.open(case)
        report = worker.ask({"command": "report"}, "report")
    assert report["facts"]["redo_worker_build"] == "pure"
    # No folder with a compiled walredo is named, or it has none.
    for core_path in (None, "/nowhere"):
        with Worker() as worker:
            reason = worker.refuses(replace(case, build="mypyc", core_path=core_path).to_message())
        assert "imported the pure walredo, not mypyc" in reason


@pytest.mark.parametrize("version", [PROTOCOL_VERSION + 1, 0, None, "1"])
def test_another_version_is_refused(version: object, spec: Spec) -> None:
    message = spec("sync").to_message() | {"protocol": version}
    with Worker() as worker:
        reason = worker.refuses(message)
    assert str(version) in reason
    assert f"this worker up to {PROTOCOL_VERSION}" in reason


def test_an_older_worker_refuses_a_transport_that_it_does_not_know(spec: Spec) -> None:
    message = replace(spec("sync"), transport=SHM).to_message()
    assert message["protocol"] == 3
    assert WorkerSpec.from_message(message).transport == SHM
    assert spec("sync").to_message()["protocol"] == 1


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (b"nonsense\n", "JSONDecodeError"),
        (b"\n", "JSONDecodeError"),
        (b"\xff\xfe\n", "Unicode"),
        (b"[]\n", "expected a command of open, slice, report, stop, got b'[]"),
        (b"7\n", "expected a command"),
        (b'{"command":"dance"}\n', "expected a command"),
        (b'{"reply":"opened"}\n', "expected a command"),
        (b'{"command":"open"}\n', "protocol None"),
        (b'{"command":"slice","seconds":0.01}\n', "slice before a case is open"),
        (b'{"command":"report"}\n', "report before a case is open"),
    ],
)
def test_a_command_that_makes_no_sense(command: bytes, reason: str) -> None:
    with Worker() as worker:
        assert reason in worker.refuses(command)
        assert worker.stderr_at_end() == ""


@pytest.mark.parametrize("manager", ["noop-sync", "noop-async"])
def test_a_noop_has_no_child(manager: str, spec: Spec) -> None:
    with Worker() as worker:
        assert worker.open(spec(manager))["child_pid"] is None
        payload, usage = worker.slice()
        assert SliceSamples.from_payload(payload, 3).latency_ns.size >= 3
        assert set(usage) == {name for name in USAGE if name.startswith("manager")}
        assert own_children_of(worker.process.pid) == set()
        report = worker.ask({"command": "report"}, "report")
        assert report["child_user_share"] is None
        assert report["counters"] == {}
        worker.ends()


def test_a_field_that_is_missing_is_named(spec: Spec) -> None:
    message = spec("sync").to_message()
    del message["clients"]
    with Worker() as worker:
        assert "clients" in worker.refuses(message)


def test_a_second_case_is_refused(spec: Spec) -> None:
    with Worker() as worker:
        child_pid = worker.open(spec("sync"))["child_pid"]
        assert "open already" in worker.refuses(spec("async").to_message())
        assert is_gone(child_pid)


@pytest.mark.parametrize("pause", ["yield", "none"])
def test_clients_on_two_threads_are_all_served(pause: str, spec: Spec) -> None:
    with Worker() as worker:
        worker.open(replace(spec("sync", clients=9), executor="2", pause=pause))
        payload, _ = worker.slice()
        assert SliceSamples.from_payload(payload, 9).redos.min() >= 1
        counters = worker.ask({"command": "report"}, "report")["counters"]
        # With the pings between two redos whose pages begin alike.
        assert counters["in_flight_peak"] <= 2 + min(2, counters["fences"])
        worker.ends()


@pytest.mark.parametrize("where", ["any", "same-cpu"])
@pytest.mark.parametrize("manager", ["sync", "floor"])
def test_busy_processes_are_beside_it_and_end_with_it(manager: str, where: str, spec: Spec) -> None:
    with Worker() as worker:
        case = replace(spec(manager), background_load=2, placement=where)
        child_pid = worker.open(case)["child_pid"]
        busy = busy_of(worker.process.pid)
        assert len(busy) == 2
        cpus = os.sched_getaffinity(child_pid)
        assert all(os.sched_getaffinity(pid) == cpus for pid in busy)
        _, usage = worker.slice()
        assert usage["child_cpu_ns"] > 0
        assert not any(has_ended(pid) for pid in busy)
        worker.ends()
        assert all(is_gone(pid) for pid in busy), "reaped before the worker says that it stops"


def test_a_busy_process_that_ends_fails_the_run(spec: Spec) -> None:
    with Worker() as worker:
        child_pid = worker.open(replace(spec("async"), background_load=2))["child_pid"]
        pid, other = busy_of(worker.process.pid)
        os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: has_ended(pid))
        reason = worker.refuses({"command": "slice", "seconds": SLICE_S})
        assert f"busy process, process {pid}, has ended" in reason
        assert is_gone(other)
        assert is_gone(child_pid)


def test_a_child_that_does_not_start_leaves_no_busy_process(spec: Spec) -> None:
    case = replace(spec("sync"), background_load=2, child_command=("/no/such/child",))
    with Worker() as worker:
        worker.refuses(case.to_message())  # and its stderr, which they share, is at its end
        assert "Traceback" not in worker.stderr_at_end()


@pytest.mark.parametrize("busy", [False, True])
def test_a_killed_worker_leaves_no_busy_process(busy: bool, spec: Spec) -> None:
    with Worker() as worker:
        worker.open(replace(spec("sync"), background_load=2))
        pids = busy_of(worker.process.pid)
        if busy:
            worker.send({"command": "slice", "seconds": 0.5})
        worker.process.kill()
        worker.process.wait()
        for pid in pids:
            assert eventually(lambda pid=pid: has_ended(pid))  # type: ignore[misc]


@pytest.mark.parametrize("seconds", ["nan", "x", None])
def test_a_slice_of_no_length_is_refused(seconds: object, spec: Spec) -> None:
    with Worker() as worker:
        child_pid = worker.open(spec("sync"))["child_pid"]
        worker.refuses({"command": "slice", "seconds": seconds})
        assert is_gone(child_pid)


def test_an_unknown_manager_is_refused(spec: Spec) -> None:
    with Worker() as worker:
        reason = worker.refuses(replace(spec("async"), manager="asyncc").to_message())
        assert "asyncc" in reason


@pytest.mark.parametrize(("page", "client"), [(0, 0), (17, 1)])
@pytest.mark.parametrize("manager", WITH_STREAMS)
def test_a_wrong_page_is_named(
    manager: str, page: int, client: int, spec: Spec, wrong_pages: Callable[[int], str]
) -> None:
    case = replace(spec(manager, clients=client + 1), pages=wrong_pages(page))
    with Worker() as worker:
        child_pid = worker.open(case)["child_pid"]
        reason = worker.refuses({"command": "slice", "seconds": 0.0})
        if manager == "floor":  # it says so itself, on the stderr that the suite shows
            assert "the floor ended with status 1" in reason
            assert f"wrong page for request {page}" in worker.stderr_at_end()
        else:
            assert f"wrong page: client {client}, request {page}" in reason
        assert is_gone(child_pid)


@pytest.mark.parametrize("manager", SUBJECTS)
@pytest.mark.parametrize("command", [("/no/such/child",), ("false",)], ids=["missing", "exits"])
def test_a_child_that_does_not_start(manager: str, command: tuple[str, ...], spec: Spec) -> None:
    with Worker() as worker:
        reason = worker.refuses(replace(spec(manager), child_command=command).to_message())
        said = reason + worker.stderr_at_end()
    assert re.search(r"/no/such/child|false|return code 1|status 1", said), said
    assert "Traceback" not in said


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("manager", ["sync", "async", "async-uvloop"])
def test_a_child_that_dies_fails_the_run_and_is_named(
    manager: str, transport: str, spec: Spec
) -> None:
    with Worker() as worker:
        child_pid = worker.open(replace(spec(manager), transport=transport))["child_pid"]
        worker.slice()
        os.kill(child_pid, signal.SIGKILL)
        # The manager would start another one; what was measured so far was not this child.
        reason = worker.refuses({"command": "slice", "seconds": SLICE_S})
    assert "child" in reason, reason


@pytest.mark.parametrize("manager", ["sync", "async", "async-uvloop"])
def test_children_that_are_expected_to_end_are_measured_all(manager: str, spec: Spec) -> None:
    command = build.child_command("python", fault="exit-after-reply:every=20")
    with Worker() as worker:
        worker.open(replace(spec(manager), child_command=command, fault="crash"))
        usage, launches = [], 0
        while launches < 3:  # a busy machine needs some more slices
            usage.append(worker.slice()[1])
            report = worker.ask({"command": "report"}, "report")
            launches = report["counters"]["launches"]
    # An interpreter needs milliseconds to start: each child's time is in the sum.
    assert sum(one["child_cpu_ns"] for one in usage) > (launches - 1) * 1_000_000
    assert report["counters"]["kills"] >= launches - 1
    assert 0 <= report["child_user_share"] <= 1


@pytest.mark.parametrize("manager", ["sync", "async", "async-uvloop", "floor"])
@pytest.mark.parametrize("where", ["any", "same-cpu", "split"])
def test_manager_and_child_are_where_they_were_asked_for(
    manager: str, where: str, spec: Spec
) -> None:
    if why := placement.problem(where):
        pytest.skip(why)
    allowed = os.sched_getaffinity(0)
    with Worker() as worker:
        child_pid = worker.open(replace(spec(manager), placement=where))["child_pid"]
        worker.slice()
        cpus = [os.sched_getaffinity(pid) for pid in (worker.process.pid, child_pid)]
    expected = placement.cpus(where)
    assert cpus == ([allowed, allowed] if expected is None else [{cpu} for cpu in expected])
    assert (expected is not None and expected[0] == expected[1]) == (where == "same-cpu")


def test_a_floor_that_dies_is_named(spec: Spec) -> None:
    with Worker() as worker:
        child_pid = worker.open(spec("floor"))["child_pid"]
        worker.slice()
        (floor_pid,) = own_children_of(worker.process.pid)
        os.kill(floor_pid, signal.SIGKILL)
        assert eventually(lambda: has_ended(floor_pid))
        reason = worker.refuses({"command": "slice", "seconds": SLICE_S})
    assert "floor" in reason, reason
    assert eventually(lambda: has_ended(child_pid))


def test_a_floor_that_dies_inside_a_slice_is_named(spec: Spec) -> None:
    with Worker() as worker:
        child_pid = worker.open(spec("floor"))["child_pid"]
        (floor_pid,) = own_children_of(worker.process.pid)
        floor = ProcessMeter(floor_pid)
        before = floor.used().cpu_ns
        worker.send({"command": "slice", "seconds": 20.0})
        assert eventually(lambda: floor.used().cpu_ns - before > 10_000_000)
        os.kill(floor_pid, signal.SIGKILL)
        assert eventually(lambda: has_ended(floor_pid))
        reply = worker.reply()
        assert reply["reply"] == "error"
        assert "floor" in reply["reason"], reply
        assert worker.process.wait(LIMIT_S) == 1
    assert eventually(lambda: has_ended(child_pid))


def own_children_of(pid: int) -> set[int]:
    """Child processes of a single-threaded process."""
    return {int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def busy_of(pid: int) -> list[int]:
    """The busy processes of a worker."""
    return [
        one
        for one in sorted(own_children_of(pid))
        if b"worker.poll" in Path(f"/proc/{one}/cmdline").read_bytes()
    ]


@pytest.mark.parametrize("manager", WITH_STREAMS)
def test_nothing_heavy_is_imported(manager: str, spec: Spec) -> None:
    with Worker("-X", "importtime") as worker:
        worker.open(spec(manager))
        worker.slice(0.0)
        worker.ask({"command": "report"}, "report")
        worker.ends()
        lines = worker.stderr_at_end().splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time")}
    assert "bench.worker.subjects.choice" in imported, "the list of imports is read as it should be"
    assert ("uvloop" in imported) == (manager == "async-uvloop")
    assert not {name.partition(".")[0] for name in imported} & set(HEAVY)


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("manager", WITH_STREAMS)
def test_a_killed_worker_leaves_no_child(manager: str, busy: bool, spec: Spec) -> None:
    with Worker() as worker:
        pids = {worker.open(spec(manager))["child_pid"], *own_children_of(worker.process.pid)}
        assert len(pids) == (2 if manager == "floor" else 1)
        if busy:
            worker.send({"command": "slice", "seconds": 0.5})
        worker.process.kill()
        worker.process.wait()
        for pid in pids:
            assert eventually(lambda pid=pid: has_ended(pid))  # type: ignore[misc]


def test_a_suite_that_is_gone_leaves_no_process(spec: Spec) -> None:
    with Worker() as worker:
        child_pid = worker.open(spec("sync"))["child_pid"]
        worker.stdout.close()
        worker.send({"command": "report"})
        assert worker.process.wait(LIMIT_S) != 0
        assert is_gone(child_pid)


@pytest.mark.parametrize("manager", ["sync", "async"])
def test_a_read_path_is_limited_and_counted(manager: str, spec: Spec) -> None:
    case = replace(spec(manager, clients=6), admission="both:3,2", data_bytes=8192)
    with Worker() as worker:
        worker.open(replace(case, download_ms=0.1, download_share=0.5))
        reply = worker.ask({"command": "slice", "seconds": SLICE_S}, "slice")
        samples = SliceSamples.from_payload(worker.payload_of(reply), 6)
        assert reply["series"] == dict.fromkeys((REDO_NS, REDO_END), samples.latency_ns.size)
        counts = reply["counts"]
        assert 1 <= counts["redoing_peak"] <= 2
        assert 1 <= counts["collecting_peak"] <= 3
        assert counts["held_peak_bytes"] in (8192, 2 * 8192, 3 * 8192)
        assert 0 <= counts["child_idle_ns"] <= samples.end_ns.max()
        counters = worker.ask({"command": "report"}, "report")["counters"]
        # With the pings between two redos whose pages begin alike.
        assert counters["in_flight_peak"] <= 2 + min(2, counters["fences"])
        worker.ends()


@pytest.mark.parametrize("manager", ["sync", "async"])
def test_a_read_over_budget_ends_the_run(manager: str, spec: Spec) -> None:
    case = replace(
        spec(manager, clients=2), admission="after:1", data_bytes=8192, budget_bytes=8000
    )
    with Worker() as worker:
        child_pid = worker.open(case)["child_pid"]
        reason = worker.refuses({"command": "slice", "seconds": SLICE_S})
        assert "over budget: data of 1 x 8192 bytes is more than 8000" in reason
        assert is_gone(child_pid)
