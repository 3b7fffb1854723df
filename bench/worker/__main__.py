"""The worker: one case in a fresh process, driven over its stdin and stdout.

It runs on a bare interpreter (``python -I -S bench/worker/__main__.py``) with the standard library,
walredo, and those parts of bench that need no more. `bench.worker.protocol` describes commands and
replies. The worker knows nothing of rounds, result files or statistics.
"""

from __future__ import annotations

import sys
import time

_STARTED_NS = time.perf_counter_ns()

if __name__ == "__main__":
    # An isolated interpreter (-I) does not look for modules beside the file that it runs.
    sys.path.insert(0, __file__.rpartition("/bench/")[0])

import gc  # noqa: E402
import logging  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING, Any, BinaryIO  # noqa: E402

from bench.cases import placement  # noqa: E402
from bench.cases.names import MYPYC, PURE  # noqa: E402
from bench.worker.background_load import BackgroundLoad  # noqa: E402
from bench.worker.meters import ProcessGoneError, peak_rss_bytes  # noqa: E402
from bench.worker.protocol import BY_CONTENT, WorkerSpec, decode, encode  # noqa: E402

if TYPE_CHECKING:
    from bench.worker.subjects.subject import Subject


def serve(commands: BinaryIO, replies: BinaryIO) -> None:
    """Answers commands until ``stop`` or the end of input, and leaves no process behind.

    Raises any error; ``main`` reports it to the suite.
    """
    with BackgroundLoad() as load:
        _serve_case(commands, replies, load)
    replies.write(encode({"reply": "stopped"}))
    replies.flush()


def _serve_case(commands: BinaryIO, replies: BinaryIO, load: BackgroundLoad) -> None:
    subject: Subject | None = None
    child_may_end = False
    page_check = BY_CONTENT
    try:
        for line in commands:
            message = decode(line, "command", ("open", "slice", "report", "stop"))
            command = message["command"]
            if command == "stop":
                break
            if command == "open":
                if subject is not None:
                    raise ValueError("a case is open already")
                spec = WorkerSpec.from_message(message)
                subject, child_may_end = _open(spec, load), spec.child_may_end
                page_check = spec.page_check
                # Requests and pages live as long as the process. The garbage collector would visit
                # them in every full collection, in the middle of a slice.
                gc.collect()
                gc.freeze()
                reply, payload = _opened(subject), b""
            elif subject is None:
                raise ValueError(f"{command} before a case is open")
            elif command == "slice":
                reply, payload = _slice(subject, float(message["seconds"]), child_may_end)
                load.check()
            else:
                reply, payload = _report(subject, page_check), b""
            replies.write(encode(reply) + payload)
            replies.flush()
    finally:
        if subject is not None:
            subject.close()


def open_subject(spec: WorkerSpec) -> Subject:
    """The subject of the case. Only now walredo is imported: which one, is up to the case."""
    from bench.worker.subjects import choice

    return choice.open_subject(spec)


def _open(spec: WorkerSpec, load: BackgroundLoad) -> Subject:
    """Opens the subject on its CPUs. Processes that it starts later inherit the manager's CPU."""
    if spec.core_path is not None:
        sys.path.insert(0, spec.core_path)
    cpus = placement.cpus(spec.placement)
    # Before the subject, whose launch belongs to the case: it must find the load already there.
    load.start(spec.background_load, cpus)
    if cpus is not None:
        placement.pin(0, cpus[0])
    subject = open_subject(spec)
    try:
        if _build() != spec.build:
            raise ValueError(f"the worker has imported the {_build()} walredo, not {spec.build}")  # noqa: TRY301
        if cpus is not None:
            for pid in subject.child_pids:
                placement.pin(pid, cpus[1])
    except BaseException:
        subject.close()
        raise
    return subject


def _build() -> str:
    """Which build of walredo was imported, as a case calls it; pure if none was."""
    core = sys.modules.get("walredo.pipeline")
    return PURE if core is None or str(core.__file__).endswith(".py") else MYPYC


def _opened(subject: Subject) -> dict[str, Any]:
    return {
        "reply": "opened",
        "child_pid": next(iter(subject.child_pids), None),
        "start_ns": time.perf_counter_ns() - _STARTED_NS,
    }


def _slice(subject: Subject, seconds: float, child_may_end: bool) -> tuple[dict[str, Any], bytes]:
    before = subject.counters()
    outcome = subject.run_slice(seconds)
    counters = subject.counters()
    if counters.get("kills") and not child_may_end:
        raise ProcessGoneError("child", _first_gone(subject.child_pids))
    calls = ("read_calls", "write_calls", "poll_calls")
    usage = {name: counters[name] - before.get(name, 0) for name in calls if name in counters}
    # Not strict: a subject without a child has a single meter.
    for name, used in zip(("manager", "child"), outcome.used, strict=False):
        usage[f"{name}_cpu_ns"] = used.cpu_ns
        usage[f"{name}_voluntary_switches"] = used.voluntary_switches
        usage[f"{name}_involuntary_switches"] = used.involuntary_switches
    reply = {
        "reply": "slice",
        "payload_bytes": len(outcome.payload),
        "usage": usage,
        "series": {name: len(numbers) for name, numbers in outcome.series.items()},
        "counts": dict(outcome.counts),
    }
    series = (numbers.tobytes() for numbers in outcome.series.values())
    return reply, b"".join((outcome.payload, *series))


def _first_gone(pids: Sequence[int]) -> int:
    """The first of these children that has been reaped.

    If every number belongs to a process, as numbers are used again, it is the first number.
    """
    return next((pid for pid in pids if not Path(f"/proc/{pid}").exists()), pids[0])


def _report(subject: Subject, page_check: str) -> dict[str, Any]:
    manager, *child = subject.meters
    return {
        "reply": "report",
        "manager_user_share": manager.user_share(),
        "child_user_share": child[0].user_share() if child else None,
        "counters": dict(subject.counters()),
        "facts": {
            **subject.facts(),
            "redo_worker_page_check": page_check,
            "redo_worker_peak_rss_bytes": peak_rss_bytes(),
            "redo_worker_build": _build(),
            "redo_worker_gil": "on" if _gil_is_on() else "off",
            "redo_worker_switch_interval_s": sys.getswitchinterval(),
            "python_version": f"{sys.version.split()[0]} ({sys.maxsize.bit_length() + 1}-bit)",
            "python_implementation": sys.implementation.name,
        },
    }


def _gil_is_on() -> bool:
    """Whether the interpreter lock is on now. Importing some libraries switches it on."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def main() -> int:
    """Serves the suite on stdin and stdout. Returns the exit status."""
    # The suite shows the end of stderr with a run that failed.
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except Exception as error:  # noqa: BLE001 - every error is reported to the suite
        reason = f"{type(error).__name__}: {error}"
        sys.stdout.buffer.write(encode({"reply": "error", "reason": reason}))
        sys.stdout.buffer.flush()
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
