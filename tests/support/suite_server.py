"""Suites as forks of one process that has loaded everything: what they begin with is then done.

``python suite_server.py`` reads jobs, a line of JSON each. It answers with the process that does
one as soon as it is there, and with its exit status when it has ended. Before the command line is
called, the job's ``code`` is run, which may place an interruption with ``interrupt_at``.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[2]

if __name__ == "__main__":
    if os.fork():
        os._exit(0)  # so that it is no child of a test, which looks for children that are left
    sys.path.insert(0, str(ROOT))

from bench import __main__ as program  # noqa: E402
from bench import interrupts  # noqa: E402
from bench.cli import run as cli_run  # noqa: E402
from bench.cli.main import COMMANDS, make_parser  # noqa: E402
from tests.support.suites import Ended, kill_session, session_of  # noqa: E402


def at_call(owner: Any, name: str, action: Callable[[], object], *, call: int, after: bool) -> None:
    """Does something at that call of ``owner.name``, before or after its work."""
    original, calls = getattr(owner, name), 0

    def replacement(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        here = calls == call
        if here and not after:
            action()
        result = original(*args, **kwargs)
        if here and after:
            action()
        return result

    setattr(owner, name, replacement)


def interrupt_at(owner: Any, name: str, number: int, *, call: int = 1, after: bool = False) -> None:
    """Has this process get the signal at that call."""
    at_call(owner, name, lambda: os.kill(os.getpid(), number), call=call, after=after)


class SuiteServer:
    """The tests' side of it. One job at a time; a context manager."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._process.wait()  # for the launcher; the server itself ends with its input
        self._pid = 0

    def start(self, folder: Path, *command: str, code: str = "", **names: object) -> None:
        """Begins a job. ``names`` are known to the code."""
        self._folder = folder
        (folder / "tmp").mkdir(exist_ok=True)
        job = {"folder": str(folder), "command": command, "code": code, "names": names}
        assert self._process.stdin
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        self._pid = self._answer()

    def end(self) -> Ended:
        """The job's outcome; nothing of it is left, neither processes nor temporary files."""
        status = self._answer()
        left = session_of(self._pid)
        kill_session(self._pid)
        texts = [(self._folder / name).read_text() for name in ("out", "err")]
        for name in ("out", "err"):
            (self._folder / name).unlink()
        assert left == set(), texts
        assert list((self._folder / "tmp").iterdir()) == []
        (self._folder / "tmp").rmdir()
        return Ended(status, *texts)

    def send(self, number: int) -> None:
        """Sends the job's process the signal, unless it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, number)

    def run(self, folder: Path, *command: str, code: str = "", **names: object) -> Ended:
        self.start(folder, *command, code=code, **names)
        return self.end()

    def _answer(self) -> int:
        assert self._process.stdout
        return int(self._process.stdout.readline())

    def __enter__(self) -> SuiteServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pid:
            kill_session(self._pid)
        self._process.communicate()


def _do(job: Mapping[str, Any]) -> NoReturn:
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # it is ignored under nohup
    at_call(
        *(interrupts, "install"),
        lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, interrupts.NUMBERS),
        call=1,
        after=True,
    )
    folder = Path(job["folder"])
    os.environ |= {"TMPDIR": str(folder / "tmp"), "COLUMNS": "80"}
    tempfile.tempdir = None
    for descriptor, path in enumerate((Path(os.devnull), folder / "out", folder / "err")):
        opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.chdir(ROOT)
    known = {"at_call": at_call, "interrupt_at": interrupt_at, "cli_run": cli_run}
    exec(job["code"], known | job["names"])
    sys.argv = ["walredo-bench", *job["command"]]
    status = program.main()
    sys.stdout.flush()
    os._exit(status)  # without taking down all that was loaded: that takes longer than the suite


def main() -> None:
    """Does the jobs of its input."""
    for command in COMMANDS:
        make_parser(command)  # loads what the command needs
    gc.freeze()
    for line in sys.stdin:
        # Until the command line has been called, the job would not know what to do with them.
        signal.pthread_sigmask(signal.SIG_BLOCK, interrupts.NUMBERS)
        pid = os.fork()
        if not pid:
            _do(json.loads(line))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, interrupts.NUMBERS)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
