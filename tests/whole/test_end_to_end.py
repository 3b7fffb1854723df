"""The whole suite, really run: from the command line to a file that pyperf reads.

Every run here has a session of its own, so that a process that it leaves behind is found.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pyperf
import pytest

from bench.places import ROOT
from bench.results.histogram import RELATIVE_ERROR, distribution
from bench.results.result_file import ResultFile
from fake_redo_child.build import CompilerMissing, find_compiler
from tests.support.managers import SLACK_S, eventually
from tests.support.suite_server import SuiteServer
from tests.support.suites import LIMIT_S, Ended, Suite, kill_session, run, session_of

QUICK = (
    "run --profile quick --rounds 1 --seconds 0.05 --warmup-s 0.01 --workload short --clients 1,8"
    " --slices 5"
)
CASES = {f"{manager}/short/n={n}" for manager in ("sync", "async", "floor") for n in (1, 8)}

OF_EVERY_RUN = {
    "redo_schema_version",
    "redo_manager",
    "redo_workload",
    "redo_clients",
    "redo_child",
    "redo_round",
    "redo_redos",
    "redo_slices",
    "redo_time_per_redo",
    "redo_throughput",
    "redo_latency_p50",
    "redo_latency_p90",
    "redo_latency_p99",
    "redo_latency_p99_9",
    "redo_latency_max",
    "redo_hdr_histogram",
    "redo_turn_p50",
    "redo_turn_p90",
    "redo_turn_p99",
    "redo_turn_p99_9",
    "redo_turn_max",
    "redo_turn_hdr_histogram",
    "redo_client_redos_min",
    "redo_client_redos_max",
    "redo_self_check",
    "redo_littles_law",
    "redo_littles_law_explained",
    "redo_switches_manager_voluntary",
    "redo_switches_manager_involuntary",
    "redo_switches_child_voluntary",
    "redo_switches_child_involuntary",
    "redo_start_ns",
    "redo_kernel",
    "redo_cpu_model",
    "redo_cpu_count",
    "redo_cpu_governor",
    "redo_seed",
    "redo_profile",
    "redo_config",
    "redo_suite_date",
    "redo_child_build_compiler",
    "redo_child_build_c_child_flags",
    "redo_child_build_floor_flags",
    "loops",
    "name",
    "unit",
    "python_version",
    "python_implementation",
    "duration",
}
OF_PYTHON_MANAGERS = {
    "redo_read_calls",
    "redo_write_calls",
    "redo_poll_calls",
    "redo_counter_redos",
    "redo_worker_manager_kind",
}
OF_CPU = {
    "redo_cpu_manager_user",
    "redo_cpu_manager_system",
    "redo_cpu_child_user",
    "redo_cpu_child_system",
    "redo_cpu_total",
}
"""Absent where a process has used less than the clock tick that the split is known by."""


@pytest.fixture(scope="module", autouse=True)
def compiler() -> None:
    try:
        find_compiler()
    except CompilerMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """The result of one small suite of all the quick profile's managers."""
    folder = tmp_path_factory.mktemp("quick")
    path = folder / "result.json"
    return path, run(folder, *QUICK.split(), "-o", str(path))


def runs_of(path: Path) -> Iterator[tuple[str, pyperf.Run]]:
    for benchmark in pyperf.BenchmarkSuite.load(str(path)):
        for one in benchmark.get_runs():
            yield benchmark.get_name(), one


def test_it_succeeds_and_shows_what_it_measured(quick: tuple[Path, Ended]) -> None:
    path, ended = quick
    assert ended.status == 0, ended.err
    for row in ("sync", "async", "floor"):
        assert re.search(rf"\b{row}[!~]* +[0-9.]+", ended.out)
    assert ended.out.splitlines()[-1] == str(path)
    # Beside the result and the folder for temporary files there is nothing.
    assert {one.name for one in path.parent.iterdir()} == {"result.json", "tmp"}


def test_the_benchmarks_are_the_cases(quick: tuple[Path, Ended]) -> None:
    suite = pyperf.BenchmarkSuite.load(str(quick[0]))
    assert set(suite.get_benchmark_names()) == CASES
    for _, one in runs_of(quick[0]):
        assert 2 <= len(one.values) <= 5  # fewer where they are stretched
        assert min(one.values) > 0


def test_every_run_has_its_metadata(quick: tuple[Path, Ended]) -> None:
    for name, one in runs_of(quick[0]):
        metadata = one.get_metadata()
        assert set(metadata) >= OF_EVERY_RUN, name
        manager, workload, clients = name.split("/")
        assert (metadata["redo_manager"], metadata["redo_workload"]) == (manager, workload)
        assert metadata["redo_clients"] == int(clients.removeprefix("n="))
        assert (metadata["redo_round"], metadata["redo_child"]) == (1, "c")
        if manager != "floor":
            assert set(metadata) >= OF_PYTHON_MANAGERS, name
        assert not {"hostname", "python_executable"} & set(metadata)


