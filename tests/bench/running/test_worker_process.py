"""The suite's side of a worker, with workers that do what they must not.

Whatever a worker does costs its run only: a RunFailedError with a reason of one line, and neither a
process nor a descriptor is left.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.cases.case import Case, ChildVariant
from bench.cases.config import load_profile, override
from bench.places import ROOT
from bench.results.pyperf_run import to_pyperf_run
from bench.results.samples import SliceSamples
from bench.running import processes, worker_process
from bench.running.equipment.equipment import Equipment
from bench.running.equipment.interpreters import find_interpreters
from bench.running.equipment.workloads import Traffic
from bench.running.processes import STDERR_TAIL_BYTES, RunFailedError
from bench.running.run import measure_run
from bench.running.worker_process import WorkerProcess
from bench.worker.protocol import WorkerSpec
from tests.support.children import LIMIT_S
from tests.support.managers import eventually, has_ended, is_gone, open_descriptors, own_children
from tests.support.synthetic import ENVIRONMENT

SHORT_S = 0.3
"""A time that a worker which hangs is given."""

SPEC = WorkerSpec(
    manager="sync",
    workload="short",
    clients=1,
    child_command=("child",),
    requests="requests",
    pages="pages",
    timeout_s=1.0,
)

TALK = """
import array, json, os, signal, subprocess, sys, time

def command():
    line = sys.stdin.readline()
    return json.loads(line)["command"] if line else sys.exit()

def say(data):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()

def reply(**message):
    say(json.dumps(message).encode() + b"\\n")

def opened():
    command()
    reply(reply="opened", child_pid=1, start_ns=5)
"""
"""What every stub begins with."""

GOOD = """
opened()
while (what := command()) != "stop":
    if what == "slice":
        payload = array.array("q", [0, 1000, 1, 900]).tobytes()
        usage = {f"{p}_{w}": 1 for p in ("manager", "child")
                 for w in ("cpu_ns", "voluntary_switches", "involuntary_switches")}
        reply(reply="slice", payload_bytes=len(payload), usage=usage)
        say(payload)
    else:
        reply(reply="report", manager_user_share=0.5, child_user_share=None, counters={}, facts={})
reply(reply="stopped")
"""

Stub = Callable[[str], None]


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """Puts a script in the worker's place; afterwards nothing is left of it."""
    gc.collect()
    before, children = open_descriptors(), own_children()

    def put(script: str) -> None:
        path = tmp_path / "worker.py"
        path.write_text(TALK + textwrap.dedent(script))
        monkeypatch.setattr(worker_process, "WORKER", path)

    yield put
    assert own_children() == children
    assert open_descriptors() == before
    assert processes._running == set()


def reason_of(call: Callable[[], object]) -> str:
    """The reason with which it fails, which is one line."""
    with pytest.raises(RunFailedError) as failed:
        call()
    reason = str(failed.value)
    assert reason
    assert len(reason.splitlines()) == 1, reason
    return reason


def whole_run(timeout_s: float = LIMIT_S) -> Callable[[], object]:
    """A conversation as the suite has it."""

    def call() -> None:
        with WorkerProcess(SPEC, timeout_s) as worker:
            worker.slice(0.01)
            worker.report()
            worker.stop()

    return call


def test_a_good_worker(stub: Stub) -> None:
    stub(GOOD)
    with WorkerProcess(SPEC, LIMIT_S) as worker:
        assert worker.opened["start_ns"] == 5
        reply = worker.slice(0.01)
        payload, usage = reply.payload, reply.usage
        assert len(payload) == 32
        assert usage["child_cpu_ns"] == 1
        assert worker.report()["manager_user_share"] == 0.5
        worker.stop()


