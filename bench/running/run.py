"""One run: a case in a fresh worker, from its launch to a RunRecord."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

import msgspec

from bench.cases import notations
from bench.cases.case import Case, has_unknown_pages, is_closed_loop
from bench.cases.config import Config
from bench.cases.managers.floor import FLOOR
from bench.cases.managers.yours import is_peer
from bench.cases.notations import NO_ADMISSION, Load
from bench.cases.placement import cpu_count
from bench.errors import SampleError
from bench.results.measures import redos
from bench.results.record import RunRecord, Usage
from bench.results.samples import REDOS_PER_CLIENT, SliceSamples, int64s_from
from bench.running.equipment.equipment import Equipment
from bench.running.peer import measure_peer
from bench.running.processes import RunFailedError
from bench.running.worker_process import SliceReply, WorkerProcess
from bench.worker.protocol import BY_CONTENT, BY_LENGTH, WorkerSpec

MOST_OF_TIMEOUT: Final = 0.25
"""The share of a run's timeout that its slices are stretched to at most: `ab` has two in turn."""


def worker_spec(
    case: Case, round_number: int, config: Config, equipment: Equipment, load: str | None = None
) -> WorkerSpec:
    """The case as its worker needs it; ``load``: in place of the case's, which may be a percentage.

    All cases with an open loop have the same arrivals in a round, as far as their rates allow.
    """
    load = load or case.load
    traffic = equipment.traffic[case.workload]
    own = equipment.own_managers.get(case.manager)
    return WorkerSpec(
        **{**asdict(case), "load": load},
        child_command=equipment.child_commands[case.child],
        requests=str(traffic.requests),
        pages=str(traffic.pages),
        timeout_s=config.timeout_s,
        floor_program=str(equipment.floor_program) if case.kind is FLOOR else None,
        library_path=equipment.interpreters[case.python].uvloop_folder,
        arrivals_seed=f"{config.seed}/{round_number}" if Load.parse(load).is_open else "",
        **_read_path(case, config),
        manager_path=() if own is None else own.path,
        page_check=BY_LENGTH if has_unknown_pages(case) else BY_CONTENT,
    )


def _read_path(case: Case, config: Config) -> dict[str, Any]:
    """The settings of the read path, where the case has one."""
    if case.admission == NO_ADMISSION:
        return {}
    return msgspec.structs.asdict(config.read_path)