def test_cpu_usage_is_known_once_there_is_enough_of_it(tmp_path: Path, server: SuiteServer) -> None:
    path = tmp_path / "r.json"
    command = "run --profile quick --rounds 1 --seconds 0.6 --workload short --clients 4"
    ended = server.run(tmp_path, *command.split(), "--manager", "async,floor", "-o", str(path))
    assert ended.status == 0
    for name, one in runs_of(path):
        metadata = one.get_metadata()
        assert set(metadata) >= OF_CPU, name
        parts = [metadata[key] for key in OF_CPU - {"redo_cpu_total"}]
        assert metadata["redo_cpu_total"] == pytest.approx(sum(parts))
        assert 0 < metadata["redo_cpu_total"] < metadata["redo_time_per_redo"] * 10


def test_numbers_of_a_run_agree_with_each_other(quick: tuple[Path, Ended]) -> None:
    for name, one in runs_of(quick[0]):
        data = one.get_metadata()
        clients, slices = data["redo_clients"], data["redo_slices"]
        assert (
            0
            < data["redo_latency_p50"]
            <= data["redo_latency_p90"]
            <= data["redo_latency_p99"]
            <= data["redo_latency_p99_9"]
            <= data["redo_latency_max"]
        ), name
        for at in ("p50", "p90", "p99", "p99_9", "max"):
            assert data[f"redo_turn_{at}"] >= data[f"redo_latency_{at}"], name
        turns = distribution(data["redo_turn_hdr_histogram"])
        assert turns.samples == data["redo_redos"]
        # The turns of a client fill its wall, so their mean is the time per redo.
        mean_s = (turns.values_ns * turns.counts).sum() / turns.samples / 1e9
        assert mean_s == pytest.approx(data["redo_time_per_redo"], rel=RELATIVE_ERROR)
        assert slices * clients <= data["redo_redos"]
        assert data["loops"] == max(1, round(data["redo_redos"] / slices))
        assert data["redo_client_redos_min"] * clients <= data["redo_redos"]
        assert data["redo_client_redos_max"] * clients >= data["redo_redos"]
        if "redo_counter_redos" in data:
            assert data["redo_counter_redos"] > data["redo_redos"]  # warm-up included
            assert data["redo_counter_errors"] == 0
            assert data["redo_counter_launches"] == 1
        # The clients' walls lie within the wall from the barrier on.
        assert data["redo_throughput"] * data["redo_time_per_redo"] <= clients * 1.000001
        assert data["redo_littles_law"] <= 1.000001
        off = 1 - data["redo_littles_law"] - data["redo_littles_law_explained"]
        assert (data["redo_self_check"] == "ok") == (off <= 0.02), name


def test_littles_law_holds_for_every_case(
    quick: tuple[Path, Ended], tmp_path: Path, server: SuiteServer
) -> None:
    # A client that was kept off the CPU may miss it, so each case has some rounds to keep it in.
    path = tmp_path / "r.json"
    path.write_bytes(quick[0].read_bytes())
    for rounds in range(2, 9):
        kept = {
            name
            for name, one in runs_of(path)
            if 1 - one.get_metadata()["redo_littles_law"]
            <= 0.02 + one.get_metadata()["redo_littles_law_explained"]
        }
        if kept == CASES:
            return
        ended = server.run(tmp_path, "run", "--resume", str(path), "--rounds", str(rounds))
        assert ended.status == 0, ended.err
    raise AssertionError(f"no round in which {CASES - kept} kept Little's law")