@pytest.mark.parametrize(
    ("script", "how"),
    [
        ("sys.exit(3)", "status 3"),
        ("sys.exit(0)", "status 0"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "signal SIGSEGV"),
        ("os.kill(os.getpid(), 40)", "signal"),
        ("command(); sys.exit(4)", "status 4"),
        ("opened(); sys.exit(5)", "status 5"),
        ("opened(); command(); sys.exit(6)", "status 6"),
        ("opened(); command(); say(b'{\"reply\":'); sys.exit(7)", "status 7"),
        (
            "opened(); command(); reply(reply='slice', payload_bytes=999, usage={});"
            " say(b'12345678'); sys.exit(8)",
            "status 8",
        ),
    ],
)
def test_a_worker_that_ends(script: str, how: str, stub: Stub) -> None:
    stub(script)
    reason = reason_of(whole_run())
    # It may be gone before the suite has asked: then how it ended is not known yet.
    assert how in reason or reason == "the worker ended"


def test_a_worker_that_cannot_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "WORKER", tmp_path / "nowhere.py")
    reason = reason_of(whole_run())
    assert "the worker ended" in reason
    assert "nowhere.py" in reason


def test_a_traceback_is_shown_on_one_line(stub: Stub) -> None:
    stub("command(); raise ValueError('first\\nsecond')")
    reason = reason_of(whole_run())
    assert "status 1; its stderr ends: " in reason
    assert "ValueError: first" in reason


@pytest.mark.parametrize(
    "script",
    [
        "time.sleep(600)",
        "opened(); time.sleep(600)",
        "opened(); command(); say(b'{\"reply\"'); time.sleep(600)",
        "opened(); command(); reply(reply='slice', payload_bytes=99, usage={}); time.sleep(600)",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); opened(); time.sleep(600)",
        "sys.stdin.close(); os.close(0); time.sleep(600)",
    ],
)
def test_a_worker_that_hangs(script: str, stub: Stub) -> None:
    stub(script)
    reason = reason_of(whole_run(SHORT_S))
    assert reason == f"not done within {SHORT_S:g} s (--run-timeout-s)"


def test_a_worker_that_does_not_stop(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "STOP_S", SHORT_S)
    stub(GOOD.replace('reply(reply="stopped")', "time.sleep(600)"))
    assert "not done within" in reason_of(whole_run())


def test_a_reply_by_drops_is_still_late(stub: Stub) -> None:
    # Something comes all the time, so no single wait is ever too long.
    stub("opened(); command()\nwhile True: say(b'x'); time.sleep(0.01)")
    assert "not done within" in reason_of(whole_run(SHORT_S))


@pytest.mark.parametrize(
    "said",
    [
        b"hello\n",
        b"\n",
        b"\xff\xfe\x00\n",
        b"[]\n",
        b"null\n",
        b'"opened"\n',
        b'{"reply":"slice"}\n',
        b'{"command":"open"}\n',
        b'{"reply":["opened"]}\n',
        b'{"reply":"opened"',
        b"[" * 100_000 + b"\n",
        b"9" * 5000 + b"\n",
    ],
    ids=lambda said: repr(said[:12]),
)
def test_a_worker_that_talks_nonsense(said: bytes, stub: Stub) -> None:
    stub(f"command(); say({said!r}); sys.exit()")
    reason = reason_of(whole_run())
    assert "nonsense" in reason or "status 0" in reason
    assert len(reason) < 1000


@pytest.mark.timeout(5)
def test_a_worker_that_closes_its_output_and_lives_on(stub: Stub) -> None:
    stub("command(); os.close(1); time.sleep(600)")
    reason_of(whole_run(SHORT_S))


def test_a_line_without_an_end(stub: Stub) -> None:
    stub("command()\nwhile True: say(b'x' * 65536)")
    assert "a line without an end" in reason_of(whole_run())


@pytest.mark.parametrize(
    "reply",
    [
        "reply(reply='slice')",
        "reply(reply='slice', payload_bytes=8)",
        "reply(reply='slice', payload_bytes='many', usage={})",
        "reply(reply='slice', payload_bytes=None, usage={})",
        "reply(reply='slice', payload_bytes=-1, usage={})",
    ],
)
def test_a_reply_that_lacks_a_field(reply: str, stub: Stub) -> None:
    stub(f"opened(); command(); {reply}; say(b'12345678'); command()")
    reason_of(whole_run())


