"""A child process as the managers hold it: launched cleanly, never leaked."""

from __future__ import annotations

import fcntl
import gc
import os
import select
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.places import ROOT
from tests.support.managers import (
    SLACK_S,
    eventually,
    has_ended,
    is_gone,
    open_descriptors,
    own_children,
)
from walredo.child import Child
from walredo.errors import LaunchError

PIPE_BYTES = 65536
DEFAULT_PIPE_BYTES = 65536
SLEEP = ("/bin/sleep", "3600")

Launch = Callable[..., Child]


@pytest.fixture
def launch() -> Iterator[Launch]:
    """Launches children; afterwards no process and no descriptor is left."""
    gc.collect()
    before = open_descriptors()
    children = []

    def make(command: tuple[str, ...] = SLEEP, pipe_bytes: int = PIPE_BYTES) -> Child:
        child = Child(command, pipe_bytes)
        children.append(child)
        return child

    yield make
    for child in children:
        child.kill_and_reap()
        child.close_streams()
    assert own_children() == set()
    assert open_descriptors() == before


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-c", code)


def all_output(child: Child) -> bytes:
    """What the child writes until it closes its output."""
    data = b""
    while True:
        assert select.select([child.stdout], [], [], SLACK_S)[0]
        piece = os.read(child.stdout, 65536)
        if not piece:
            return data
        data += piece


def one_line(child: Child) -> str:
    data = b""
    while not data.endswith(b"\n"):
        assert select.select([child.stdout], [], [], SLACK_S)[0]
        data += os.read(child.stdout, 1)
    return data.decode().strip()


# --- launching ------------------------------------------------------------------------------------


def test_a_missing_program_is_a_launch_error(launch: Launch, tmp_path: Path) -> None:
    command = (str(tmp_path / "missing"), "-x")
    with pytest.raises(LaunchError, match="No such file or directory") as caught:
        launch(command)
    assert caught.value.command == command
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_a_program_that_is_not_executable_is_a_launch_error(launch: Launch, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    with pytest.raises(LaunchError, match="Permission denied"):
        launch((str(program),))


def test_a_directory_is_a_launch_error(launch: Launch, tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="Permission denied"):
        launch((str(tmp_path),))


def test_a_file_that_is_no_program_is_a_launch_error(launch: Launch, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF nothing of the kind")
    program.chmod(0o755)
    with pytest.raises(LaunchError, match="Exec format error"):
        launch((str(program),))


def test_a_word_with_a_null_byte_is_a_launch_error(launch: Launch) -> None:
    with pytest.raises(LaunchError, match="null byte"):
        launch(("/bin/sleep", "3600\0"))


def test_a_child_is_a_running_process_with_its_three_streams(launch: Launch) -> None:
    child = launch(("/bin/cat",))
    assert child.pid in own_children()
    assert child.returncode is None
    assert child.launch_ns > 0
    assert os.write(child.stdin, b"there and back\n") == 15
    assert one_line(child) == "there and back"
    for fd in (child.stdin, child.stdout, child.stderr):
        assert not os.get_blocking(fd)
        assert not os.get_inheritable(fd)


def test_the_environment_is_empty(launch: Launch) -> None:
    assert os.environ
    assert all_output(launch(("/usr/bin/env",))) == b""


def test_no_descriptor_is_inherited(launch: Launch) -> None:
    reader, writer = os.pipe()
    try:
        os.set_inheritable(writer, True)
        # Looking takes one more.
        code = "import os; print(sorted(os.listdir('/proc/self/fd'), key=int)[:-1])"
        assert all_output(launch(python(code))) == b"['0', '1', '2']\n"
    finally:
        os.close(reader)
        os.close(writer)


def test_it_leads_a_process_group_of_its_own_in_our_session(launch: Launch) -> None:
    child = launch()
    assert os.getpgid(child.pid) == child.pid != os.getpgrp()
    assert os.getsid(child.pid) == os.getsid(0)


# --- pipes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [4096, 16384, 262144])
def test_pipes_have_the_size_that_was_asked_for(launch: Launch, size: int) -> None:
    child = launch(pipe_bytes=size)
    assert (child.stdin_bytes, child.stdout_bytes) == (size, size)
    for fd in (child.stdin, child.stdout):
        assert fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ) == size


@pytest.mark.parametrize("size", [2**31, 2**31 + 1, 2**32, 2**70])
def test_pipes_stay_as_they_are_where_the_size_is_absurd(launch: Launch, size: int) -> None:
    child = launch(pipe_bytes=size)
    assert child.stdin_bytes == fcntl.fcntl(child.stdin, fcntl.F_GETPIPE_SZ)
    assert child.stdout_bytes == fcntl.fcntl(child.stdout, fcntl.F_GETPIPE_SZ)
    assert min(child.stdin_bytes, child.stdout_bytes) >= DEFAULT_PIPE_BYTES


def test_pipes_stay_as_they_are_where_the_kernel_refuses(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = fcntl.fcntl

    def refusing(fd: int, command: int, argument: int = 0) -> int:
        if command == fcntl.F_SETPIPE_SZ:
            raise PermissionError(1, "Operation not permitted")
        return original(fd, command, argument)

    monkeypatch.setattr(fcntl, "fcntl", refusing)
    child = launch(pipe_bytes=4096)
    assert (child.stdin_bytes, child.stdout_bytes) == (DEFAULT_PIPE_BYTES, DEFAULT_PIPE_BYTES)


# --- ends -----------------------------------------------------------------------------------------


def test_kill_and_reap_may_be_repeated(launch: Launch) -> None:
    child = launch()
    assert [child.kill_and_reap() for _ in range(3)] == [-signal.SIGKILL] * 3
    assert child.returncode == -signal.SIGKILL
    assert is_gone(child.pid)


def test_a_stopped_child_is_killed_too(launch: Launch) -> None:
    child = launch()
    os.kill(child.pid, signal.SIGSTOP)
    assert child.kill_and_reap() == -signal.SIGKILL
    assert is_gone(child.pid)


def test_kill_and_reap_from_several_threads(launch: Launch) -> None:
    child = launch()
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: child.kill_and_reap(), range(8)))
    assert codes == [-signal.SIGKILL] * 8
    assert is_gone(child.pid)


