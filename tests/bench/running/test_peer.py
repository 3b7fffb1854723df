"""A program of the user's as a manager: what a result has of it, and what it may do wrong."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cases.case import Case
from bench.cases.config import Config, ConfigError, from_json, load_profile, override
from bench.cases.matrix import cases_of
from bench.errors import BenchError, SampleError
from bench.places import ROOT
from bench.results.measures.redos import redos, throughput_per_s, time_per_redo_s, wall_s
from bench.results.pyperf_run import to_pyperf_run
from bench.results.record import RunRecord
from bench.results.result_file import ResultFile
from bench.results.samples import SliceSummary
from bench.results.summary import load_summary
from bench.running import processes
from bench.running.equipment.equipment import Equipment, prepare
from bench.running.equipment.interpreters import find_interpreters
from bench.running.peer import check_peer
from bench.running.processes import RunFailedError
from bench.running.run import measure_run
from bench.running.schedule import Plan, order_of_round
from bench.show.pictures.style import look
from tests.support.made_up_runs import Bench
from tests.support.managers import eventually, is_gone, own_children
from tests.support.suite_server import SuiteServer
from tests.support.suites import Suite
from tests.support.synthetic import ENVIRONMENT

HEAD = """\
#!{python}
import json, os, subprocess, sys, time
kind, child, file, clients, redos = sys.argv[1], sys.argv[2], sys.argv[3], *map(int, sys.argv[4:])
def say(**changed):
    print(json.dumps({{"kind": kind, "clients": clients, "redos": redos,
                      "mean_us": 50.0 * clients, "redos_per_s": 20_000}} | changed))