def test_an_error_reply_is_the_reason(stub: Stub) -> None:
    stub("command(); reply(reply='error', reason='no\\nchild   today'); sys.exit(1)")
    assert reason_of(whole_run()) == "no child today"


def test_an_error_reply_with_what_stderr_says(stub: Stub) -> None:
    stub(
        """
        command()
        print("the floor says why", file=sys.stderr, flush=True)
        reply(reply="error", reason="the floor ended")
        """
    )
    assert reason_of(whole_run()) == "the floor ended; its stderr ends: the floor says why"


def test_of_an_error_without_a_text_its_name_is_the_reason(stub: Stub) -> None:
    stub("command(); reply(reply='error', reason='MemoryError: '); sys.exit(1)")
    assert reason_of(whole_run()) == "MemoryError"


def test_a_worker_killed_by_somebody_else(stub: Stub) -> None:
    stub("opened(); print('so far', file=sys.stderr, flush=True); os.kill(os.getpid(), 9)")
    reason = reason_of(whole_run())
    assert reason == (
        "the worker ended with signal SIGKILL (out of memory?); its stderr ends: so far"
    ) or reason.startswith("the worker ended;")


def test_a_payload_that_cannot_be_true_is_not_taken(stub: Stub) -> None:
    # More than the suite has memory for: it would be the suite that ends.
    stub(
        """
        opened(); command()
        reply(reply='slice', payload_bytes=1 << 50, usage={})
        while True: say(bytes(1 << 20))
        """
    )
    reason = reason_of(whole_run())
    assert reason.startswith("the worker talks nonsense (ValueError: 1125899906842624 bytes")


def test_the_largest_payload_that_can_be_true_is_taken(stub: Stub) -> None:
    # A redo every 100 ns, which is more than any machine does.
    stub(
        """
        opened(); command()
        size = 32 + 100_000 * 8
        reply(reply='slice', payload_bytes=size, usage={}); say(bytes(size))
        """
    )
    with WorkerProcess(SPEC, LIMIT_S) as worker:
        payload = worker.slice(0.01).payload
    assert len(payload) == 800_032


def test_a_stderr_without_an_end_does_not_fill_the_disk(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "STDERR_LIMIT_BYTES", 1 << 20)
    stub(
        """
        opened(); command()
        while True:
            try:
                os.write(2, b"more and more\\n" * 1000)
            except OSError as error:
                reply(reply="error", reason=str(error))
                break
        """
    )
    with WorkerProcess(SPEC, LIMIT_S) as worker:
        reason = reason_of(lambda: worker.slice(0.01))
        size = worker._stderr.seek(0, os.SEEK_END)
    assert reason.startswith("[Errno 27] File too large; its stderr ends: ")
    assert size == 1 << 20


