"""A suite short of memory, of room on a disk, of the right to write, or not alone in its folder.

What a worker lacks costs its run only; what the result file lacks is said in one line before
anything is measured, and later on costs nothing that was there before.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from bench.cli import run as cli_run
from bench.errors import ResultTakenError
from bench.places import ROOT
from bench.results import suite_file
from bench.results.claim import claimed
from bench.results.result_file import ResultFile
from bench.show.pictures.choice import draw
from tests.support.made_up_runs import RUN, Bench
from tests.support.managers import eventually
from tests.support.suite_server import SuiteServer
from tests.support.suites import LIMIT_S, Suite, ends_of, session_of

REAL = (
    *("run", "--profile", "quick", "--manager", "sync", "--workload", "short", "--child", "python"),
    *("--seconds", "0.01", "--slices", "1", "--warmup-s", "0", "--repeat-disturbed", "0"),
)
"""A suite with real runs that needs no compiler."""

# --- Memory ---------------------------------------------------------------------------------------

WORKER = """
    import os, resource, signal, sys
    sys.path.insert(0, {root!r})
    from bench.worker import __main__ as worker
    open_subject, slice_ = worker.open_subject, worker._slice
    clients = 0

    def opened(spec):
        global clients
        clients = spec.clients
        return open_subject(spec)

    def short_of_memory(subject, seconds, child_may_end):
        print("memory is short", file=sys.stderr, flush=True)
        if clients == 2:
            os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does
        elif clients == 4:
            bytearray(1 << 62)
        elif clients == 8:
            pages = int(open("/proc/self/statm").read().split()[0])
            resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize(),) * 2)
        return slice_(subject, seconds, child_may_end)

    worker.open_subject, worker._slice = opened, short_of_memory
    sys.exit(worker.main())
"""
"""A worker with 1, 2, 4 or 8 clients: with memory, killed for it, refused it, and limited in it."""

DRIVER = """
    import sys
    from pathlib import Path
    sys.path.insert(0, {root!r})
    from bench.cli import run as cli_run; from bench.running import worker_process
    from bench.cli.main import main
"""


def driver(folder: Path, change: str) -> tuple[str, ...]:
    """The program with something changed in it."""
    path = folder / "driver.py"
    head = textwrap.dedent(DRIVER).format(root=str(ROOT))
    path.write_text(f"{head}{textwrap.dedent(change)}\nsys.exit(main(sys.argv[1:]))\n")
    return (str(path),)


def test_a_worker_out_of_memory_costs_its_run_only(tmp_path: Path, server: SuiteServer) -> None:
    worker, path = tmp_path / "worker.py", tmp_path / "r.json"
    worker.write_text(textwrap.dedent(WORKER).format(root=str(ROOT)))
    ended = server.run(
        tmp_path,
        *(*REAL, "--clients", "1,2,4,8", "--rounds", "2", "-o", str(path)),
        code="from bench.running import worker_process; worker_process.WORKER = worker",
        worker=str(worker),
    )
    assert ended.status == 1
    assert "Traceback" not in ended.err
    result = ResultFile.load(path)
    assert (result.run_count, result.rounds()) == (2, (1, 2))  # of the one case that has memory
    assert len(result.failures) == 6
    for failure in result.failures:
        reason = {
            2: r"ended with signal SIGKILL \(out of memory\?\)",
            4: "MemoryError",
            8: "thread",
        }
        assert re.search(reason[failure.case.clients], failure.reason)
        assert re.search(r"; its stderr ends: .*memory is short", failure.reason)
        assert (
            f"failed: {failure.case.name} in round {failure.round}: {failure.reason}" in ended.err
        )


# --- A full disk ----------------------------------------------------------------------------------


@contextlib.contextmanager
def small_files(limit: int) -> Iterator[None]:
    """No file of this process grows beyond that, as on a disk that is full: write fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("limit", [0, 4096])