@pytest.mark.parametrize(
    ("code", "returncode"),
    [("pass", 0), ("raise SystemExit(5)", 5), ("import os; os.kill(os.getpid(), 15)", -15)],
)
def test_the_return_code_of_a_child_that_has_ended_already(
    launch: Launch, code: str, returncode: int
) -> None:
    child = launch(python(code))
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert child.returncode is None
    assert not is_gone(child.pid)
    assert child.kill_and_reap() == returncode
    assert child.returncode == returncode
    assert is_gone(child.pid)


@pytest.mark.parametrize("leader_has_ended", [False, True])
def test_what_the_child_started_ends_with_it(launch: Launch, leader_has_ended: bool) -> None:
    end = "" if leader_has_ended else "wait"
    child = launch(("/bin/sh", "-c", f"/bin/sleep 3600 & echo $!; {end}"))
    grandchild = int(one_line(child))
    assert not is_gone(grandchild)
    if leader_has_ended:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    child.kill_and_reap()
    # It is not ours to reap: whoever inherits it may take a moment, or leave a zombie.
    assert eventually(lambda: has_ended(grandchild))


def test_close_streams_may_be_repeated_and_does_not_close_anothers(launch: Launch) -> None:
    child = launch()
    fds = {child.stdin, child.stdout, child.stderr}
    child.kill_and_reap()
    child.close_streams()
    taken = [os.open("/dev/null", os.O_RDONLY) for _ in range(50)]
    try:
        assert fds <= set(taken)
        child.close_streams()
        for fd in taken:
            os.fstat(fd)
    finally:
        for fd in taken:
            os.close(fd)


def test_killing_leaves_the_streams_open(launch: Launch) -> None:
    """Another thread may be reading: the number must not be given to somebody else."""
    child = launch(("/bin/sh", "-c", "echo last words; exec /bin/sleep 3600"))
    assert select.select([child.stdout], [], [], SLACK_S)[0]
    child.kill_and_reap()
    assert all_output(child) == b"last words\n"


def test_closing_the_streams_does_not_end_the_child(launch: Launch) -> None:
    child = launch()
    child.close_streams()
    assert child.returncode is None
    assert not is_gone(child.pid)


def test_a_dropped_child_warns_and_leaves_nothing() -> None:
    before = open_descriptors()
    child = Child(SLEEP, PIPE_BYTES)
    pid = child.pid
    with pytest.warns(ResourceWarning, match=f"redo child {pid} was not shut down"):
        del child
        gc.collect()
    assert is_gone(pid)
    assert open_descriptors() == before


DROPPED_WHERE_WARNINGS_ARE_ERRORS = """
import gc, os, signal, warnings
from walredo.child import Child
child = Child(("/bin/sleep", "3600"), 65536)
pid = child.pid
warnings.simplefilter("error")
del child
gc.collect()
try:
    os.kill(pid, signal.SIGKILL)
except ProcessLookupError:
    print("gone")
else:
    os.waitpid(pid, 0)
    print("left")
"""


def test_a_dropped_child_leaves_nothing_where_warnings_are_errors() -> None:
    done = subprocess.run(
        [sys.executable, "-c", DROPPED_WHERE_WARNINGS_ARE_ERRORS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "was not shut down" in done.stderr
    assert done.stdout == "gone\n"


def test_a_reaped_child_may_be_dropped(launch: Launch) -> None:
    child = Child(SLEEP, PIPE_BYTES)
    child.kill_and_reap()
    child.close_streams()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del child
        gc.collect()