"""

DRIVES = """
import threading
sys.path.insert(0, {root!r})
from walredo import ManagerConfig, SyncRedoManager, parse_requests
(request,) = parse_requests(open(file, "rb").read())
barrier, ends_ns = threading.Barrier(clients + 1), []
with SyncRedoManager(ManagerConfig(child_command=(child,), timeout_s=60)) as manager:
    manager.request_redo(request)
    def client():
        barrier.wait()
        for _ in range(redos // clients):
            assert len(manager.request_redo(request)) == 8192
        ends_ns.append(time.perf_counter_ns() - start_ns)
    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    start_ns = time.perf_counter_ns()
    barrier.wait()
    for thread in threads:
        thread.join()
say(mean_us=sum(ends_ns) / redos / 1e3, redos_per_s=redos / max(ends_ns) * 1e9)
"""
"""A peer that has a manager."""

ABSENT = (
    "redo_latency_",
    "redo_hdr_",
    "redo_client_redos",
    "redo_self",
    "redo_littles",
    "redo_cpu_manager",
)
SMALL = "--child python --workload short --seconds 0.01 --slices 2 --warmup-s 0 --profile quick"

Peer = Callable[[str], Path]
Measure = Callable[..., RunRecord]


@pytest.fixture
def peer(tmp_path: Path) -> Peer:
    """Makes a peer of what it does."""

    def make(body: str) -> Path:
        path = tmp_path / "the-peer"
        path.write_text(HEAD.format(python=sys.executable) + textwrap.dedent(body))
        path.chmod(0o700)
        return path

    return make


def config_of(program: Path | str, **options: object) -> Config:
    chosen: dict[str, object] = {"manager": "peer:word", "workload": "short", "clients": "4"}
    chosen |= {"child": "python", "seconds": 0.02, "slices": 2, "warmup_s": 0}
    return override(load_profile("quick"), peer=str(program), **(chosen | options))


@pytest.fixture
def measure(tmp_path: Path) -> Measure:
    """Measures one run of a peer; no process of it is left."""

    def made(program: Path, **options: object) -> RunRecord:
        config = config_of(program, **options)
        equipment: Equipment = prepare(config, tmp_path, find_interpreters([]))
        case = Case(config.manager[0], "short", config.clients[0], child="python")
        before = own_children()
        try:
            return measure_run(case, 1, config, equipment)
        finally:
            assert processes._running == set()
            assert own_children() == before

    return made


# --- What a run gives -----------------------------------------------------------------------------


def test_a_summary_has_the_measures_that_need_no_samples() -> None:
    slices = [
        SliceSummary(2, 100, 1_000_000, 2_000_000),
        SliceSummary(2, 300, 1_000_000, 1_600_000),
    ]
    assert redos(slices) == 400
    assert wall_s(slices) == pytest.approx(0.002)
    assert throughput_per_s(slices) == pytest.approx(200_000)
    assert time_per_redo_s(slices) == pytest.approx(9e-6)


@pytest.mark.parametrize("numbers", [(0, 1, 1, 1), (2, 1, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0)])
def test_an_impossible_summary_is_refused(numbers: tuple[int, int, int, int]) -> None:
    with pytest.raises(SampleError):
        SliceSummary(*numbers)


def test_what_is_not_known_of_a_peer_is_absent(peer: Peer, measure: Measure) -> None:
    record = measure(peer("say()"))
    metadata = to_pyperf_run(record, ENVIRONMENT).get_metadata()
    assert metadata["name"] == "peer:word/short/n=4/child=python"
    assert metadata["redo_throughput"] == pytest.approx(20_000)
    assert metadata["redo_time_per_redo"] == pytest.approx(200e-6)
    assert [key for key in metadata if key.startswith(ABSENT)] == []


def test_a_slice_has_the_redos_that_fill_it_and_a_whole_share_each(
    peer: Peer, measure: Measure
) -> None:
    # 20,000 redos/s: 0.5 s a slice are 10,000, and 3 clients can only do 10,002 alike.
    record = measure(peer("say()"), clients="3", seconds=1.0)
    assert [one.redos for one in record.slices if isinstance(one, SliceSummary)] == [10_002] * 2
    record = measure(peer("say()"), clients="64", seconds=0.002)
    assert {redos([one]) for one in record.slices} == {30 * 64}


def test_it_is_given_one_request_and_a_child_without_arguments(
    peer: Peer, measure: Measure, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    measure(peer(f"open({str(seen)!r}, 'w').write(json.dumps(sys.argv)); say()"))
    _, kind, child, file, clients, _ = json.loads(seen.read_text())
    assert (kind, clients) == ("word", "4")
    assert Path(child).read_text().startswith("#!/bin/sh\nexec ")
    dumped = subprocess.run(
        [sys.executable, "-m", "bench", "dump-request", "short"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    assert Path(file).read_bytes() == dumped.stdout


# --- What a peer does wrong costs its run ---------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("print('hello')", "the peer talks nonsense (JSONDecodeError"),
        ("", "the peer talks nonsense (ValueError: 0 lines instead of one)"),
        ("say(); say()", "2 lines instead of one"),
        ("print([1])", "the peer talks nonsense (TypeError"),
        ("print('[' * 50_000)", "the peer talks nonsense (RecursionError"),
        ("print('x' * 100_000)", "the peer talks nonsense (more than one line)"),
        ("say(clients=1)", "clients is 1, not 4"),
        ("say(kind='other')", "kind is 'other', not 'word'"),
        ("say(redos=7)", "redos is 7, not"),
        ("say(mean_us=float('nan'))", "mean_us nan"),
        ("say(redos_per_s=0)", "redos_per_s 0"),
        ("say(redos_per_s=1e300)", "redos_per_s 1e+300"),
        ("say(mean_us=1e-9)", "the peer talks nonsense (SampleError"),
        (
            "say(); sys.exit('no memory')",
            "the peer ended with status 1; its stderr ends: no memory",
        ),
        ("os.abort()", "the peer ended with signal SIGABRT"),
    ],
)
def test_a_peer_that_fails(peer: Peer, measure: Measure, body: str, reason: str) -> None:
    with pytest.raises(RunFailedError) as caught:
        measure(peer(body))
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_program(tmp_path: Path, measure: Measure) -> None:
    program = tmp_path / "picture"
    program.write_bytes(b"\x89PNG\r\n")
    program.chmod(0o700)
    with pytest.raises(RunFailedError, match=r"^the peer cannot be started \(Exec format error\)$"):
        measure(program)


def test_a_peer_out_of_time_is_ended_with_all_it_started(
    peer: Peer, measure: Measure, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    program = peer(f"""
        slow = subprocess.Popen(["sleep", "600"])
        with open({str(started)!r}, "w") as note:
            note.write(str(slow.pid))
        print("waiting", file=sys.stderr, flush=True)
        time.sleep(600)
    """)
    with pytest.raises(RunFailedError) as caught:
        measure(program, run_timeout_s=2)
    assert str(caught.value) == (
        "the peer is not done within 2 s (--run-timeout-s); its stderr ends: waiting"
    )
    assert eventually(lambda: is_gone(int(started.read_text())))


# --- Refused before anything is launched ----------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ("--manager sync,peer:async", "peer:async: which program is it? Name it with --peer PATH"),
        ("--manager peer:a --peer no/such", "--peer no/such: there is no such file"),
        ("--manager peer:a --peer .", "--peer .: is not an executable file"),
        ("--manager peer:a --peer plain", "--peer plain: is not an executable file"),
        (
            "--manager peer:a --peer ok --workload ping,short",
            "peer:a has no ping, only whole redos",
        ),
        ("--manager peer:a --peer ok --placement same-cpu", "leave out the placement same-cpu"),
        ("--manager peer:", "'peer:': expected peer:KIND, as in peer:async"),
        ("--manager peer", "'peer': expected peer:KIND, as in peer:async"),
    ],
)
def test_a_peer_that_cannot_be_run_is_refused(bench: Bench, options: str, line: str) -> None:
    Path("plain").write_text("not executable")
    Path("ok").touch(mode=0o700)
    assert line in bench.refuses(f"run {SMALL} --clients 1 {options}")


def test_only_who_has_a_peer_needs_its_program() -> None:
    check_peer(config_of("", manager="sync", workload="ping"))
    with pytest.raises(BenchError):
        check_peer(config_of(""))
    with pytest.raises(ConfigError, match="unknown manager"):
        config_of("", manager="piers-async")


def test_the_profile_loads_without_the_program() -> None:
    config = load_profile("peer")
    assert {"peer:async", "peer:sync", "sync", "floor"} <= set(config.manager)
    assert (config.clients, config.rounds, config.peer) == ((1, 2, 8, 32, 128), 7, "")


def test_make_says_what_it_needs() -> None:
    ended = subprocess.run(
        ["make", "peer", "PEER="], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "error: which program? Say make peer PEER=path" in ended.stderr


# --- Suites ---------------------------------------------------------------------------------------


def test_peers_are_in_the_random_order_of_every_round(bench: Bench, peer: Peer) -> None:
    program = peer("say()")
    options = f"--manager sync,peer:a,peer:b --clients 1,2 --rounds 3 --peer {program}"
    status, _, err = bench(f"run {SMALL} {options} -o r.json")
    assert status == 0, err
    cases = tuple(dict.fromkeys(case for _, case in bench.ran))
    assert len(cases) == 6
    config = from_json(ResultFile.load(Path("r.json")).environment.config_json)
    plan = Plan(cases_of(config), 3, config.seed)
    expected = [(number, case) for number in (1, 2, 3) for case in order_of_round(plan, number)]
    assert bench.ran == expected


def test_a_suite_with_a_peer_that_has_a_manager(
    peer: Peer, tmp_path: Path, server: SuiteServer
) -> None:
    program, path = peer(DRIVES.format(root=str(ROOT))), tmp_path / "r.json"
    options = f"--manager sync,peer:mine --clients 1,3 --peer {program} -o {path}".split()
    ended = server.run(tmp_path, "run", *SMALL.split(), *options, "--rounds", "1", "--plot")
    assert ended.status == 0, ended.err
    for manager in ("sync", "peer:mine"):
        assert manager in ended.out
    text = path.read_text()
    assert str(tmp_path) not in text  # no path in a result
    rows = {row.case.manager: row for row in load_summary(path).rows if row.case.clients == 3}
    assert rows["peer:mine"].throughput_per_s is not None
    assert rows["peer:mine"].latency_p50_s is rows["peer:mine"].cpu_total_s is None
    assert rows["sync"].latency_p50_s is not None
    latency, throughput = (
        (tmp_path / f"r-{name}-child-python.svg").read_text() for name in ("latency", "throughput")
    )
    assert ">peer:mine<" in throughput
    assert ">peer:mine<" not in latency

    # It goes on with the same program, and with no other.
    again = ("run", "--resume", str(path), "--rounds", "2", "--peer", str(program))
    missing = server.run(tmp_path, *again[:-2])
    assert (missing.status, "Name it with --peer PATH" in missing.err) == (2, True)
    assert server.run(tmp_path, *again).status == 0
    assert load_summary(path).rounds == (1, 2)
    peer("say()")
    other = server.run(tmp_path, *again[:4], "3", *again[5:])
    assert (other.status, "another peer_sha256" in other.err) == (2, True)


def test_only_the_runs_of_a_bad_peer_are_lost(
    peer: Peer, tmp_path: Path, server: SuiteServer
) -> None:
    program, path = peer("print('hello')"), tmp_path / "r.json"
    options = f"--manager sync,peer:mine --clients 1 --rounds 2 --peer {program} -o {path}"
    ended = server.run(tmp_path, "run", *SMALL.split(), *options.split())
    assert ended.status == 1
    result = ResultFile.load(path)
    assert result.run_count == 2
    assert {one.case.manager for one in result.failures} == {"peer:mine"}


def test_an_interrupted_suite_leaves_nothing_of_a_peer(peer: Peer, tmp_path: Path) -> None:
    started = tmp_path / "started"
    # Of the peer's own group and in one of its own: what outlives the group is found as well.
    program = peer(f"""
        subprocess.Popen(["sleep", "600"])
        subprocess.Popen(["sleep", "600"], process_group=0)
        open({str(started)!r}, "w").close()
        time.sleep(600)
    """)
    options = f"--manager peer:mine --clients 1 --rounds 1 --peer {program} -o {tmp_path}/r.json"
    suite = Suite(tmp_path, "run", *SMALL.split(), *options.split())
    try:
        assert eventually(started.exists)
        suite.process.send_signal(signal.SIGINT)
        assert suite.end().status == 130  # and nothing is left
    finally:
        suite.kill()


def test_peers_look_alike_in_every_figure_and_unlike_the_suites_own() -> None:
    for kind in ("sync", "async", "word"):
        assert look(f"peer:{kind}") == look(f"peer:{kind}")
        assert look(f"peer:{kind}") != look(kind)
    assert look("peer:sync").color != look("peer:async").color
    assert look("peer:sync").marker != look("peer:async").marker
