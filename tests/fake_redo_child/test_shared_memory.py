"""Children over shared memory: the ring, the slots, the doorbells, and how they end."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fake_redo_child.faults.faults import ALL_FAULTS, MEMORY_FAULTS
from tests.support import page_model as model
from tests.support.bad_messages import FATAL
from tests.support.children import LIMIT_S, command_of, run, sandbox_allowed
from tests.support.memory_client import (
    CHILD_SLEEPS,
    CONSUMED,
    MANAGER_SLEEPS,
    READY,
    TAKEN,
    WRITTEN,
    Memory,
    SharingChild,
)
from tests.support.page_model import Record, Tag

TAG: Tag = (0, 1663, 5, 16384, 7)
REDO = model.redo(TAG, None, [(1, b"one"), (2, b"two")])
PAGE = model.page(TAG, None, [(1, b"one"), (2, b"two")])
ZERO_PAGE = bytes(model.PAGE)

KINDS = ("c", "python")
"""The children that speak it."""

each_kind = pytest.mark.parametrize("kind", KINDS)


def traffic(seed: int, redos: int = 12) -> tuple[bytes, bytes]:
    """Messages with records of all sizes, and the pages that answer them: two for each redo."""
    source = random.Random(seed)
    image = source.randbytes(model.PAGE)
    data = pages = b""
    for n in range(redos):
        sizes = [source.choice((0, 5, 70, 1000, 30_000)) for _ in range(source.randrange(4))]
        records: list[Record] = [(100 * n + k, source.randbytes(s)) for k, s in enumerate(sizes)]
        base = source.choice((None, image))
        data += model.PING + model.redo(TAG, base, records)
        pages += ZERO_PAGE + model.page(TAG, base, records)
    return data, pages


@each_kind
@pytest.mark.parametrize("always_ring", [0, 1])
@pytest.mark.parametrize("spin_ns", [0, 200_000])
@pytest.mark.parametrize(
    ("ring", "slots"),
    [(1 << 20, 256), (1 << 17, 8), (4096, 2), (64, 1)],
    ids=["as managers have it", "pieces", "wrap", "a record larger than the ring"],
)
def test_pages(kind: str, ring: int, slots: int, spin_ns: int, always_ring: int) -> None:
    data, pages = traffic(ring)
    memory = Memory(ring=ring, slots=slots, spin_ns=spin_ns, always_ring=always_ring)
    with SharingChild(command_of(kind), memory) as child:
        assert child.ask(data, len(pages) // model.PAGE) == pages
        assert child.end() == 0
        assert child.stderr.read() == b""


def until(condition: Callable[[], object]) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.001)


def sleeps(child: SharingChild) -> bool:
    """Whether it has said so and is in a system call that waits: its read of the doorbell."""
    state = child.status_line("State")
    return child.memory.words[CHILD_SLEEPS] == 1 and state.startswith("S")


def bells(child: SharingChild) -> bytes:
    """What is in the doorbell, without waiting for more."""
    if not select.select([child.stdout], [], [], 0)[0]:
        return b""
    return os.read(child.stdout.fileno(), 4096)


def flagged(*, ring: int = 4096, slots: int = 4, spin_ns: int = 0) -> Memory:
    """A memory whose flags count."""
    return Memory(ring=ring, slots=slots, spin_ns=spin_ns, always_ring=0)


# ---- the ring and the slots ----


@each_kind
def test_each_byte_by_itself(kind: str) -> None:
    with SharingChild(command_of(kind)) as child:
        for byte in REDO + model.PING:
            assert child.put(bytes([byte])) == 1
            until(lambda: child.memory.words[CONSUMED] == child.written)
        assert child.ask(b"", 2) == PAGE + ZERO_PAGE
        assert child.end() == 0


@each_kind
def test_full_slots(kind: str) -> None:
    """The child fills every slot and waits; it goes on once one is free, and loses nothing."""
    with SharingChild(command_of(kind), flagged(slots=4)) as child:
        child.put(model.PING + REDO * 8)
        until(lambda: child.memory.words[READY] == 4 and sleeps(child))
        assert child.take() == ZERO_PAGE + PAGE * 3
        until(lambda: child.memory.words[READY] == 8 and sleeps(child))
        assert child.ask(b"", 5) == PAGE * 5
        assert child.end() == 0


@each_kind
def test_full_ring(kind: str) -> None:
    """Of a child that waits for a slot the ring fills up, and is as the manager left it."""
    with SharingChild(command_of(kind), flagged(ring=128, slots=1)) as child:
        data = model.PING * 500
        sent = 0
        while sent < 100 or child.memory.words[CONSUMED] + 128 > child.written:
            sent += child.put(data[sent:])
        assert child.put(data[sent:]) == 0
        assert child.ask(data[sent:], 500) == ZERO_PAGE * 500
        assert child.end() == 0


@each_kind
def test_counters_are_exact(kind: str) -> None:
    with SharingChild(command_of(kind)) as child:
        for n in range(1, 30):
            assert child.ask(REDO, 1) == PAGE
            until(lambda n=n: child.memory.words[CONSUMED] == n * len(REDO))  # type: ignore[misc]
            words = child.memory.words
            assert (words[WRITTEN], words[READY], words[TAKEN]) == (n * len(REDO), n, n)


# ---- doorbells ----


@each_kind
def test_a_sleeping_child_says_so_and_is_woken(kind: str) -> None:
    with SharingChild(command_of(kind), flagged()) as child:
        for _ in range(5):
            until(lambda: sleeps(child))
            child.put(REDO)
            assert child.ask(b"", 1) == PAGE


@each_kind
def test_the_child_rings_only_for_what_the_manager_sleeps_for(kind: str) -> None:
    with SharingChild(command_of(kind), flagged()) as child:
        words = child.memory.words
        for flag, data, rung in [
            (0, REDO, b""),
            (1, model.begin(TAG), b""),
            (2, model.begin(TAG), b"\0"),
            (1, model.get(TAG), b"\0"),
            (2, REDO, b"\0"),
        ]:
            until(lambda: sleeps(child))
            words[MANAGER_SLEEPS] = flag
            child.put(data)
            until(lambda: words[CONSUMED] == child.written and sleeps(child))
            assert bells(child) == rung
            assert words[MANAGER_SLEEPS] == (0 if rung else flag)


@each_kind
def test_always_ring_rings_for_every_publication(kind: str) -> None:
    with SharingChild(command_of(kind)) as child:
        for data, rung in [(model.begin(TAG), 1), (model.get(TAG), 2), (REDO, 2), (b"", 0)]:
            child.put(data)
            until(lambda: child.memory.words[CONSUMED] == child.written and sleeps(child))
            assert bells(child) == bytes(rung)


@each_kind
def test_bells_without_a_reason_change_nothing(kind: str) -> None:
    with SharingChild(command_of(kind), flagged(slots=1)) as child:
        for size in (1, 511, 512, 513, 5000):
            os.write(child.stdin.fileno(), bytes(size))
            until(lambda: sleeps(child))
            child.put(REDO * 2)  # the second waits for the slot
            os.write(child.stdin.fileno(), bytes(size))
            assert child.ask(b"", 2) == PAGE * 2
        assert child.end() == 0


@each_kind
def test_a_stopped_child_loses_no_wake_up(kind: str) -> None:
    with SharingChild(command_of(kind), flagged()) as child:
        for n in range(20):
            child.process.send_signal(signal.SIGSTOP)
            until(lambda: child.status_line("State").startswith("T"))
            child.put(REDO)
            if n % 2:
                child.put(model.PING)
            child.process.send_signal(signal.SIGCONT)
            assert child.ask(b"", 1 + n % 2) == PAGE + ZERO_PAGE * (n % 2)


# ---- sandbox, descriptors, ends ----


@each_kind
def test_descriptors_and_mapping(kind: str) -> None:
    """The descriptor is closed, the memory is mapped once, and the sandbox is on."""
    with SharingChild(command_of(kind)) as child:
        assert child.ask(REDO, 1) == PAGE
        process = Path(f"/proc/{child.process.pid}")
        assert sorted(fd.name for fd in (process / "fd").iterdir()) == ["0", "1", "2"]
        maps = (process / "maps").read_text()
        assert maps.count("/memfd:") == 1
        if kind == "c" and sandbox_allowed():
            assert child.status_line("Seccomp") == "1"


@each_kind
def test_another_child_starts_afresh_in_the_same_memory(kind: str) -> None:
    memory = Memory()
    with SharingChild(command_of(kind), memory) as first:
        assert first.ask(REDO * 3, 3) == PAGE * 3
        first.process.kill()
        first.process.wait()
        memory.reset()
        second = SharingChild(command_of(kind), memory)
        with second:
            assert second.ask(REDO * 9, 9) == PAGE * 9
            assert second.end() == 0


@each_kind
@pytest.mark.parametrize("spin_ns", [0, 1_000_000, 2**64 - 1])
@pytest.mark.parametrize(
    ("data", "status", "said"),
    [
        (b"", 0, b""),
        (REDO, 0, b""),
        (REDO + model.begin(TAG), 0, b""),
        (REDO[:-1], 1, b"FATAL: end of input inside a message\n"),
    ],
    ids=["nothing", "at rest", "in a redo", "in a message"],
)
def test_end_of_input(kind: str, data: bytes, status: int, said: bytes, spin_ns: int) -> None:
    """Also what is written just before the end is answered."""
    with SharingChild(command_of(kind), flagged(spin_ns=spin_ns)) as child:
        child.memory.words[MANAGER_SLEEPS] = 0
        child.put(data)
        assert child.end() == status
        assert child.stderr.read() == said
        assert child.memory.words[CONSUMED] == len(data)
        assert child.take() == PAGE * (REDO in data)


@each_kind
def test_end_of_input_while_no_slot_is_free(kind: str) -> None:
    with SharingChild(command_of(kind), flagged(slots=2)) as child:
        child.put(REDO * 3)
        until(lambda: child.memory.words[READY] == 2 and sleeps(child))
        assert child.end() == 1
        said = b"FATAL: cannot write a page: no slot is free, and input has ended\n"
        assert child.stderr.read() == said
        assert child.take() == PAGE * 2


@each_kind
def test_end_of_input_while_it_spins(kind: str) -> None:
    with SharingChild(command_of(kind), flagged(spin_ns=1_000_000)) as child:
        for _ in range(50):
            assert child.ask(model.PING, 1) == ZERO_PAGE  # so that it spins now
        assert child.end() == 0


@each_kind
def test_closed_output(kind: str) -> None:
    with SharingChild(command_of(kind)) as child:
        assert child.ask(REDO, 1) == PAGE
        child.stdout.close()
        child.put(REDO)
        assert child.process.wait(LIMIT_S) == 1
        assert b"output is gone (errno 32)" in child.stderr.read()


@each_kind
@pytest.mark.parametrize("case", FATAL)
def test_errors(kind: str, case: str) -> None:
    """Those of pipes; the pages before the error are ready."""
    data, text = FATAL[case]
    with SharingChild(command_of(kind)) as child:
        assert child.ask(REDO + data, 1) == PAGE
        assert child.process.wait(LIMIT_S) == 1
        assert text in child.stderr.read().decode()


@each_kind
@pytest.mark.parametrize("beyond", [4097, 2**63, 2**64 - 1])
def test_more_is_announced_than_the_ring_holds(kind: str, beyond: int) -> None:
    with SharingChild(command_of(kind)) as child:
        assert child.ask(REDO, 1) == PAGE
        until(lambda: child.memory.words[CONSUMED] == len(REDO))
        child.publish(WRITTEN, (len(REDO) + beyond) % 2**64)
        assert child.process.wait(LIMIT_S) == 1
        assert child.stderr.read() == b"FATAL: more input is announced than the ring holds\n"


# ---- what is no shared memory ----

HEADERS: dict[str, tuple[dict[str, int | bytes], str]] = {
    "magic": ({"magic": b"WALREDO2"}, "magic is not WALREDO1"),
    "ring": ({"ring": 5000}, "ring_bytes is 5000, not a power of two up to 1073741824"),
    "no ring": ({"ring": 0}, "ring_bytes is 0, not a power of two up to 1073741824"),
    "huge ring": ({"ring": 2**63, "size": 65536}, f"ring_bytes is {2**63}, not a power of two"),
    "slots": ({"slots": 3}, "slots is 3, not a power of two up to 65536"),
    "huge slots": ({"slots": 2**17, "size": 65536}, "slots is 131072, not a power of two"),
    "page": ({"page": 4096}, "page_bytes is 4096, not 8192"),
    "always_ring": ({"always_ring": 2}, "always_ring is 2, not 0 or 1"),
    "short": ({"size": 40959}, "it has 40959 bytes, but its header says 40960"),
    "long": ({"size": 40961}, "it has 40961 bytes, but its header says 40960"),
    "no header": ({"size": 4095}, "it has 4095 bytes, less than a header of 4096"),
    "empty": ({"size": 0}, "it has 0 bytes, less than a header of 4096"),
}


@each_kind
@pytest.mark.parametrize("case", HEADERS)
def test_bad_headers(kind: str, case: str) -> None:
    settings, text = HEADERS[case]
    with SharingChild(command_of(kind), Memory(**settings)) as child:  # type: ignore[arg-type]
        assert child.process.wait(LIMIT_S) == 2
        said = child.stderr.read().decode()
        assert f"shared memory of descriptor {child.memory.fd}: {text}" in said
        assert said.count("\n") == 1


@each_kind
@pytest.mark.parametrize(
    ("option", "named"),
    [
        (("--shared-memory",), "option needs a value: --shared-memory"),
        *(
            (("--shared-memory", bad), f"not the number of a descriptor above 2: {bad}")
            for bad in ("", "x", "-1", "0", "2", "3.0", "+3", "2147483648", "9" * 30)
        ),
        (
            ("--shared-memory=77",),
            "shared memory of descriptor 77: not an open descriptor (errno 9)",
        ),
    ],
)
def test_bad_options(kind: str, option: tuple[str, ...], named: str) -> None:
    done = run(command_of(kind, *option), REDO)
    assert (done.returncode, done.stdout) == (2, b"")
    assert named in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1


@each_kind
def test_a_memory_that_cannot_be_written(kind: str) -> None:
    memory = Memory()
    read_only = os.open(f"/proc/self/fd/{memory.fd}", os.O_RDONLY)
    try:
        done = subprocess.run(
            command_of(kind, "--shared-memory", str(read_only)),
            input=b"",
            capture_output=True,
            pass_fds=[read_only],
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == 2
        assert b"cannot be mapped for reading and writing (errno 13)" in done.stderr
    finally:
        os.close(read_only)
        memory.close()


# ---- faults ----

ENDINGS = {
    "exit-before-reply:at=2": (PAGE, 4),
    "exit-in-reply:at=2": (PAGE, 4),
    "exit-after-reply:at=2": (PAGE * 2, 4),
    "killed:at=2": (PAGE, -signal.SIGKILL),
    "late:ms=1,at=2": (PAGE * 4, 0),
    "drip:us=0,at=2": (PAGE * 4, 0),
    "short-reply:at=2": (PAGE * 3, 0),
    "short-reply:bytes=8192,at=2": (PAGE * 3, 0),
    "extra-page:at=2": (PAGE * 5, 0),
    "stderr-lines:at=2": (PAGE * 4, 0),
    "stderr-blob:at=2": (PAGE * 4, 0),
    "start-slowly:ms=1": (PAGE * 4, 0),
    "fail-to-start": (b"", 1),
    "consumed-ahead:by=1,at=5": (PAGE * 4, 0),
    "consumed-behind:by=1,at=5": (PAGE * 4, 0),
    "ready-ahead:by=1,at=5": (PAGE * 4, 0),
    "ready-behind:by=1,at=5": (PAGE * 4, 0),
}
STAYING = {
    "hang:at=2": (PAGE, True),
    "close-stdout:at=2": (PAGE, False),
    "close-stdin:at=2": (PAGE * 2, True),
    "ignore-eof": (PAGE * 4, True),
}


def test_every_fault_is_here() -> None:
    """All but open-file, whose end depends on the sandbox."""
    named = {text.partition(":")[0] for text in (*ENDINGS, *STAYING)}
    assert named == ALL_FAULTS.keys() - {"open-file"}


@each_kind
@pytest.mark.parametrize("fault", ENDINGS)
def test_faults_that_end(kind: str, fault: str) -> None:
    pages, status = ENDINGS[fault]
    memory = Memory(slots=8)
    with SharingChild(command_of(kind, "--fault", fault), memory) as child:
        child.put(REDO * 4)
        noise = 1 << 20 if fault.startswith("stderr") else 0
        while noise:
            noise -= len(child.stderr.read(noise))
        # With an error there are no more pages, however many are asked for.
        assert child.ask(b"", 9 if status else len(pages) // model.PAGE) == pages
        assert child.end() == status
        assert child.take() == b""


@each_kind
@pytest.mark.parametrize("fault", STAYING)
def test_faults_that_stay(kind: str, fault: str) -> None:
    pages, has_output = STAYING[fault]
    with SharingChild(command_of(kind, "--no-sandbox", "--fault", fault)) as child:
        assert child.ask(REDO * 4, len(pages) // model.PAGE) == pages
        if not has_output:
            until(lambda: child.sleep(1, child.seen()) is False)
        child.stdin.close()
        with pytest.raises(subprocess.TimeoutExpired):
            child.process.wait(0.2)
        assert child.take() == b""
        child.process.terminate()
        assert child.process.wait(LIMIT_S) == -signal.SIGTERM


@each_kind
def test_open_file(kind: str) -> None:
    with SharingChild(command_of(kind, "--no-sandbox", "--fault", "open-file")) as child:
        assert child.ask(REDO, 1) == PAGE
        assert child.end() == 0
        assert child.stderr.read() == b"WARNING: fault open-file: it could be opened\n"


def test_open_file_in_the_sandbox() -> None:
    if not sandbox_allowed():
        pytest.skip("this machine forbids strict mode")
    with SharingChild(command_of("c", "--fault", "open-file")) as child:
        assert child.ask(REDO, 1) == b""
        assert child.process.wait(LIMIT_S) == -signal.SIGKILL


@each_kind
def test_drip_publishes_whole_pages(kind: str) -> None:
    with SharingChild(command_of(kind, "--fault", "drip:us=0")) as child:
        child.put(REDO)
        until(lambda: child.memory.words[CONSUMED] == len(REDO) and sleeps(child))
        assert bells(child) == b"\0\0"  # of one page and of what was consumed


@each_kind
@pytest.mark.parametrize("by", [1, 5, 2_000_000, 1_000_000_000])
@pytest.mark.parametrize("name", MEMORY_FAULTS)
def test_lies(kind: str, name: str, by: int) -> None:
    """From the second redo on, and only in that counter; the child itself goes on well."""
    sign = 1 if name.endswith("ahead") else -1
    fault = f"{name}:by={by},at=2"
    with SharingChild(command_of(kind, "--fault", fault), flagged(slots=8)) as child:
        words = child.memory.words
        for n in range(1, 6):
            lie = sign * by if n >= 2 else 0
            consumed = n * len(REDO) + lie * name.startswith("consumed")
            ready = n + lie * name.startswith("ready")
            until(lambda: sleeps(child))
            child.put(REDO, trusting=False)
            until(lambda c=consumed: words[CONSUMED] == c % 2**64)  # type: ignore[misc]
            assert words[READY] == ready % 2**64
            assert child.slot(n - 1) == PAGE
        assert child.end() == 0


@each_kind
@pytest.mark.parametrize("name", MEMORY_FAULTS)
def test_the_usual_lie_is_beyond_belief(kind: str, name: str) -> None:
    with SharingChild(command_of(kind, "--fault", name), Memory(ring=1 << 20, slots=256)) as child:
        words = child.memory.words
        child.put(REDO)
        until(lambda: words[READY] and words[CONSUMED])
        if name.startswith("consumed"):
            assert words[CONSUMED] > child.written
        else:
            assert words[READY] > 256


@pytest.mark.parametrize("kind", ["c", "python"])
@pytest.mark.parametrize("name", MEMORY_FAULTS)
def test_lies_need_a_shared_memory(kind: str, name: str) -> None:
    done = run(command_of(kind, "--fault", f"{name}:by=3"), REDO)
    assert (done.returncode, done.stdout) == (2, b"")
    assert f"fault needs --shared-memory: {name}:by=3" in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
