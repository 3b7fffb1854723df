"""A redo manager in forty lines: one lock around the pipe, so one redo at a time.

    python -m bench run --manager sync,examples.lock_manager:create ...

It has no deadline, no retries and no second child: whatever fails, fails its run.
"""

import subprocess
import threading
from types import SimpleNamespace

from walredo import PAGE_SIZE, ManagerConfig, RedoRequest
from walredo.wire import PING


class LockManager:
    def __init__(self, config: ManagerConfig) -> None:
        self._command = config.child_command
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._redos = 0

    @property
    def child_pid(self) -> int | None:
        return None if self._child is None else self._child.pid

    def request_redo(self, request: RedoRequest) -> bytes:
        page = self._answer(request.serialise())
        self._redos += 1
        return page

    def ping(self) -> bytes:
        return self._answer(PING)

    def status(self) -> SimpleNamespace:
        return SimpleNamespace(redos=self._redos)  # what it does not count, it leaves out

    def shutdown(self) -> bool:
        with self._lock:
            child, self._child = self._child, None
        if child is not None:
            child.communicate()  # closes its input, which is its end
        return child is not None

    def _answer(self, message: bytes) -> bytes:
        with self._lock:
            if self._child is None:
                pipe = subprocess.PIPE
                self._child = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, env={})
            assert self._child.stdin and self._child.stdout
            self._child.stdin.write(message)
            self._child.stdin.flush()
            return self._child.stdout.read(PAGE_SIZE)


def create(config: ManagerConfig) -> LockManager:
    """What the suite calls; no child is launched before the first redo."""
    return LockManager(config)