@pytest.mark.parametrize("command", ["show", "stats", "hist", "metadata"])
def test_pyperf_reads_it(command: str, quick: tuple[Path, Ended]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pyperf", command, str(quick[0])],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "short" in done.stdout


def test_the_bench_reads_it_too(
    quick: tuple[Path, Ended], tmp_path: Path, server: SuiteServer
) -> None:
    path = quick[0]
    shown = server.run(tmp_path, "show", "--json", str(path))
    assert {case["name"] for case in json.loads(shown.out)["cases"]} == CASES
    drawn = server.run(tmp_path, "plot", str(path), "--format", "svg", "-o", str(tmp_path / "p"))
    assert drawn.status == 0
    assert (tmp_path / "p-latency.svg").exists()


def test_other_dimensions_are_in_the_names(tmp_path: Path, server: SuiteServer) -> None:
    path = tmp_path / "r.json"
    command = "run --profile quick --rounds 1 --seconds 0.01 --warmup-s 0 --manager async,sync"
    more = "--workload ping,short+image --clients 2 --child c,python"
    ended = server.run(tmp_path, *command.split(), *more.split(), "-o", str(path))
    assert ended.status == 0, ended.err
    assert {name for name, _ in runs_of(path)} == {
        f"{manager}/{workload}/n=2{child}"
        for manager in ("sync", "async")
        for workload in ("ping", "short+image")
        for child in ("", "/child=python")
    }


# --- Interruptions --------------------------------------------------------------------------------

INTERRUPTED = (
    *("run", "--profile", "quick", "--manager", "sync,async,floor", "--workload", "short"),
    *("--clients", "2", "--rounds", "4", "--seconds", "0.2", "--warmup-s", "0.01"),
)


def interrupted(folder: Path, path: Path, number: signal.Signals) -> Ended:
    """A suite that gets the signal in its second round."""
    suite = Suite(folder, *INTERRUPTED, "-o", str(path))
    try:
        suite.hears("round 1 of 4 saved")
        # A worker with its child is at work.
        assert eventually(lambda: len(session_of(suite.process.pid)) >= 3)
        suite.process.send_signal(number)
        return suite.end()
    finally:
        suite.kill()


def test_ctrl_c_keeps_the_finished_rounds_and_resume_does_the_rest(
    tmp_path: Path, server: SuiteServer
) -> None:
    path = tmp_path / "r.json"
    ended = interrupted(tmp_path, path, signal.SIGINT)
    assert ended.status == 130
    assert "Traceback" not in ended.err
    # What the machine is like, if it is said, is not of this test.
    lines = [line for line in ended.err.splitlines() if not line.startswith("machine: ")]
    started, estimate, saved, said = lines
    assert started == "3 cases, 4 rounds"
    assert estimate.startswith("this takes about ")
    assert saved.startswith("round 1 of 4 saved, about ")
    assert said == (
        "walredo-bench: interrupted; to do the missing rounds: python -m bench run --resume "
        + str(path)
    )
    assert ended.out == ""
    assert ResultFile.load(path).rounds() == (1,)
    first = ResultFile.load(path).run_count
    assert first == 3

    resumed = server.run(tmp_path, *ended.last_line.partition("python -m bench ")[2].split())
    assert resumed.status == 0, resumed.err
    assert "3 cases, 4 rounds, 1 done before" in resumed.err
    result = ResultFile.load(path)
    assert result.rounds() == (1, 2, 3, 4)
    assert result.run_count == 12
    assert {one.name for one in tmp_path.iterdir()} == {"r.json"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_to_be_terminated_leaves_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    ended = interrupted(tmp_path, path, number)
    assert ended.status == 130
    assert "Traceback" not in ended.err
    assert ended.last_line.endswith(f"python -m bench run --resume {path}")
    assert ResultFile.load(path).rounds() == (1,)


@pytest.mark.parametrize(
    ("command", "begun"),
    [
        ("ab HEAD --manager sync --workload short --clients 2 --placement any -o {}/x", "against"),
        ("selftest --only late --minutes 5", "trial 1, "),
    ],
    ids=["ab", "selftest"],
)
def test_a_hang_up_of_the_others_leaves_nothing_behind(
    command: str, begun: str, tmp_path: Path
) -> None:
    suite = Suite(tmp_path, *command.format(tmp_path).split())
    try:
        suite.hears(begun)
        assert eventually(lambda: len(session_of(suite.process.pid)) >= 3)
        suite.process.send_signal(signal.SIGHUP)
        ended = suite.end()
    finally:
        suite.kill()
    assert ended.status == 130, ended.err
    assert ended.last_line.startswith("walredo-bench: interrupted")
    # Pairs may have been saved; no lock is left.
    names = {path.name for path in tmp_path.iterdir()}
    assert names in ({"tmp"}, {"tmp", "x-base.json", "x-changed.json"})


ON_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "bench", *sys.argv[1:]])
"""


@pytest.mark.exhaustive
def test_a_terminal_that_is_closed_leaves_nothing_behind(tmp_path: Path) -> None:
    """The suite is hung up, and what it says reaches nobody."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    ours, theirs = os.openpty()
    os.set_blocking(ours, False)
    command = [sys.executable, "-c", ON_TERMINAL, *INTERRUPTED, "-o", str(tmp_path / "r.json")]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(temporary)},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)

    def is_at_work() -> bool:
        with contextlib.suppress(BlockingIOError):
            os.read(ours, 1 << 16)
        return len(session_of(process.pid)) >= 3

    try:
        assert eventually(is_at_work)
        os.close(ours)
        process.wait(SLACK_S)
        assert session_of(process.pid) == set()
    finally:
        kill_session(process.pid)
        process.wait()
    assert list(temporary.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} <= {"tmp", "r.json"}


