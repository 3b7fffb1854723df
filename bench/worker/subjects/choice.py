"""Which subject a case is. Standard library and walredo only."""

from __future__ import annotations

from bench.cases.dimensions import PER_TENANT, REDO
from bench.cases.names import NOOPS, is_own_manager
from bench.worker.protocol import WorkerSpec
from bench.worker.subjects.floor import FloorSubject
from bench.worker.subjects.manager import AsyncSubject, StreamsSubject, SyncSubject
from bench.worker.subjects.noop import NoopSubject
from bench.worker.subjects.own import own_subject
from bench.worker.subjects.scenarios import open_scenario
from bench.worker.subjects.subject import Subject
from bench.worker.subjects.tenants import (
    AsyncTenantsSubject,
    StreamsTenantsSubject,
    SyncTenantsSubject,
)


def open_subject(spec: WorkerSpec) -> Subject:
    """The subject of a case, its child launched and answering (but see the scenarios)."""
    if spec.floor_program is not None:
        return FloorSubject(spec)
    if spec.scenario != REDO:
        return open_scenario(spec)
    if spec.manager in NOOPS:
        return NoopSubject(spec)
    if is_own_manager(spec.manager):
        return own_subject(spec)
    of_tenants = spec.topology == PER_TENANT
    if spec.manager == "sync":
        return SyncTenantsSubject(spec) if of_tenants else SyncSubject(spec)
    if spec.manager == "streams":
        return StreamsTenantsSubject(spec) if of_tenants else StreamsSubject(spec)
    return AsyncTenantsSubject(spec) if of_tenants else AsyncSubject(spec)