@pytest.mark.parametrize("options", ["-o o.json", "-o new/folder/o.json", "--resume r.json"])
def test_a_disk_without_room_is_one_line_before_anything_is_measured(
    options: str, limit: int, bench: Bench
) -> None:
    for folder in ("results", "new/folder"):
        (bench.folder / folder).mkdir(parents=True)
    assert bench(f"{RUN} --rounds 1 -o r.json")[0] == 0
    bench.ran.clear()
    with small_files(limit):
        line = bench.refuses(f"run {options}" if "resume" in options else f"{RUN} {options}")
    name = options.split()[-1]
    assert f"{name}: cannot be written (File too large): make room there, or choose another" in line


def test_the_default_place_without_room(bench: Bench) -> None:
    (bench.folder / "results").mkdir()
    with small_files(4096):
        assert "cannot be written (File too large): make room there" in bench.refuses(RUN)


@pytest.mark.parametrize("step", ["the folder", "the traffic"])
def test_no_room_for_temporary_files_is_one_line(
    step: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if step == "the folder":
        monkeypatch.setattr(tempfile, "TemporaryDirectory", full)
    else:
        monkeypatch.setattr("bench.running.equipment.equipment.write_traffic", full)
    line = bench.refuses(f"{RUN} -o o.json")
    assert "cannot take temporary files (No space left on device): make room there" in line
    assert "TMPDIR" in line


def fill(limit: int, stack: contextlib.ExitStack) -> Callable[[], None]:
    """Fills the disk, until the stack is left."""
    return lambda: stack.enter_context(small_files(limit))


@pytest.mark.parametrize("limit", [0, 2048])
def test_a_disk_that_fills_up_costs_only_what_was_not_saved(limit: int, bench: Bench) -> None:
    with contextlib.ExitStack() as stack:
        bench.meanwhile = {3: fill(limit, stack)}
        status, out, err = bench(f"{RUN} --rounds 4 -o o.json")
    assert (status, out, len(bench.ran)) == (2, "", 3)
    line = err.splitlines()[-1]
    assert line.startswith("walredo-bench: o.json: cannot be written (File too large): make room")
    assert "its earlier rounds are kept, for python -m bench run --resume o.json" in line
    assert set(bench.files()) == {"o.json"}
    assert ResultFile.load(Path("o.json")).rounds() == (1, 2)
    assert bench(line.partition("python -m bench ")[2])[0] == 0
    assert ResultFile.load(Path("o.json")).rounds() == (1, 2, 3, 4)


@pytest.mark.parametrize("force", ["", " --force"])
def test_a_disk_that_fills_up_in_the_first_round(force: str, bench: Bench) -> None:
    if force:
        (bench.folder / "o.json").write_text("another suite's")
    before = bench.files()
    with contextlib.ExitStack() as stack:
        bench.meanwhile = {1: fill(0, stack)}
        status, _, err = bench(f"{RUN} --rounds 2 -o o.json{force}")
    assert status == 2
    assert err.splitlines()[-1].endswith("; what was measured is lost")
    assert bench.files() == before


def test_what_cannot_be_saved_in_its_place_is_kept_elsewhere(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bench.folder / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(bench.folder / "tmp"))
    sync = suite_file._sync_folder

    def gone(folder: Path) -> None:
        if folder == bench.folder:
            raise OSError(errno.EIO, "Input/output error")
        sync(folder)

    def unplug() -> None:
        monkeypatch.setattr(suite_file, "_sync_folder", gone)

    bench.meanwhile = {2: unplug}
    status, _, err = bench(f"{RUN} --rounds 3 -o o.json")
    assert status == 2
    line = err.splitlines()[-1]
    kept = re.search(r"all is kept in (\S+/o\.json), for (python -m bench run --resume \1)$", line)
    assert kept, line
    assert ResultFile.load(Path(kept[1])).rounds() == (1, 2)
    assert bench(shlex.split(kept[2])[3:])[0] == 0
    assert ResultFile.load(Path(kept[1])).rounds() == (1, 2, 3)


def in_namespace(mount: str, place: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    """The command where something is mounted for it alone; then what files the place has.

    Skips the test where that is not permitted.
    """
    if shutil.which("unshare") is None:
        pytest.skip("no unshare")
    before = subprocess.run(
        ["unshare", "-rm", "sh", "-ec", mount], capture_output=True, text=True, check=False
    )
    if before.returncode:
        pytest.skip(f"mounting is not permitted: {before.stderr.strip()}")
    script = f'{mount}; set +e; "$@"; status=$?; ls -A {shlex.quote(str(place))}; exit $status'
    return subprocess.run(
        ["unshare", "-rm", "sh", "-ec", script, "sh", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def tmpfs(place: Path, size: str) -> str:
    place.mkdir()
    return f"mount -t tmpfs -o size={size} none {shlex.quote(str(place))}"


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    place = tmp_path / "disk"
    command = [sys.executable, "-m", "bench", *REAL, "--clients", "1", "-o", f"{place}/r.json"]
    done = in_namespace(tmpfs(place, "64k"), place, command)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        r"walredo-bench: \S+/r\.json: cannot be written \(No space left on device\): make room"
        r" there, or choose another place for it\n",
        done.stderr,
    )


def test_a_disk_that_really_fills_up(tmp_path: Path) -> None:
    place = tmp_path / "disk"
    change = f"""
    measure, runs = cli_run.measure_run, []
    def filling(*args, **kwargs):
        runs.append(1)
        if len(runs) == 2:
            try:
                Path({str(place)!r}, "others").write_bytes(bytes(1 << 21))
            except OSError:
                print("full", file=sys.stderr)
        return measure(*args, **kwargs)
    cli_run.measure_run = filling
    """
    program = driver(tmp_path, change)
    command = [sys.executable, *program, *REAL, "--clients", "1", "--rounds", "3"]
    # Temporary files are on the same disk: nothing can be kept elsewhere.
    command = ["env", f"TMPDIR={place}", *command, "-o", f"{place}/r.json"]
    kept = tmp_path / "kept.json"
    copying = f'"$@"; status=$?; cp {place}/r.json {kept}; exit $status'
    done = in_namespace(tmpfs(place, "2m"), place, ["sh", "-c", copying, "sh", *command])
    assert done.returncode == 2
    assert done.stdout.split() == ["others", "r.json"]
    *_, full, line = done.stderr.splitlines()
    assert full == "full"
    assert "r.json: cannot be written (No space left on device): make room there" in line
    assert f"its earlier rounds are kept, for python -m bench run --resume {place}/r.json" in line
    assert ResultFile.load(kept).rounds() == (1,)


# --- A folder that cannot be written --------------------------------------------------------------


def test_a_folder_on_a_disk_that_is_read_only(bench: Bench) -> None:
    place = bench.folder / "disk"
    place.mkdir()
    path = place / "old.json"
    assert bench(f"{RUN} --rounds 1 -o {path}")[0] == 0
    before = path.read_bytes()
    quoted = shlex.quote(str(place))
    mount = f"mount --bind {quoted} {quoted}; mount -o remount,bind,ro {quoted}"
    suite = shlex.join([sys.executable, "-m", "bench"])
    new = shlex.join([*REAL, "-o", str(place / "new.json")])
    both = f"{suite} {new}; {suite} run --resume {shlex.quote(str(path))}"
    done = in_namespace(mount, place, ["sh", "-c", both])
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"walredo-bench: {place}/{name}: cannot be written (Read-only file system): choose another"
        " place for it"
        for name in ("new.json", "old.json")
    ]
    assert done.stdout.split() == ["old.json"]
    assert path.read_bytes() == before


def test_a_folder_that_is_removed_meanwhile_is_not_made_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tmp", "place"):
        (bench.folder / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(bench.folder / "tmp"))
    bench.meanwhile = {1: lambda: shutil.rmtree(bench.folder / "place")}
    status, _, err = bench(f"{RUN} --rounds 2 -o place/o.json")
    assert status == 2
    line = err.splitlines()[-1]
    assert "place/o.json: cannot be written (No such file or directory): choose another" in line
    assert "; all is kept in " in line
    assert not (bench.folder / "place").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any folder")
def test_a_folder_without_the_right_to_write(bench: Bench) -> None:
    place = bench.folder / "place"
    place.mkdir(mode=0o555)
    assert "cannot be written (Permission denied): choose" in bench.refuses(
        f"{RUN} -o place/o.json"
    )


# --- Two suites at once ---------------------------------------------------------------------------


@pytest.fixture
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every suite begins in the same second."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime(2026, 11, 23, 12, 5, 42, tzinfo=UTC)

    monkeypatch.setattr(cli_run, "datetime", Clock)


@pytest.mark.usefixtures("stopped_clock")
def test_suites_of_the_same_second_have_files_of_their_own(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_run, "draw", partial(draw, formats=("svg",)))
    inner: list[tuple[int, str, str]] = []
    bench.meanwhile = {1: lambda: inner.append(bench(f"{RUN} --rounds 3 --plot"))}
    assert bench(f"{RUN} --rounds 2 --plot")[0] == 0
    assert inner[0][0] == 0
    assert bench(f"{RUN} --rounds 1")[0] == 0  # begun when the others have ended
    folder = bench.folder / "results"
    files = sorted(folder.glob("*.json"), key=lambda path: (len(path.name), path.name))
    stem = files[0].stem
    assert [path.stem for path in files] == [stem, f"{stem}-2", f"{stem}-3"]
    assert [ResultFile.load(path).rounds() for path in files] == [(1, 2), (1, 2, 3), (1,)]
    pictures = {path.name for path in folder.iterdir()} - {path.name for path in files}
    assert pictures == {
        f"{one}-{what}-child-python.svg"
        for one in (stem, f"{stem}-2")
        for what in ("latency", "throughput")
    }


def test_two_real_suites_with_the_default_name(tmp_path: Path) -> None:
    change = f"""
    from datetime import datetime
    cli_run.RESULTS = Path({str(tmp_path / "results")!r})
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2026, 11, 23, 12, 5, 42, tzinfo=tz)
    cli_run.datetime = Clock
    """
    program = driver(tmp_path, change)
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    command = (*REAL, "--clients", "1", "--rounds", "4")
    suites = [Suite(folder, *command, program=program) for folder in folders]
    ended = ends_of(suites)
    assert [one.status for one in ended] == [0, 0], ended
    files = sorted((tmp_path / "results").iterdir())
    assert len(files) == 2
    assert {one.out.splitlines()[-1] for one in ended} == {str(path) for path in files}
    assert [ResultFile.load(path).rounds() for path in files] == [(1, 2, 3, 4)] * 2


@pytest.mark.parametrize("options", ["-o o.json", "-o o.json --force", "-o ./new/../o.json"])
def test_a_second_suite_with_the_same_output_is_refused(options: str, bench: Bench) -> None:
    (bench.folder / "new").mkdir()
    inner: list[tuple[int, str, str]] = []
    bench.meanwhile = {
        number: lambda: inner.append(bench(f"{RUN} --rounds 2 {options}")) for number in (1, 3)
    }
    assert bench(f"{RUN} --rounds 3 -o o.json")[0] == 0
    assert len(bench.ran) == 3
    for status, out, err in inner:
        assert (status, out) == (2, "")
        line = err.splitlines()[-1]
        assert f"another suite (process {os.getpid()}) is writing it: wait for its end, or" in line
    assert set(bench.files()) == {"o.json", "new"}
    assert ResultFile.load(Path("o.json")).rounds() == (1, 2, 3)


def test_a_file_that_a_suite_is_writing_is_not_resumed(bench: Bench) -> None:
    inner: list[tuple[int, str, str]] = []
    bench.meanwhile = {2: lambda: inner.append(bench("run --resume o.json --rounds 5"))}
    assert bench(f"{RUN} --rounds 2 -o o.json")[0] == 0
    ((status, _, err),) = inner
    assert status == 2
    assert "o.json: another suite" in err.splitlines()[-1]
    # Nor is it resumed twice at once; but when its suite has ended, it is.
    bench.meanwhile = {3: lambda: inner.append(bench("run --resume o.json --rounds 9"))}
    assert bench("run --resume o.json --rounds 3")[0] == 0
    assert inner[1][0] == 2
    assert set(bench.files()) == {"o.json"}
    assert ResultFile.load(Path("o.json")).rounds() == (1, 2, 3)


def test_a_link_to_a_file_is_that_file(bench: Bench) -> None:
    (bench.folder / "link.json").symlink_to("o.json")
    inner: list[tuple[int, str, str]] = []
    bench.meanwhile = {1: lambda: inner.append(bench(f"{RUN} -o link.json --force"))}
    assert bench(f"{RUN} --rounds 1 -o o.json")[0] == 0
    assert inner[0][0] == 2


def test_a_suite_that_was_killed_holds_nothing(tmp_path: Path, server: SuiteServer) -> None:
    place = tmp_path / "results"
    place.mkdir()
    path = place / "r.json"
    suite = Suite(tmp_path, *REAL, "--clients", "1", "--rounds", "1000", "-o", str(path))
    try:
        suite.hears("round 1 of 1000 saved")
        with (
            pytest.raises(ResultTakenError, match=rf"\(process {suite.process.pid}\)"),
            claimed(path),
        ):
            pass
        suite.process.kill()
        assert eventually(lambda: session_of(suite.process.pid) == set())
    finally:
        suite.kill()
    shutil.rmtree(suite.temporary)
    for left in place.glob(".*.tmp"):
        left.unlink()  # it may have been in the middle of a save
    rounds = ResultFile.load(path).rounds()
    more = len(rounds) + 1
    resumed = server.run(tmp_path, "run", "--resume", str(path), "--rounds", str(more))
    assert resumed.status == 0, resumed.err
    assert ResultFile.load(path).rounds() == (*rounds, more)
    assert [one.name for one in place.iterdir()] == ["r.json"]


# --- The claim itself -----------------------------------------------------------------------------


def test_a_claim_ends_with_its_block(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    for _ in range(2):
        with claimed(path):
            with pytest.raises(ResultTakenError, match=r"r\.json: another suite"), claimed(path):
                pass
            with claimed(path.with_name("other.json")):
                pass
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyboardInterrupt), claimed(path):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_suite_that_is_gone_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / ".r.json.lock").write_text("123456789")
    with claimed(tmp_path / "r.json"):
        assert (tmp_path / ".r.json.lock").read_text() == str(os.getpid())
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_its_holder_removes_meanwhile_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock
    seen: list[int] = []

    def late(descriptor: int, how: int) -> None:
        flock(descriptor, how)
        if not seen:
            seen.append(descriptor)
            (tmp_path / ".r.json.lock").unlink()

    monkeypatch.setattr(fcntl, "flock", late)
    with claimed(tmp_path / "r.json"):
        assert seen
        with pytest.raises(ResultTakenError), claimed(tmp_path / "r.json"):
            pass


CONTENDER = """
    import os, sys
    from pathlib import Path
    sys.path.insert(0, {root!r})
    from bench.results.claim import claimed
    from bench.errors import ResultTakenError
    folder, had = Path(sys.argv[1]), 0
    while had < 100:
        try:
            with claimed(folder / "r.json"):
                os.close(os.open(folder / "alone", os.O_CREAT | os.O_EXCL))
                os.unlink(folder / "alone")
                had += 1
        except ResultTakenError:
            continue
"""


def test_one_of_many_has_it_at_a_time(tmp_path: Path) -> None:
    script = tmp_path / "contender.py"
    script.write_text(textwrap.dedent(CONTENDER).format(root=str(ROOT)))
    (tmp_path / "place").mkdir()
    command = [sys.executable, str(script), str(tmp_path / "place")]
    contenders = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    ended = [one.communicate(timeout=LIMIT_S)[1] for one in contenders]
    assert ([one.returncode for one in contenders], ended) == ([0] * 3, [b""] * 3)
    assert list((tmp_path / "place").iterdir()) == []