@pytest.mark.parametrize("failing", ["subprocess.Popen", "tempfile.TemporaryFile"])
def test_a_worker_that_cannot_be_started(
    failing: str, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    stub(GOOD)
    monkeypatch.setattr(failing, refuse)
    reason = reason_of(whole_run())
    assert reason == "the worker cannot be started (Cannot allocate memory)"


@pytest.mark.parametrize(
    "reason", ["RuntimeError: can't start new thread", f"LaunchError: {os.strerror(errno.EAGAIN)}"]
)
def test_a_limit_of_processes_is_named(reason: str, stub: Stub) -> None:
    stub(f"command(); reply(reply='error', reason={reason!r})")
    said = reason_of(whole_run())
    assert said == f"{reason}: see ulimit -u and pids.max, the limits of processes and threads"


def test_of_a_huge_stderr_the_end_is_shown(stub: Stub) -> None:
    stub(
        """
        for at in range(200_000):
            print(f"line {at}", file=sys.stderr)
        print("the last words \\x1b[31m", file=sys.stderr, flush=True)
        command()
        reply(reply="error", reason="lost")
        """
    )
    reason = reason_of(whole_run())
    assert "line 199999 | the last words" in reason
    assert "line 0 " not in reason
    assert len(reason) <= STDERR_TAIL_BYTES + 200


def test_a_stderr_that_is_no_text(stub: Stub) -> None:
    stub("command(); os.write(2, b'\\xff\\xfe odd'); reply(reply='error', reason='lost')")
    assert reason_of(whole_run()) == "lost; its stderr ends: \\xff\\xfe odd"


def test_leaving_early_ends_a_busy_worker(stub: Stub) -> None:
    stub("opened()\nwhile True: pass")
    with pytest.raises(KeyboardInterrupt), WorkerProcess(SPEC, LIMIT_S) as worker:
        pid = worker._process.pid
        raise KeyboardInterrupt
    assert is_gone(pid)


def test_what_is_in_the_workers_group_ends_with_it(stub: Stub, tmp_path: Path) -> None:
    stub(
        f"""
        command()
        child = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL)
        open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
        os._exit(9)
        """
    )
    assert "status 9" in reason_of(whole_run())
    pid = int((tmp_path / "pid").read_text())
    assert eventually(lambda: has_ended(pid))


def test_the_suite_ends_orphans_that_left_the_group(stub: Stub, tmp_path: Path) -> None:
    """In a process of its own: to adopt orphans is a property of the process."""
    stub(
        """
        command()
        child = subprocess.Popen(["sleep", "600"], process_group=0, stdin=subprocess.DEVNULL)
        reply(reply="error", reason=str(child.pid))
        os._exit(1)
        """
    )
    suite = f"""
        import sys
        from pathlib import Path
        sys.path.insert(0, {str(ROOT)!r})
        from bench.running import processes, worker_process
        from bench.worker.protocol import WorkerSpec
        worker_process.WORKER = Path({str(worker_process.WORKER)!r})
        processes.adopt_orphans()
        spec = WorkerSpec(manager="sync", workload="short", clients=1, child_command=("x",),
                          requests="x", pages="x", timeout_s=1.0)
        try:
            worker_process.WorkerProcess(spec, {LIMIT_S})
        except processes.RunFailedError as failed:
            print(failed)
        assert processes._children() == set()
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(suite)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert is_gone(int(done.stdout))


def test_a_running_worker_is_no_orphan(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    # Two workers may be alive at once, and one that ends must not take the other with it.
    monkeypatch.setattr(processes, "_adopting", True)
    stub(GOOD)
    with WorkerProcess(SPEC, LIMIT_S) as one:
        with WorkerProcess(SPEC, LIMIT_S) as other:
            other.stop()
        one.slice(0.01)
        one.stop()


def test_the_worker_gets_no_descriptor_of_the_suite(stub: Stub, tmp_path: Path) -> None:
    stub(
        f"""
        fds = [int(fd) for fd in os.listdir("/proc/self/fd")]
        open({str(tmp_path / "fds")!r}, "w").write(json.dumps([fd for fd in fds if fd > 2]))
        command(); reply(reply="error", reason="enough")
        """
    )
    with open(os.devnull) as inherited:  # noqa: PTH123
        os.set_inheritable(inherited.fileno(), True)
        reason_of(whole_run())
        found = json.loads((tmp_path / "fds").read_text())
    assert inherited.name
    assert len(found) <= 1  # that of the listing itself


# --- A whole run: from a case to a record ---------------------------------------------------------

CASE = Case("sync", "short", 1)
EQUIPMENT = Equipment(
    traffic={
        "short": Traffic(
            Path("requests"), Path("pages"), per_request={"redo_request_records_p50": 2}
        )
    },
    child_commands={ChildVariant(): ("child",)},
    floor_program=None,
    build_facts={},
    interpreters=find_interpreters([]),
)
CONFIG = override(
    load_profile("quick"),
    manager="sync",
    workload="short",
    clients="1",
    slices="3",
    seconds="0.03",
    warmup_s="0.01",
)


def test_a_run_has_the_slices_of_the_configuration(stub: Stub) -> None:
    stub(GOOD)
    record = measure_run(CASE, 4, CONFIG, EQUIPMENT)
    assert (record.case, record.round, len(record.slices)) == (CASE, 4, 3)
    assert [one.latency_ns.tolist() for one in record.samples] == [[900]] * 3
    assert record.samples[0].deadline_ns == 10_000_000
    assert record.usage.manager_user_s == pytest.approx(1.5e-9)
    assert record.usage.manager_voluntary_switches == 3
    assert record.worker_metadata["redo_start_ns"] == 5
    assert record.worker_metadata["redo_request_records_p50"] == 2


def test_what_a_worker_does_not_know_is_none(stub: Stub) -> None:
    stub(GOOD)
    usage = measure_run(CASE, 1, CONFIG, EQUIPMENT).usage
    assert usage.child_user_s is usage.child_system_s is None  # its share was null
    assert usage.read_calls is None


def test_the_total_cpu_is_known_where_its_split_is_not(stub: Stub) -> None:
    # A child that has used less than a clock tick: its nanoseconds are exact all the same.
    stub(GOOD)
    metadata = to_pyperf_run(measure_run(CASE, 1, CONFIG, EQUIPMENT), ENVIRONMENT).get_metadata()
    assert metadata["redo_cpu_total"] == pytest.approx(6e-9 / 3)


def test_a_slice_is_stretched_for_a_slow_redo(stub: Stub) -> None:
    # One redo of 1 ms in the warm-up: a client needs 30 ms for 30 of them.
    stub(GOOD.replace("[0, 1000, 1, 900]", "[0, 1_000_000, 1, 900]"))
    record = measure_run(CASE, 1, CONFIG, EQUIPMENT)
    assert {one.deadline_ns for one in record.samples} == {30_000_000}


def test_a_run_has_fewer_slices_where_they_are_stretched(stub: Stub) -> None:
    stub(GOOD.replace("[0, 1000, 1, 900]", "[0, 1_000_000, 1, 900]"))
    for seconds, slices, expected in ((0.09, 5, 3), (0.01, 5, 2), (0.01, 1, 1), (0.15, 5, 5)):
        config = override(CONFIG, seconds=seconds, slices=slices)
        assert len(measure_run(CASE, 1, config, EQUIPMENT).slices) == expected


@pytest.mark.parametrize(
    "samples",
    ["[0, 1000, 2, 900]", "[0, 1000, 0]", "[0, 1000, 1, -900]", "[]", "[9, 1, 1, 900]"],
)
def test_impossible_samples_fail_the_run(samples: str, stub: Stub) -> None:
    stub(GOOD.replace("[0, 1000, 1, 900]", samples))
    assert "impossible samples" in reason_of(lambda: measure_run(CASE, 1, CONFIG, EQUIPMENT))


def test_samples_that_the_suite_has_no_memory_for_fail_the_run(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise MemoryError

    stub(GOOD)
    monkeypatch.setattr(SliceSamples, "from_payload", refuse)
    assert "no memory for the samples" in reason_of(lambda: measure_run(CASE, 1, CONFIG, EQUIPMENT))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("manager_user_share=0.5, ", ""),
        ("counters={}, ", ""),
        (", facts={}", ""),
        (", start_ns=5", ""),
    ],
)
def test_a_report_that_lacks_a_field(
    field: str, value: str, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "TALK", TALK.replace(field, value))
    stub(GOOD.replace(field, value))
    reason_of(lambda: measure_run(CASE, 1, CONFIG, EQUIPMENT))


def test_an_interrupt_ends_the_worker(stub: Stub, tmp_path: Path) -> None:
    stub(
        f"""
        open({str(tmp_path / "pid")!r}, "w").write(str(os.getpid()))
        command()
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(600)
        """
    )
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            measure_run(CASE, 1, CONFIG, EQUIPMENT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert is_gone(int((tmp_path / "pid").read_text()))
