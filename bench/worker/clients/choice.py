"""Chooses the loop that the clients of a case run. One call of it is one slice.

A loop for threads is called in the worker's main thread; a loop for tasks is a coroutine on the
event loop of the subject. Standard library only.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from bench.cases.notations import (
    CLOSED,
    HEARTBEAT_THREAD,
    NO_ADMISSION,
    NO_HEARTBEAT,
    OWN,
    TO_THREAD,
    YIELD,
    Load,
    executor_threads,
)
from bench.worker.clients.arrivals import PoissonLoad
from bench.worker.clients.closed_loop import run_tasks, run_threads
from bench.worker.clients.executor import run_on_executor
from bench.worker.clients.heartbeat import with_heartbeat, with_heartbeat_thread
from bench.worker.clients.on_loop import on_loop
from bench.worker.clients.open_loop import run_open_tasks, run_open_threads
from bench.worker.clients.read_path import ReadPath
from bench.worker.clients.slice import TaskRunner, ThreadRunner
from bench.worker.protocol import WorkerSpec


def thread_runner(spec: WorkerSpec) -> ThreadRunner:
    """The loop of clients that call a sync manager."""
    gives_way = spec.pause == YIELD
    if spec.heartbeat == HEARTBEAT_THREAD:
        return with_heartbeat_thread(thread_runner(replace(spec, heartbeat=NO_HEARTBEAT)))
    if spec.caller != OWN:
        return on_loop(task_runner(spec), to_thread=spec.caller == TO_THREAD)
    if spec.admission != NO_ADMISSION:
        # Its imports would make every other worker start some ms later.
        from bench.worker.clients.reads import read_in_threads

        return partial(read_in_threads, path=ReadPath.of(spec), gives_way=gives_way)
    if spec.load != CLOSED:
        return partial(run_open_threads, load=_load_of(spec), gives_way=gives_way)
    if (threads := executor_threads(spec.executor)) is not None:
        return partial(run_on_executor, threads=threads, gives_way=gives_way)
    return partial(run_threads, gives_way=gives_way)


def task_runner(spec: WorkerSpec) -> TaskRunner:
    """The loop of clients that await an async manager."""
    if spec.heartbeat != NO_HEARTBEAT:
        return with_heartbeat(task_runner(replace(spec, heartbeat=NO_HEARTBEAT)), spec.heartbeat)
    if spec.admission != NO_ADMISSION:
        from bench.worker.clients.reads import read_in_tasks

        return partial(read_in_tasks, path=ReadPath.of(spec), gives_way=spec.pause == YIELD)
    if spec.load != CLOSED:
        return partial(run_open_tasks, load=_load_of(spec), gives_way=spec.pause == YIELD)
    return partial(run_tasks, gives_way=spec.pause == YIELD)


def _load_of(spec: WorkerSpec) -> PoissonLoad:
    rate_per_s = Load.parse(spec.load).rate_per_s
    if rate_per_s is None:
        raise ValueError(f"{spec.load}: a worker knows no capacity, it needs a rate")
    return PoissonLoad(rate_per_s, spec.arrivals_seed)
