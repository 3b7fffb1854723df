"""One run: a case in a fresh worker, from its launch to a RunRecord."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.cases import notations
from bench.cases.case import Case, has_unknown_pages, is_closed_loop
from bench.cases.config import Config
from bench.cases.cost import ChildCost
from bench.cases.managers.floor import FLOOR
from bench.cases.managers.yours import is_peer
from bench.cases.names import PURE
from bench.cases.notations import NO_ADMISSION, Load
from bench.cases.placement import cpu_count
from bench.errors import SampleError
from bench.machine.disturbance import Watch
from bench.results.measures import redos
from bench.results.record import RunRecord, Usage
from bench.results.samples import REDOS_PER_CLIENT, SliceSamples, int64s_from
from bench.running.equipment.equipment import Equipment
from bench.running.peer import measure_peer
from bench.running.processes import RunFailedError
from bench.running.watched import watch, watched
from bench.running.worker_process import SliceReply, WorkerProcess
from bench.worker.protocol import BY_CONTENT, BY_LENGTH, REDO_END, WorkerSpec

_MAX_SHARE_OF_TIMEOUT: Final = 0.25
"""Slices are stretched to at most this share of the run's timeout. It leaves room for `ab`, where
two workers take turns within one timeout."""

_MIN_STRETCHED_SLICES: Final = 2
"""Of a run whose slices are stretched, so that a slice can be compared with another one."""

MIN_OF_COST: Final = 0.5
"""A run fails if less than this share of the declared cost was metered. The child calibrates its
speed once, so what it burns is not exact."""


def worker_spec(
    case: Case, round_number: int, config: Config, equipment: Equipment, load: str | None = None
) -> WorkerSpec:
    """The case as its worker needs it. ``load`` replaces the case's, which may be a percentage.

    The seed of the arrivals is that of the round, so that all cases of one rate have the same ones.
    """
    load = load or case.load
    traffic = equipment.traffic[case.workload]
    own = equipment.own_managers.get(case.manager)
    # A worker knows no labels of the user's.
    manager = case.manager if own is None else own.factory
    return WorkerSpec(
        **{**asdict(case), "load": load, "manager": manager},
        child_command=equipment.child_commands[case.child_variant],
        requests=str(traffic.requests),
        pages=str(traffic.pages),
        timeout_s=config.timeout_s,
        floor_program=str(equipment.floor_program) if case.kind is FLOOR else None,
        library_path=equipment.interpreters[case.python].uvloop_folder,
        core_path=_core_path(case, equipment),
        arrivals_seed=f"{config.seed}/{round_number}" if Load.parse(load).is_open else "",
        **({} if case.admission == NO_ADMISSION else msgspec.structs.asdict(config.read_path)),
        manager_path=() if own is None else own.path,
        page_check=BY_LENGTH if has_unknown_pages(case) else BY_CONTENT,
    )


def _core_path(case: Case, equipment: Equipment) -> str | None:
    if case.build == PURE:
        return None
    assert equipment.core is not None
    return str(equipment.core.folder)


class Run:
    """One run of a case, slice by slice. A context manager: leaving it ends the worker."""

    def __init__(
        self,
        case: Case,
        round_number: int,
        config: Config,
        equipment: Equipment,
        *,
        load: str | None = None,
        program: Path | None = None,
    ) -> None:
        """Starts the worker, ``program`` or that of this code, and opens the case.

        Raises RunFailedError. ``load``: see `worker_spec`.
        """
        spec = worker_spec(case, round_number, config, equipment, load)
        self._case = case
        traffic = equipment.traffic[case.workload]
        # A ping costs a child nothing.
        cost = ChildCost.parse(case.cost)
        self._declared_s = 0.0 if spec.ping else cost.per_redo_s(traffic.records)
        self._per_request = traffic.per_request
        self._rate_per_s = Load.parse(spec.load).rate_per_s
        self._round = round_number
        self._warmups: tuple[tuple[int, float], ...] = ()
        self._slices: list[tuple[SliceSamples, SliceReply]] = []
        self._watch: Watch | None = None
        python = equipment.interpreters[case.python].program
        self._worker = WorkerProcess(spec, config.run_timeout_s, python, program)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.end()

    def warm_up(self, config: Config) -> float:
        """Runs a slice that is not kept. The seconds that each slice to be measured should take.

        In a closed loop a slice is stretched until a client can finish enough redos in it.
        """
        least_s = 0.0 if self._rate_per_s is None else notations.min_slice_s(self._rate_per_s)
        warmup, _ = self._run_slice(max(config.warmup_s, least_s))
        warmup_s = redos.time_per_redo_s([warmup])
        self._warmups = ((max(1, redos.redos([warmup]) // self._case.clients), warmup_s),)
        if is_closed_loop(self._case):
            # A machine that is disturbed during the warm-up looks slow. The limit keeps slices from
            # being stretched beyond what the run's timeout leaves them.
            most_s = config.run_timeout_s * _MAX_SHARE_OF_TIMEOUT / config.slices
            least_s = min(REDOS_PER_CLIENT * warmup_s, most_s)
        return max(config.slice_s, least_s)

    def slice(self, seconds: float) -> None:
        """Measures one slice. What else the machine does is watched from the first one on."""
        self._watch = self._watch or watch()
        self._slices.append(self._run_slice(seconds))

    def end(self) -> RunRecord:
        """Stops the worker, which must end well. Everything that was measured."""
        others = {} if self._watch is None else watched(self._watch)
        report = self._worker.report()
        self._worker.stop()
        slices, replies = zip(*self._slices, strict=True)
        shares = {name: report[f"{name}_user_share"] for name in ("manager", "child")}
        usage = _usage([reply.usage for reply in replies], shares)
        self._check_cost(usage, redos.redos(slices))
        return RunRecord(
            case=self._case,
            round=self._round,
            slices=slices,
            usage=usage,
            warmups=self._warmups,
            worker_metadata={
                **others,
                **self._per_request,
                **report["facts"],
                "redo_cpus": cpu_count(self._case.placement),
                "redo_start_ns": self._worker.opened["start_ns"],
                **{f"redo_counter_{name}": value for name, value in report["counters"].items()},
            },
            series=tuple(
                {name: int64s_from(data) for name, data in reply.series.items()}
                for reply in replies
            ),
            counts=tuple(reply.counts for reply in replies),
        )

    def _check_cost(self, usage: Usage, redo_count: int) -> None:
        """Raises RunFailedError if the child used much less CPU than it is told to burn: then it is
        another process that redoes, and its CPU would be missing in the result."""
        if usage.child_cpu_s is None:
            return
        per_redo_s = usage.child_cpu_s / redo_count
        if per_redo_s < MIN_OF_COST * self._declared_s:
            raise RunFailedError(
                f"the child used {per_redo_s * 1e6:.1f} us of CPU a redo, and --cost"
                f" {self._case.cost} is {self._declared_s * 1e6:.1f} us: the processes that redo"
                " must be descendants of the worker, or their CPU cannot be metered"
            )

    def _run_slice(self, seconds: float) -> tuple[SliceSamples, SliceReply]:
        reply = self._worker.slice(seconds)
        wanted_ns, is_open = round(seconds * 1e9), self._rate_per_s is not None
        ends = reply.series.get(REDO_END)
        ends_ns = int64s_from(ends) if ends else None
        samples = SliceSamples.from_payload(
            reply.payload, self._case.clients, wanted_ns, is_open=is_open, redo_end_ns=ends_ns
        )
        return samples, reply


def measure_run(
    case: Case, round_number: int, config: Config, equipment: Equipment, load: str | None = None
) -> RunRecord:
    """Runs the case. Raises RunFailedError. ``load``: see `worker_spec`."""
    if is_peer(case.manager):
        assert equipment.peer is not None
        return measure_peer(case, round_number, config, equipment.peer)
    with failures(), Run(case, round_number, config, equipment, load=load) as run:
        slice_s = run.warm_up(config)
        for _ in range(_slice_count(case, config, slice_s)):
            run.slice(slice_s)
        return run.end()


def _slice_count(case: Case, config: Config, slice_s: float) -> int:
    """Fewer than configured where slices are stretched: a suite has more use for the time of slow
    cases in another round. Not in open loops, where a slice is as long as its arrivals need."""
    if not is_closed_loop(case) or slice_s <= config.slice_s:
        return config.slices
    return min(config.slices, max(_MIN_STRETCHED_SLICES, math.ceil(config.seconds / slice_s)))


@contextlib.contextmanager
def failures(prefix: str = "") -> Iterator[None]:
    """Raises a RunFailedError, with that prefix, in place of any error that a run can have."""
    try:
        yield
    except (RunFailedError, SampleError) as error:
        raise RunFailedError(f"{prefix}{error}") from error
    except MemoryError as error:
        problem = "the suite has no memory for the samples: measure for fewer --seconds"
        raise RunFailedError(f"{prefix}{problem}") from error
    except (KeyError, TypeError, ValueError) as error:
        # A worker is another process: any field of its replies may be missing or wrong.
        problem = f"the worker talks nonsense ({type(error).__name__}: {error})"
        raise RunFailedError(f"{prefix}{problem}") from error


def _usage(used: list[dict[str, int]], user_shares: Mapping[str, float | None]) -> Usage:
    """The sums over the slices. CPU time is split by the share of user mode in a process's life."""
    in_all = [name for name in used[0] if all(name in each for each in used)]
    totals = {name: sum(each[name] for each in used) for name in in_all}
    found: dict[str, Any] = {}
    for process, user_share in user_shares.items():
        cpu_ns = totals.pop(f"{process}_cpu_ns", None)
        if cpu_ns is None:
            continue
        cpu_s = found[f"{process}_cpu_s"] = cpu_ns / 1e9
        if user_share is not None:
            found[f"{process}_user_s"] = cpu_s * user_share
            found[f"{process}_system_s"] = cpu_s * (1 - user_share)
    known = {item.name for item in fields(Usage)}
    return Usage(**found, **{name: count for name, count in totals.items() if name in known})
