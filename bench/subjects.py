"""Which subject a case is. Standard library and walredo only."""

from __future__ import annotations

from bench.floor_subject import FloorSubject
from bench.manager_subjects import AsyncSubject, StreamsSubject, SyncSubject
from bench.names import NOOPS
from bench.noop_subject import NoopSubject
from bench.subject import Subject
from bench.worker_protocol import WorkerSpec


def open_subject(spec: WorkerSpec) -> Subject:
    """The subject of a case, its child launched and answering."""
    if spec.floor_program is not None:
        return FloorSubject(spec)
    if spec.manager == "sync":
        return SyncSubject(spec)
    if spec.manager == "streams":
        return StreamsSubject(spec)
    if spec.manager in NOOPS:
        return NoopSubject(spec)
    return AsyncSubject(spec)
