"""The floor: its clients, its answers, and that it leaves no child behind."""

from __future__ import annotations

import json
import os
import random
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from fake_redo_child import build
from fake_redo_child.child.python_child import redo_page
from tests.support import page_model as model
from tests.support.children import KINDS, LIMIT_S, command_of

SHORT = (874, 188)
MEDIUM = (67,) * 226 + (8256,)
SLICE_NS = 20_000_000


@dataclass(frozen=True)
class Traffic:
    """Requests and their pages, in files and in memory."""

    requests: Path
    pages: Path
    expected: bytes

    @property
    def options(self) -> tuple[str, ...]:
        return ("--requests", str(self.requests), "--pages", str(self.pages))


@dataclass(frozen=True)
class Client:
    start_ns: int
    end_ns: int
    latencies_ns: tuple[int, ...]


@dataclass(frozen=True)
class Calls:
    reads: int
    writes: int
    polls: int


def traffic(folder: Path, sizes: Sequence[int] = SHORT, count: int = 40) -> Traffic:
    source = random.Random(count)
    requests, pages = b"", b""
    for block in range(count):
        tag = (0, 1663, 5, 16384, block)
        records = [(1000 * block + k, source.randbytes(size)) for k, size in enumerate(sizes)]
        requests += model.redo(tag, None, records)
        pages += redo_page(tag, None, records)
    made = Traffic(folder / "requests", folder / "pages", pages)
    made.requests.write_bytes(requests)
    made.pages.write_bytes(pages)
    return made


def floor_command() -> str:
    try:
        return str(build.floor_program())
    except build.CompilerMissing as missing:
        pytest.skip(str(missing))


class Floor:
    """A floor that has said it is ready."""

    def __init__(self, process: subprocess.Popen[bytes], window: int) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.process, self.window = process, window
        self.stdin, self.stdout, self.stderr = process.stdin, process.stdout, process.stderr
        self.child_pid = 0

    def command(self, line: str) -> None:
        self.stdin.write(f"{line}\n".encode())
        self.stdin.flush()

    def slice(self, duration_ns: int = SLICE_NS) -> list[Client]:
        self.command(f"slice {duration_ns}")
        word, size, *calls = self.stdout.readline().split()
        assert word == b"slice"
        self.calls = Calls(*map(int, calls))
        payload = self.stdout.read(int(size))
        assert len(payload) == int(size)
        values = list(struct.unpack(f"={len(payload) // 8}q", payload))
        heads, samples = values[: 3 * self.window], values[3 * self.window :]
        clients = []
        for i in range(self.window):
            start_ns, end_ns, redos = heads[3 * i : 3 * i + 3]
            assert len(samples) >= redos > 0
            clients.append(Client(start_ns, end_ns, tuple(samples[:redos])))
            del samples[:redos]
        assert samples == []
        return clients

    def ends(self, status: int) -> str:
        """It ends with this status, its child is gone; returns what it said."""
        assert self.process.wait(LIMIT_S) == status
        self.child_is_gone()
        return self.stderr.read().decode()

    def child_is_gone(self) -> None:
        with pytest.raises(ProcessLookupError):
            os.kill(self.child_pid, 0)


