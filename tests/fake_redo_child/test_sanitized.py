"""The C child under AddressSanitizer and UndefinedBehaviorSanitizer, leaks included.

Outside its sandbox, where a sanitizer cannot work. What the child answers is checked as well: a
sanitizer that ends the child early must not go unseen.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess

import pytest

from fake_redo_child import build
from fake_redo_child.faults.faults import ALL_FAULTS, FAULTS, MEMORY_FAULTS
from tests.support import page_model as model
from tests.support import sanitized
from tests.support.bad_messages import FATAL
from tests.support.children import LIMIT_S
from tests.support.memory_client import Memory, SharingChild
from tests.support.page_model import Record, Tag

TAG: Tag = (1, 1663, 5, 16384, 7)
ONE = model.redo(TAG, None, [(1, b"one")])
PAGE = model.page(TAG, None, [(1, b"one")])

# What each fault at the second of three redos writes, and how the child ends.
ENDINGS = {
    "exit-before-reply": (PAGE, 4),
    "exit-in-reply": (PAGE + PAGE[:4096], 4),
    "exit-after-reply": (PAGE * 2, 4),
    "killed": (PAGE, -signal.SIGKILL),
    "late:ms=1": (PAGE * 3, 0),
    "drip:us=0": (PAGE * 3, 0),
    "short-reply": (PAGE + PAGE[:-100] + PAGE, 0),
    "extra-page": (PAGE * 4, 0),
    "stderr-lines": (PAGE * 3, 0),
    "stderr-blob": (PAGE * 3, 0),
    "open-file": (PAGE * 3, 0),
    "start-slowly:ms=1": (PAGE * 3, 0),
    "fail-to-start": (b"", 1),
}
STAYING = {"hang": PAGE, "close-stdout": PAGE, "close-stdin": PAGE * 2, "ignore-eof": PAGE * 3}


def command(*options: str) -> list[str]:
    program = sanitized.program(*build._CHILD_SOURCES)
    return [str(program), "--no-sandbox", *options]


def answers(data: bytes, *options: str) -> subprocess.CompletedProcess[bytes]:
    """What the child says to all of its input, once nothing is reported."""
    done = subprocess.run(
        command(*options),
        input=data,
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
        env=sanitized.ENVIRONMENT,
    )
    sanitized.assert_no_report(done.returncode, done.stderr)
    return done


def at_second(fault: str) -> str:
    if not ALL_FAULTS[fault.partition(":")[0]].at_redo:
        return fault
    return f"{fault}{',' if ':' in fault else ':'}at=2"


def test_pages() -> None:
    source = random.Random(1)
    image = source.randbytes(model.PAGE)
    data = expected = b""
    for sizes in ([], [0], [1, 0, 3], [67] * 40, [8175, 8176, 8177], [70_000, 1]):
        for base in (None, image):
            records: list[Record] = [(2**40 + n, source.randbytes(n)) for n in sizes]
            data += model.PING + model.redo(TAG, base, records)
            expected += bytes(model.PAGE) + model.page(TAG, base, records)
    done = answers(data)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == expected


def test_pages_of_input_in_pieces() -> None:
    """Each byte a write of its own, so that most of them are reads of their own."""
    process = subprocess.Popen(
        command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env=sanitized.ENVIRONMENT,
    )
    with process:
        assert process.stdin is not None
        try:
            for byte in ONE + model.PING + ONE:
                os.write(process.stdin.fileno(), bytes([byte]))
            stdout, stderr = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
    sanitized.assert_no_report(process.returncode, stderr)
    assert (process.returncode, stdout) == (0, PAGE + bytes(model.PAGE) + PAGE)


@pytest.mark.parametrize("case", FATAL)
def test_errors(case: str) -> None:
    data, text = FATAL[case]
    done = answers(ONE + data)
    assert done.returncode == 1
    assert text in done.stderr.decode()


def test_end_inside_a_message() -> None:
    assert answers(ONE[:-1]).returncode == 1


def test_options() -> None:
    assert answers(b"", "--help").returncode == 0
    assert answers(b"", "--nonsense").returncode == 2
    assert answers(b"", "--cost").returncode == 2
    assert answers(ONE, "--cost=pg14", "--cost-per-record-us", "0.25").stdout == PAGE


@pytest.mark.parametrize(
    "text",
    ["", ":", "x" * 4000, "late:", "late:ms", "late:" + "ms=3," * 500, "hang:p=", "hang:=,="],
)
def test_bad_faults(text: str) -> None:
    assert answers(ONE, "--fault", text).returncode == 2


def test_every_fault_is_here() -> None:
    assert {text.partition(":")[0] for text in (*ENDINGS, *STAYING)} == set(FAULTS)


@pytest.mark.parametrize("fault", ENDINGS)
def test_faults_that_end(fault: str) -> None:
    done = answers(ONE * 3, "--fault", at_second(fault))
    assert (done.stdout, done.returncode) == ENDINGS[fault]


@pytest.mark.parametrize("trigger", ["every=2", "p=0.5,seed=3"])
def test_triggers(trigger: str) -> None:
    assert answers(ONE * 8, "--fault", f"extra-page:{trigger}").returncode == 0


@pytest.mark.parametrize("fault", STAYING)
def test_faults_that_stay(fault: str) -> None:
    """Until a signal, so that leaks cannot be looked for; all else can."""
    process = subprocess.Popen(
        command("--fault", at_second(fault)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=sanitized.ENVIRONMENT,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            process.stdin.write(ONE * 3)
            process.stdin.close()
            stdout = process.stdout.read(len(STAYING[fault]))
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.3)
            process.terminate()
            assert process.wait(LIMIT_S) == -signal.SIGTERM
        finally:
            process.kill()
        assert stdout + process.stdout.read() == STAYING[fault]
        assert process.stderr.read() == b""


# ---- over shared memory ----


def sharing(memory: Memory, *options: str) -> SharingChild:
    environment = (f"{name}={value}" for name, value in sanitized.ENVIRONMENT.items())
    return SharingChild(["/usr/bin/env", *environment, *command(*options)], memory)


def ends(child: SharingChild, status: int) -> None:
    ended = child.end()
    sanitized.assert_no_report(ended, child.stderr.read())
    assert ended == status


@pytest.mark.parametrize("spin_ns", [0, 100_000])
@pytest.mark.parametrize(("ring", "slots"), [(1, 1), (64, 2), (1 << 17, 8)])
def test_pages_over_shared_memory(ring: int, slots: int, spin_ns: int) -> None:
    records: list[Record] = [(2**40 + n, bytes([n]) * n * 10) for n in range(30)]
    data = (model.PING + model.redo(TAG, bytes(model.PAGE), records)) * 3
    pages = (bytes(model.PAGE) + model.page(TAG, bytes(model.PAGE), records)) * 3
    with sharing(Memory(ring=ring, slots=slots, spin_ns=spin_ns)) as child:
        assert child.ask(data, 6) == pages
        ends(child, 0)


@pytest.mark.parametrize("fault", [*ENDINGS, *MEMORY_FAULTS])
def test_faults_over_shared_memory(fault: str) -> None:
    """Only that no sanitizer has something to say; the pages are checked without one."""
    _, status = ENDINGS.get(fault, (b"", 0))
    with sharing(Memory(slots=8), "--fault", at_second(fault)) as child:
        child.put(ONE * 3)
        noise = 1 << 20 if fault.startswith("stderr") else 0
        while noise:
            noise -= len(child.stderr.read(noise))
        ends(child, status)


@pytest.mark.parametrize("case", FATAL)
def test_errors_over_shared_memory(case: str) -> None:
    with sharing(Memory()) as child:
        assert child.ask(ONE + FATAL[case][0], 1) == PAGE
        ends(child, 1)


@pytest.mark.parametrize("size", [0, 4095, 4096, 40959, 40961])
def test_memories_of_a_wrong_size(size: int) -> None:
    with sharing(Memory(size=size)) as child:
        ends(child, 2)
