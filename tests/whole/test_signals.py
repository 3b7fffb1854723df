"""The first signal ends it, wherever it comes; no other one does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from bench import interrupts
from tests.support.managers import SLACK_S

pytestmark = pytest.mark.usefixtures("handlers")

BOTH = pytest.mark.parametrize("number", interrupts.NUMBERS)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@BOTH
def test_the_first_is_an_interruption_and_the_others_are_nothing(number: int) -> None:
    interrupts.install()
    with pytest.raises(KeyboardInterrupt):
        send(number)
    for other in interrupts.NUMBERS:
        send(other)


@BOTH
def test_one_that_is_held_back_comes_at_the_end(number: int) -> None:
    interrupts.install()
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts.held_back():
        for other in (number, *interrupts.NUMBERS):
            send(other)
            done.append(other)
    assert len(done) == 1 + len(interrupts.NUMBERS)
    send(number)  # one interruption, however many came


def test_without_one_nothing_comes() -> None:
    interrupts.install()
    with interrupts.held_back():
        pass
    with pytest.raises(KeyboardInterrupt):
        send(signal.SIGTERM)


OTHERS = pytest.mark.parametrize(
    "number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGXCPU, signal.SIGALRM, signal.SIGRTMAX]
)

WHICH_END = """
import os, resource, signal
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
for number in sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}):
    pid = os.fork()
    if not pid:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        os._exit(0)
    _, status = os.waitpid(pid, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    elif os.WIFSIGNALED(status):
        print(int(number))
"""


def test_all_that_end_a_program_are_heard() -> None:
    """But for those that ask for a core file, and those that come with the error of a write."""
    command = [sys.executable, "-I", "-c", WHICH_END]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    faults = {"QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "SEGV", "SYS"}
    others = {getattr(signal, f"SIG{name}") for name in (*faults, "PIPE", "XFSZ")}
    assert set(map(int, done.stdout.split())) - others == set(interrupts.NUMBERS)


@OTHERS
def test_a_hang_up_is_an_interruption_and_so_are_others(number: int) -> None:
    interrupts.install()
    with pytest.raises(KeyboardInterrupt):
        send(number)


@OTHERS
def test_one_that_is_ignored_stays_so(number: int) -> None:
    """As a hang-up under nohup."""
    signal.signal(number, signal.SIG_IGN)
    interrupts.install()
    with interrupts.held_back():
        send(number)
    send(number)
    interrupts.uninstall()
    send(number)
    interrupts.install()
    with pytest.raises(KeyboardInterrupt):
        send(signal.SIGTERM)


def test_one_that_a_library_handles_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    getsignal = signal.getsignal
    # As Python says it of a handler in C.
    monkeypatch.setattr(
        signal, "getsignal", lambda one: None if one == signal.SIGPROF else getsignal(one)
    )
    interrupts.install()
    monkeypatch.undo()
    assert signal.getsignal(signal.SIGPROF) is signal.SIG_DFL


def test_a_failure_in_what_is_not_to_be_cut_passes_through() -> None:
    interrupts.install()
    with pytest.raises(ValueError, match="no room"), interrupts.held_back():
        raise ValueError("no room")
    with pytest.raises(KeyboardInterrupt):
        send(signal.SIGINT)


def test_after_an_interruption_none_is_held_back() -> None:
    interrupts.install()
    with pytest.raises(KeyboardInterrupt):
        send(signal.SIGINT)
    with interrupts.held_back():
        send(signal.SIGTERM)


class Dropped:
    """Is interrupted where Python drops exceptions."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        send(self.number)


@BOTH
def test_one_that_python_drops_comes_again(number: int) -> None:
    interrupts.install()
    with pytest.raises(KeyboardInterrupt):
        del_now = Dropped(number)
        del del_now
        time.sleep(SLACK_S)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_other_dropped_exceptions_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken:
        def __del__(self) -> None:
            raise ValueError("in vain")

    interrupts.install()
    Broken()
    assert "in vain" in capsys.readouterr().err