@contextmanager
def floor(files: Traffic, window: int, child: Sequence[str], *options: str) -> Iterator[Floor]:
    """A running floor; killed and reaped at the end, and its child with it."""
    process = subprocess.Popen(
        [floor_command(), *files.options, "--window", str(window), *options, "--", *child],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    running = Floor(process, window)
    try:
        word, pid = running.stdout.readline().split()
        assert word == b"ready"
        running.child_pid = int(pid)
        yield running
    finally:
        process.terminate()  # a signal after which it takes its child along
        try:
            process.wait(LIMIT_S)
        finally:
            process.kill()
            process.wait()
        for stream in (running.stdout, running.stderr):
            stream.close()
        with suppress(BrokenPipeError):
            running.stdin.close()


def check(clients: list[Client], duration_ns: int) -> None:
    """What holds for every slice of a closed loop."""
    for client in clients:
        wall_ns = client.end_ns - client.start_ns
        assert 0 <= client.start_ns <= client.end_ns
        assert client.end_ns >= duration_ns
        assert min(client.latencies_ns) > 0
        # One redo after the other: none overlaps the next, and the last but one came in time.
        assert sum(client.latencies_ns) <= wall_ns
        in_time_ns = sum(client.latencies_ns[:-1])
        assert in_time_ns == 0 or client.start_ns + in_time_ns < duration_ns


each_kind = pytest.mark.parametrize("kind", KINDS)

SHM = ("--transport", "shm")
WAYS = [(), SHM, (*SHM, "--spin-us", "200")]
"""The options of the ways to the child: pipes, and shared memory without and with spinning."""

each_way = pytest.mark.parametrize("way", WAYS, ids=["pipe", "shm", "shm, spin"])


@each_kind
@pytest.mark.parametrize("window", [1, 2, 128])
def test_slices(kind: str, window: int, tmp_path: Path) -> None:
    with floor(traffic(tmp_path), window, command_of(kind)) as running:
        for duration_ns in (SLICE_NS, 0, SLICE_NS // 2, SLICE_NS):
            check(running.slice(duration_ns), duration_ns)
        running.command("stop")
        assert running.ends(0) == ""


def test_a_slice_of_no_time_is_one_redo_each(tmp_path: Path) -> None:
    with floor(traffic(tmp_path), 5, command_of("c")) as running:
        assert [len(client.latencies_ns) for client in running.slice(0)] == [1] * 5
        assert running.calls.writes == 1
        assert 1 <= running.calls.reads <= 5
        assert running.calls.polls == 0


@each_kind
@pytest.mark.parametrize(
    ("sizes", "count", "pipe_bytes"),
    [(MEDIUM, 40, 0), (MEDIUM, 40, 4096), ((200_000, 5), 10, 0), ((), 10, 0)],
    ids=["medium", "medium, small pipes", "request larger than the pipe", "no record"],
)
def test_full_pipes_do_not_hang(
    kind: str, sizes: tuple[int, ...], count: int, pipe_bytes: int, tmp_path: Path
) -> None:
    options = ("--pipe-bytes", str(pipe_bytes)) if pipe_bytes else ()
    with floor(traffic(tmp_path, sizes, count), 128, command_of(kind), *options) as running:
        for _ in range(2):
            check(running.slice(), SLICE_NS)
        running.command("stop")
        assert running.ends(0) == ""


@pytest.mark.parametrize("way", WAYS[1:], ids=["parked", "spin"])
@pytest.mark.parametrize(
    ("sizes", "count"),
    [(SHORT, 40), (MEDIUM, 40), ((200_000, 5), 10), ((1_500_000,), 3), ((), 10)],
    ids=["short", "medium", "large", "request larger than the ring", "no record"],
)
@pytest.mark.parametrize("window", [1, 2, 128, 1500])
def test_slices_over_shared_memory(
    window: int, sizes: tuple[int, ...], count: int, way: tuple[str, ...], tmp_path: Path
) -> None:
    """1500 clients have more pages due than there are slots."""
    with floor(traffic(tmp_path, sizes, count), window, command_of("c"), *way) as running:
        for duration_ns in (SLICE_NS, 0, SLICE_NS):
            check(running.slice(duration_ns), duration_ns)
            assert running.calls.polls == 0
        running.command("stop")
        assert running.ends(0) == ""


@pytest.mark.parametrize("way", WAYS[1:], ids=["parked", "spin"])
@pytest.mark.parametrize(
    ("window", "redos"),
    [
        *((window, 30_000) for window in (1, 3, 64)),
        *(
            pytest.param(window, 1_000_000, marks=pytest.mark.exhaustive)
            for window in (1, 2, 5, 64)
        ),
    ],
)
def test_no_wake_up_is_lost(window: int, redos: int, way: tuple[str, ...], tmp_path: Path) -> None:
    """A lost one is a hang: nothing else would wake the two sides."""
    with floor(traffic(tmp_path), window, command_of("c"), *way) as running:
        while redos > 0:
            redos -= sum(len(client.latencies_ns) for client in running.slice(5 * SLICE_NS))


LIES = {
    "ready-ahead": "says that 2000001 pages are ready, of 256 slots",
    "ready-behind": "pages are ready, of 256 slots",
    "consumed-ahead": "says that it consumed",
    "consumed-behind": "says that it consumed",
    "extra-page": "a wrong page",
}


@pytest.mark.parametrize("fault", LIES)
def test_a_child_that_lies_over_shared_memory(fault: str, tmp_path: Path) -> None:
    child = command_of("c", "--fault", f"{fault}:at=3")
    with floor(traffic(tmp_path), 1, child, *SHM) as running:
        running.command(f"slice {10**15}")
        assert LIES[fault] in running.ends(1)


@pytest.mark.parametrize("fault", ["exit-before-reply", "exit-in-reply", "close-stdout"])
def test_a_child_that_ends_over_shared_memory(fault: str, tmp_path: Path) -> None:
    child = command_of("c", "--no-sandbox", "--fault", f"{fault}:at=3")
    with floor(traffic(tmp_path), 2, child, *SHM) as running:
        running.command(f"slice {10**15}")
        assert "the child closed its output" in running.ends(1)


def test_a_spinning_child_ends_with_its_manager(tmp_path: Path) -> None:
    """However its manager ends: it spins for a bounded time, and then sees the end of its input."""
    way = (*SHM, "--spin-us", "1000")
    with floor(traffic(tmp_path), 1, command_of("c"), *way) as running:
        running.command(f"slice {10**15}")
        running.process.kill()
        running.process.wait()
        # Nobody reaps it in some containers, so a zombie counts as gone.
        status = Path(f"/proc/{running.child_pid}/stat")
        deadline = time.monotonic() + LIMIT_S
        while status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < deadline
            time.sleep(0.001)


def test_what_the_child_gets_over_shared_memory(tmp_path: Path) -> None:
    """Its arguments, two more at the end, and no other descriptor."""
    body = (
        "import sys, json, os; json.dump([sys.argv[1:], sorted(os.listdir('/proc/self/fd'))],"
        f" open({str(tmp_path / 'told')!r}, 'w'))"
    )
    child = (sys.executable, "-c", body, "one", "two")
    with pytest.raises(ValueError, match="unpack"), floor(traffic(tmp_path), 1, child, *SHM):
        pass
    arguments, descriptors = json.loads((tmp_path / "told").read_text())
    assert arguments[:3] == ["one", "two", "--shared-memory"]
    assert len(arguments) == 4
    # The fourth is the memory, the fifth the folder that is listed, the sixth the file.
    assert arguments[3] in descriptors
    assert len(descriptors) <= 6


@each_way
def test_more_clients_than_one_writev_takes(way: tuple[str, ...], tmp_path: Path) -> None:
    with floor(traffic(tmp_path), 1500, command_of("c"), *way) as running:
        check(running.slice(), SLICE_NS)


@each_way
def test_pings_are_redos_too(way: tuple[str, ...], tmp_path: Path) -> None:
    files = Traffic(tmp_path / "requests", tmp_path / "pages", bytes(3 * model.PAGE))
    files.requests.write_bytes(3 * model.PING)
    files.pages.write_bytes(files.expected)
    with floor(files, 4, command_of("c"), *way) as running:
        check(running.slice(), SLICE_NS)


# ---- ends ----


@each_way
def test_end_of_input_is_stop(way: tuple[str, ...], tmp_path: Path) -> None:
    with floor(traffic(tmp_path), 1, command_of("c"), *way) as running:
        running.slice(0)
        running.stdin.close()
        assert running.ends(0) == ""


@each_way
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("busy", [False, True])
def test_signals_end_the_child_first(
    number: signal.Signals, busy: bool, way: tuple[str, ...], tmp_path: Path
) -> None:
    with floor(traffic(tmp_path), 2, command_of("c"), *way) as running:
        if busy:
            running.command(f"slice {10**15}")
        running.process.send_signal(number)
        running.ends(-number)


@each_way
def test_child_that_is_killed_between_slices(way: tuple[str, ...], tmp_path: Path) -> None:
    with floor(traffic(tmp_path), 1, command_of("c"), *way) as running:
        running.slice(0)
        os.kill(running.child_pid, signal.SIGKILL)
        said = running.ends(1)
        assert f"child {running.child_pid} was killed by signal 9" in said


@each_way
def test_child_that_is_killed_in_a_slice(way: tuple[str, ...], tmp_path: Path) -> None:
    with floor(traffic(tmp_path), 2, command_of("c"), *way) as running:
        running.command(f"slice {10**15}")
        os.kill(running.child_pid, signal.SIGKILL)
        assert f"child {running.child_pid} was killed by signal 9" in running.ends(1)


@each_way
def test_child_that_fails_is_named(way: tuple[str, ...], tmp_path: Path) -> None:
    """A request that the child refuses: its own message and its status are there."""
    files = traffic(tmp_path, count=3)
    tag = (0, 1, 2, 3, 4)
    late = model.push(tag, bytes(model.PAGE))
    files.requests.write_bytes(model.begin(tag) + model.apply(1, b"") + late + model.get(tag))
    files.pages.write_bytes(bytes(model.PAGE))
    with floor(files, 1, command_of("c"), *way) as running:
        running.command("slice 0")
        said = running.ends(1)
        assert "FATAL: message 'P' after a record" in said
        assert f"child {running.child_pid} ended with status 1" in said


@each_way
@pytest.mark.parametrize(
    ("window", "wrong", "noticed"),
    [(1, 0, True), (1, 1, False), (2, 17, True), (2, 18, False), (4, 51 % 40, True)],
)
def test_wrong_page(
    window: int, wrong: int, noticed: bool, way: tuple[str, ...], tmp_path: Path
) -> None:
    """In a slice of one redo each, client i asks for request 17 * i, and only that."""
    files = traffic(tmp_path)
    at = wrong * model.PAGE + 5000
    flipped = bytes([files.expected[at] ^ 1])
    files.pages.write_bytes(files.expected[:at] + flipped + files.expected[at + 1 :])
    with floor(files, window, command_of("c"), *way) as running:
        if noticed:
            running.command("slice 0")
            said = running.ends(1)
            assert f"wrong page for request {wrong} (child {running.child_pid})" in said
        else:
            running.slice(0)


@each_way
def test_requests_go_round(way: tuple[str, ...], tmp_path: Path) -> None:
    """The last one is asked for as well, and then the first again."""
    files = traffic(tmp_path, count=3)
    last = 2 * model.PAGE
    files.pages.write_bytes(files.expected[:last] + bytes(model.PAGE))
    with floor(files, 1, command_of("c"), *way) as running:
        running.command(f"slice {10**15}")
        assert "wrong page for request 2" in running.ends(1)
    files.pages.write_bytes(files.expected)
    with floor(files, 1, command_of("c"), *way) as running:
        while len(running.slice()[0].latencies_ns) <= 3:
            pass  # on a very slow machine a slice has fewer


# ---- children that misbehave ----

SCRIPT = """
import fcntl, json, os, sys, time
def read(size):
    data = b""
    while len(data) < size:
        data += os.read(0, size - len(data)) or sys.exit(0)
read(5)
os.write(1, bytes(8192))
"""


def script(body: str) -> tuple[str, ...]:
    """A child that answers the floor's first ping, then does as told."""
    return (sys.executable, "-I", "-S", "-c", SCRIPT + body)


def test_what_the_child_gets(tmp_path: Path) -> None:
    """No environment, no descriptor, a process group of its own, and the pipes as asked."""
    body = """
said = {
    "environment": open("/proc/self/environ").read(),
    "fds": [fd for fd in range(3, 1000) if os.path.exists(f"/proc/self/fd/{fd}")],
    "leads_its_group": os.getpgid(0) == os.getpid(),
    "pipes": [fcntl.fcntl(fd, 1032) for fd in (0, 1)],
}
print(json.dumps(said), file=sys.stderr, flush=True)
"""
    stray = os.open(tmp_path / "stray", os.O_CREAT | os.O_RDWR)
    os.set_inheritable(stray, True)
    command = [floor_command(), *traffic(tmp_path).options, "--window", "1"]
    command += ["--pipe-bytes", "16384", "--", *script(body)]
    try:
        done = subprocess.run(
            command, input=b"", capture_output=True, check=False, pass_fds=[stray], timeout=LIMIT_S
        )
    finally:
        os.close(stray)
    assert json.loads(done.stderr) == {
        "environment": "",
        "fds": [],
        "leads_its_group": True,
        "pipes": [16384, 16384],
    }


def test_child_that_ignores_the_end_of_input(tmp_path: Path) -> None:
    with floor(traffic(tmp_path), 1, script("time.sleep(1000)")) as running:
        running.command("stop")
        assert f"child {running.child_pid} was killed by this program" in running.ends(1)


def test_child_that_closes_its_output(tmp_path: Path) -> None:
    with floor(traffic(tmp_path), 1, script("os.close(1); time.sleep(1000)")) as running:
        said = running.ends(1)
        assert "the child closed its output" in said
        assert f"child {running.child_pid} was killed by this program" in said


def test_child_that_talks_unasked(tmp_path: Path) -> None:
    with floor(traffic(tmp_path), 1, script("os.write(1, b'x'); time.sleep(1000)")) as running:
        assert "nobody asked for" in running.ends(1)


def test_child_that_answers_twice(tmp_path: Path) -> None:
    files = traffic(tmp_path)
    body = f"""
read({len(files.requests.read_bytes()) // 40})
page = open({str(files.pages)!r}, "rb").read(8192)
os.write(1, page + page)
time.sleep(1000)
"""
    with floor(files, 1, script(body)) as running:
        running.command("slice 0")
        assert "nobody asked for" in running.ends(1)


def test_child_that_answers_by_drops(tmp_path: Path) -> None:
    """Pages are put together from reads of any size."""
    files = traffic(tmp_path)
    body = f"""
size = {len(files.requests.read_bytes()) // 40}
pages = open({str(files.pages)!r}, "rb").read()
read(size)
for at in range(0, 8192, 1000):
    os.write(1, pages[at:min(at + 1000, 8192)])
    time.sleep(0.001)
read(10**9)
"""
    with floor(files, 1, script(body)) as running:
        check(running.slice(0), 0)


def test_child_that_answers_in_uneven_pieces(tmp_path: Path) -> None:
    """A read that ends inside the second page: its rest comes with a later read."""
    files = traffic(tmp_path)
    body = f"""
size = {len(files.requests.read_bytes()) // 40}
pages = open({str(files.pages)!r}, "rb").read()
read(2 * size)
answers = pages[:8192] + pages[17 * 8192:18 * 8192]
for piece in (answers[:8192 + 3000], answers[8192 + 3000:]):
    os.write(1, piece)
    time.sleep(0.05)
read(10**9)
"""
    with floor(files, 2, script(body)) as running:
        check(running.slice(0), 0)


def test_child_that_ends_before_it_is_up(tmp_path: Path) -> None:
    command = [floor_command(), *traffic(tmp_path).options, "--window", "1", "--"]
    done = subprocess.run(
        [*command, sys.executable, "-c", "raise SystemExit(3)"],
        input=b"",
        capture_output=True,
        check=False,
        timeout=LIMIT_S,
    )
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"ended with status 3" in done.stderr


@each_way
def test_reader_of_the_answers_goes(way: tuple[str, ...], tmp_path: Path) -> None:
    with floor(traffic(tmp_path), 1, command_of("c"), *way) as running:
        running.stdout.close()
        running.command("slice 0")
        assert "nobody reads the answers" in running.ends(1)


# ---- usage ----


def refuse(*arguments: str, data: bytes = b"") -> str:
    """It ends with status 2 and says why."""
    done = subprocess.run(
        [floor_command(), *arguments],
        input=data,
        capture_output=True,
        check=False,
        timeout=LIMIT_S,
    )
    assert done.returncode == 2
    return done.stderr.decode()


@pytest.mark.parametrize("command", ["go", "slice", "slice x", "slice -1", "slice 1 2", "x" * 300])
def test_bad_command(command: str, tmp_path: Path) -> None:
    with floor(traffic(tmp_path), 1, command_of("c")) as running:
        running.command(command)
        assert "command" in running.ends(2)


def test_bad_options(tmp_path: Path) -> None:
    files = traffic(tmp_path).options
    child = ("--", "child")
    assert "--requests" in refuse(*child)
    assert "-- CHILD" in refuse(*files, "--window", "1")
    assert "-- CHILD" in refuse(*files, "--window", "1", "--")
    assert "unknown option: --windows" in refuse(*files, "--windows", "1", *child)
    for bad in ("0", "-1", "x", "65537", "1e3", ""):
        assert f"out of range: {bad}" in refuse(*files, "--window", bad, *child)
    one = (*files, "--window", "1")
    assert "out of range: 0" in refuse(*one, "--pipe-bytes", "0", *child)
    assert "not one of pipe, shm: pipes" in refuse(*one, "--transport", "pipes", *child)
    assert "out of range: 1001" in refuse(*one, *SHM, "--spin-us", "1001", *child)
    assert "--spin-us needs --transport shm" in refuse(*one, "--spin-us", "5", *child)


def test_bad_files(tmp_path: Path) -> None:
    files = traffic(tmp_path, count=3)
    whole = files.requests.read_bytes()
    rest = ("--window", "1", "--", "child")

    files.pages.write_bytes(files.expected[:-1])
    assert "has 24575 bytes: the 3 redos" in refuse(*files.options, *rest)
    for bad in (whole[:-1], whole + b"X", whole + model.begin((0, 0, 0, 0, 0)), b"", b"Z" + whole):
        files.requests.write_bytes(bad)
        assert "no sequence of whole redos" in refuse(*files.options, *rest)
    files.requests.unlink()
    assert "cannot read" in refuse(*files.options, *rest)


def test_child_that_cannot_be_launched(tmp_path: Path) -> None:
    done = subprocess.run(
        [floor_command(), *traffic(tmp_path).options, "--window", "1", "--", "/no/such/child"],
        input=b"",
        capture_output=True,
        check=False,
        timeout=LIMIT_S,
    )
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"pipe_floor: cannot launch /no/such/child: ")


def test_commands_that_come_together(tmp_path: Path) -> None:
    """They are obeyed one after the other."""
    with floor(traffic(tmp_path), 1, command_of("c")) as running:
        running.stdin.write(b"slice 0\nslice 0\nstop\n")
        running.stdin.flush()
        # One client of one redo: three numbers and one latency.
        assert running.stdout.read().count(b"slice 32 1 1 0\n") == 2
        running.ends(0)
