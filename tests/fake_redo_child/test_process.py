"""The children as processes: sandbox, descriptors, memory, options, and how they end."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from fake_redo_child import build
from fake_redo_child.child import python_child
from tests.support import page_model as model
from tests.support.children import KINDS, LIMIT_S, RunningChild, command_of, run, sandbox_allowed
from tests.support.page_model import Tag

TAG: Tag = (0, 1663, 5, 16384, 7)
REDO = model.redo(TAG, None, [(1, b"one"), (2, b"two")])
PAGE = model.page(TAG, None, [(1, b"one"), (2, b"two")])

each_kind = pytest.mark.parametrize("kind", KINDS)


def up(child: RunningChild) -> RunningChild:
    """Once it has answered, everything that it does before its first read is done."""
    child.send(model.PING)
    assert child.page() == bytes(model.PAGE)
    return child


# ---- sandbox and descriptors ----


def test_sandbox_is_on() -> None:
    command = command_of("c")
    if not sandbox_allowed():
        pytest.skip("this machine forbids strict mode")
    with RunningChild(command) as child:
        assert up(child).status_line("Seccomp") == "1"


def test_sandbox_can_be_off() -> None:
    before = next(
        line.split()[1]
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("Seccomp:")
    )
    with RunningChild(command_of("c", "--no-sandbox")) as child:
        assert up(child).status_line("Seccomp") == before
        child.send(REDO)
        assert child.page() == PAGE


def test_statuses_are_the_same_without_sandbox() -> None:
    assert run(command_of("c", "--no-sandbox"), b"").returncode == 0
    assert run(command_of("c", "--no-sandbox"), b"X").returncode == 1


FORBID_STRICT_MODE = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
# A filter that allows everything; a process under any filter cannot change to strict mode.
allow = struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)
code = ctypes.create_string_buffer(allow)
program = struct.pack("HxxxxxxP", 1, ctypes.addressof(code))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.create_string_buffer(program), 0, 0) == 0, ctypes.get_errno()
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_where_the_sandbox_is_forbidden() -> None:
    """As in a container with a filter of its own."""
    program = command_of("c")[0]
    inside = [sys.executable, "-c", FORBID_STRICT_MODE, program]
    done = run(inside, REDO)
    assert (done.returncode, done.stdout) == (3, b"")
    assert done.stderr.startswith(b"FATAL: cannot enter seccomp strict mode")
    assert b"--no-sandbox" in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert run([*inside, "--no-sandbox"], REDO).stdout == PAGE


@each_kind
def test_inherited_descriptors_are_closed(kind: str, tmp_path: Path) -> None:
    strays = [os.open(tmp_path / f"stray{i}", os.O_CREAT | os.O_RDWR) for i in range(5)]
    far = os.dup2(strays[0], 200)
    try:
        with RunningChild(command_of(kind), inherit=[*strays, far]) as child:
            up(child)
            fds = Path(f"/proc/{child.process.pid}/fd").iterdir()
            assert sorted(fd.name for fd in fds) == ["0", "1", "2"]
    finally:
        for fd in (*strays, far):
            os.close(fd)


# ---- memory ----


def peak_kib(child: RunningChild) -> int:
    return int(child.status_line("VmHWM").split()[0])


def test_c_child_memory_does_not_depend_on_the_record() -> None:
    with RunningChild(command_of("c")) as child:
        child.send(model.redo(TAG, None, [(1, bytes(model.MAX_RECORD))]))
        child.page()
        assert peak_kib(child) < 8 * 1024


def test_python_child_memory_does_not_grow_with_a_redo() -> None:
    with RunningChild(command_of("python")) as child:
        record = model.apply(1, bytes(model.MAX_RECORD))
        peaks = []
        for count in (2, 12):
            child.send(model.begin(TAG))
            for _ in range(count):
                child.send(record)
            child.send(model.get(TAG))
            child.page()
            peaks.append(peak_kib(child))
        assert peaks[1] - peaks[0] < 2 * model.MAX_RECORD / 1024


# ---- ends ----


@each_kind
def test_closed_output_ends_the_child(kind: str) -> None:
    with RunningChild(command_of(kind)) as child:
        up(child)
        child.stdout.close()
        child.send(REDO)
        assert child.process.wait(LIMIT_S) == 1
        assert b"output is gone (errno 32)" in child.stderr.read()


@each_kind
def test_closed_input_ends_the_child(kind: str) -> None:
    with RunningChild(command_of(kind)) as child:
        up(child)
        child.stdin.close()
        assert child.process.wait(LIMIT_S) == 0


@each_kind
def test_nobody_reads_the_errors(kind: str) -> None:
    """Neither an endless wait nor another status."""
    with RunningChild(command_of(kind)) as child:
        up(child)
        child.stderr.close()
        child.send(model.message("X", b""))
        assert child.process.wait(LIMIT_S) == 1


@each_kind
def test_unreadable_input(kind: str) -> None:
    with Path(os.devnull).open("wb") as write_only:
        done = subprocess.run(
            command_of(kind), stdin=write_only, capture_output=True, timeout=LIMIT_S, check=False
        )
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"FATAL: cannot read (errno 9)\n"


@each_kind
def test_backlog_of_pages(kind: str) -> None:
    """More pages than the pipe holds, read late: the child waits and loses nothing."""
    redos = [((0, 1, 2, 3, block), None, [(block, bytes([block]))]) for block in range(60)]
    with RunningChild(command_of(kind)) as child:
        child.send(b"".join(model.redo(*redo) for redo in redos))
        for redo in redos:
            assert child.page() == model.page(*redo)


# ---- options ----


@each_kind
@pytest.mark.parametrize(
    "options",
    [
        ("--cost", "none"),
        ("--cost", "pg14"),
        ("--cost=pg14",),
        ("--cost-per-request-us", "100"),
        ("--cost-per-record-us", "0.5"),
        ("--cost-per-record-us=.5", "--cost-per-request-us=7."),
        ("--cost", "pg14", "--cost-per-record-us", "0", "--no-sandbox"),
    ],
    ids=" ".join,
)
def test_cost_changes_no_page(kind: str, options: tuple[str, ...]) -> None:
    source = random.Random(4)
    records = [(lsn, source.randbytes(67)) for lsn in range(1, 227)]
    data = model.PING + REDO + model.redo(TAG, None, records)
    done = run(command_of(kind, *options), data)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == bytes(model.PAGE) + PAGE + model.page(TAG, None, records)


@each_kind
@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--nonsense",), "unknown option: --nonsense"),
        (("--no-sandbox=1",), "unknown option: --no-sandbox=1"),
        (("--costs", "pg14"), "unknown option: --costs"),
        (("stray",), "unknown option: stray"),
        (("--cost", "pg15"), "unknown cost, not one of none, pg14: pg15"),
        (("--cost",), "option needs a value: --cost"),
        (("--cost-per-request-us",), "option needs a value: --cost-per-request-us"),
        *(
            (
                ("--cost-per-record-us", bad),
                f"not a number of microseconds from 0 to 1000000: {bad}",
            )
            for bad in ("", ".", "-1", "1e3", "0x10", "inf", "nan", "1.2.3", " 1", "1000001", "1_0")
        ),
    ],
)
def test_bad_options(kind: str, options: tuple[str, ...], named: str) -> None:
    done = run(command_of(kind, *options), REDO)
    assert (done.returncode, done.stdout) == (2, b"")
    assert named in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1


@each_kind
def test_help_names_every_option_and_preset(kind: str) -> None:
    done = run(command_of(kind, "--help"), b"")
    text = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    for option in ("--no-sandbox", "--cost", "--cost-per-request-us", "--cost-per-record-us"):
        assert option in text
    for name, (request_us, record_us) in python_child.COST_PRESETS.items():
        assert name in text
        if request_us or record_us:
            assert f"({request_us:g} us per request, {record_us:g} us per record)" in text


def test_both_children_have_the_same_presets() -> None:
    """The one place where a preset stands in both languages."""
    source = (Path(build.__file__).parent / "child/fake_redo_child.c").read_text()
    for name, (request_us, record_us) in python_child.COST_PRESETS.items():
        assert f'{{"{name}", {{{request_us!r}, {record_us!r}}}}}' in source
    assert source.count('{"') == len(python_child.COST_PRESETS)


def test_python_child_stands_alone(tmp_path: Path) -> None:
    """It imports nothing of the project: a lone copy of the file works."""
    copy = tmp_path / "child.py"
    copy.write_bytes(Path(python_child.__file__).read_bytes())
    assert run([sys.executable, "-I", "-S", str(copy)], REDO).stdout == PAGE