def test_a_suite_that_is_killed_leaves_no_process_for_long(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    suite = Suite(tmp_path, *INTERRUPTED, "-o", str(path))
    try:
        suite.hears("round 1 of 4 saved")
        assert eventually(lambda: len(session_of(suite.process.pid)) >= 3)
        suite.process.kill()
        suite.process.wait(SLACK_S)
        # Workers and children end by the end of their input; the last round was not harmed.
        assert eventually(lambda: session_of(suite.process.pid) == set())
    finally:
        suite.kill()
    assert ResultFile.load(path).rounds() == (1,)


# --- Wrong answers --------------------------------------------------------------------------------

ALTERED = """
import sys
from dataclasses import replace
prepare = cli_run.prepare
def altered(config, folder, interpreters):
    made = prepare(config, folder, interpreters)
    {change}
    return made
cli_run.prepare = altered
"""
WRONG_FILE = (
    "path = made.traffic['short'].pages; pages = bytearray(path.read_bytes());"
    " pages[8191] ^= 1; path.write_bytes(pages)"
)
WRONG_CHILD = (
    "from bench.cases.case import ChildVariant;"
    " wrong = {ChildVariant('c'): (sys.executable, child)};"
    " made = replace(made, child_commands=made.child_commands | wrong)"
)
CHILD = """
    import sys
    sys.path.insert(0, {root!r})
    from fake_redo_child.child import python_child
    from walredo.request import parse_requests
    asked = 0
    while True:
        stream = b""
        while stream[-22:-21] != b"G" and stream[:1] != b"H":
            head = sys.stdin.buffer.read(5)
            if not head:
                sys.exit()
            stream += head + sys.stdin.buffer.read(int.from_bytes(head[1:], "big") - 4)
        page = bytearray(8192)
        if stream[:1] == b"B":
            (request,) = parse_requests(stream)
            records = [(record.end_lsn, record.data) for record in request.records]
            page[:] = python_child.redo_page(request.tag.fields, request.base_image, records)
            asked += 1
            page[8191] ^= asked == 7
        sys.stdout.buffer.write(page)
        sys.stdout.buffer.flush()
"""


@pytest.mark.parametrize("change", [WRONG_FILE, WRONG_CHILD], ids=["file", "child"])
def test_wrong_pages_fail_their_runs_and_the_others_go_on(
    change: str, server: SuiteServer, tmp_path: Path
) -> None:
    child, path = tmp_path / "child.py", tmp_path / "r.json"
    child.write_text(textwrap.dedent(CHILD).format(root=str(ROOT)))
    command = "run --profile quick --rounds 2 --seconds 0.05 --warmup-s 0.01 --clients 3"
    ended = server.run(
        tmp_path,
        *(*command.split(), "--workload", "ping,short", "-o", str(path)),
        code=ALTERED.format(change=change),
        child=str(child),
    )
    assert ended.status == 1
    assert "Traceback" not in ended.err
    assert "wrong page" in ended.err
    assert "wrong page" in " ".join(ended.out.split())
    result = ResultFile.load(path)
    managers = ("sync", "async", "floor")
    assert {(one.case.manager, one.case.workload, one.round) for one in result.failures} == {
        (manager, "short", number) for manager in managers for number in (1, 2)
    }
    for failure in result.failures:
        assert "wrong page" in failure.reason
        assert len(failure.reason.splitlines()) == 1
    assert {name for name, _ in runs_of(path)} == {f"{one}/ping/n=3" for one in managers}
    assert result.run_count == 6


def test_named_baselines_and_sessions_combined(server: SuiteServer, tmp_path: Path) -> None:
    code = (
        "import bench.results.naming, pathlib; bench.results.naming.RESULTS = pathlib.Path(results)"
    )

    def done(command: str) -> str:
        ended = server.run(tmp_path, *command.split(), code=code, results=str(tmp_path))
        assert ended.status == 0, ended.err
        return " ".join(ended.out.split())

    for name in ("before", "again", "after"):
        assert done(f"{QUICK} --save-as {name}").endswith(f"/baselines/{name}.json")
    assert re.findall(r"(\w+) 20\d\d-", done("list --saved")) == ["after", "again", "before"]
    assert "before.json (" in done("compare before")
    assert "2 sessions, 1 + 1 rounds" in done("show before again --combine")
    compared = json.loads(done("compare before,again after --combine --no-control --json"))
    units = {tuple(one["measures"]["throughput_per_s"]["units"]) for one in compared["cases"]}
    assert {one["case"] for one in compared["cases"]} == CASES
    assert units == {(2, 1)}