class Run:
    """One run of a case, slice by slice, on a worker that has been started."""

    def __init__(
        self, case: Case, round_number: int, worker: WorkerProcess, spec: WorkerSpec
    ) -> None:
        self._case = case
        self._rate_per_s = Load.parse(spec.load).rate_per_s
        self._round = round_number
        self._worker = worker
        self._warmups: tuple[tuple[int, float], ...] = ()
        self._slices: list[SliceSamples] = []
        self._replies: list[SliceReply] = []

    def warm_up(self, config: Config) -> float:
        """Redoes without being measured. The seconds that a slice should take after that.

        A machine that is disturbed in this moment looks slow, and must not stretch the slices until
        the run has no time for them.
        """
        least_s = 0.0 if self._rate_per_s is None else notations.least_s(self._rate_per_s)
        warmup, _ = _slice(self._worker, self._case, max(config.warmup_s, least_s))
        warmup_s = redos.time_per_redo_s([warmup])
        self._warmups = ((max(1, redos.redos([warmup]) // self._case.clients), warmup_s),)
        if is_closed_loop(self._case):
            most_s = config.run_timeout_s * MOST_OF_TIMEOUT / config.slices
            least_s = min(REDOS_PER_CLIENT * warmup_s, most_s)
        return max(config.slice_s, least_s)

    def slice(self, seconds: float) -> None:
        """Measures one slice."""
        samples, reply = _slice(self._worker, self._case, seconds)
        self._slices.append(samples)
        self._replies.append(reply)

    def end(self) -> RunRecord:
        """Ends the worker in good order: all that was measured."""
        report = self._worker.report()
        self._worker.stop()
        return RunRecord(
            case=self._case,
            round=self._round,
            slices=tuple(self._slices),
            usage=_usage(
                [reply.usage for reply in self._replies],
                report["manager_user_share"],
                report["child_user_share"],
            ),
            warmups=self._warmups,
            worker_metadata={
                **report["facts"],
                "redo_cpus": cpu_count(self._case.placement),
                "redo_start_ns": self._worker.opened["start_ns"],
                **{f"redo_counter_{name}": value for name, value in report["counters"].items()},
            },
            series=tuple(
                {name: int64s_from(data) for name, data in reply.series.items()}
                for reply in self._replies
            ),
            counts=tuple(reply.counts for reply in self._replies),
        )


def measure_run(
    case: Case, round_number: int, config: Config, equipment: Equipment, load: str | None = None
) -> RunRecord:
    """Runs the case: launch, warm-up, slices, report. Raises RunFailedError.

    ``load``: see `worker_spec`.
    """
    if is_peer(case.manager):
        assert equipment.peer is not None
        return measure_peer(case, round_number, config, equipment.peer)
    python = equipment.interpreters[case.python].program
    spec = worker_spec(case, round_number, config, equipment, load)
    with failures(), WorkerProcess(spec, config.run_timeout_s, python) as worker:
        run = Run(case, round_number, worker, spec)
        slice_s = run.warm_up(config)
        for _ in range(config.slices):
            run.slice(slice_s)
        return run.end()


@contextlib.contextmanager
def failures() -> Iterator[None]:
    """Makes a RunFailedError of all that can go wrong with a run."""
    try:
        yield
    except SampleError as error:
        raise RunFailedError(str(error)) from error
    except MemoryError as error:
        raise RunFailedError(
            "the suite has no memory for the samples: measure for fewer --seconds"
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        # What a worker says is another process's word, down to the last field.
        problem = f"{type(error).__name__}: {error}"
        raise RunFailedError(f"the worker talks nonsense ({problem})") from error


def _slice(worker: WorkerProcess, case: Case, seconds: float) -> tuple[SliceSamples, SliceReply]:
    reply = worker.slice(seconds)
    deadline_ns = round(seconds * 1e9)
    is_open = Load.parse(case.load).is_open
    samples = SliceSamples.from_payload(reply.payload, case.clients, deadline_ns, is_open=is_open)
    return samples, reply


def _usage(
    used: list[dict[str, int]], manager_user_share: float | None, child_user_share: float | None
) -> Usage:
    """The slices' sums; CPU time is split into modes by each process's share."""

    def total(name: str) -> int | None:
        return sum(one[name] for one in used) if all(name in one for one in used) else None

    def seconds(name: str) -> float | None:
        cpu_ns = total(name)
        return None if cpu_ns is None else cpu_ns / 1e9

    def split(cpu_s: float | None, user_share: float | None) -> tuple[float | None, float | None]:
        if cpu_s is None or user_share is None:
            return None, None
        return cpu_s * user_share, cpu_s * (1 - user_share)

    manager_cpu_s, child_cpu_s = seconds("manager_cpu_ns"), seconds("child_cpu_ns")
    manager_user_s, manager_system_s = split(manager_cpu_s, manager_user_share)
    child_user_s, child_system_s = split(child_cpu_s, child_user_share)
    return Usage(
        manager_cpu_s=manager_cpu_s,
        child_cpu_s=child_cpu_s,
        manager_user_s=manager_user_s,
        manager_system_s=manager_system_s,
        child_user_s=child_user_s,
        child_system_s=child_system_s,
        manager_voluntary_switches=total("manager_voluntary_switches"),
        manager_involuntary_switches=total("manager_involuntary_switches"),
        child_voluntary_switches=total("child_voluntary_switches"),
        child_involuntary_switches=total("child_involuntary_switches"),
        read_calls=total("read_calls"),
        write_calls=total("write_calls"),
        poll_calls=total("poll_calls"),
    )
