"""Which subject a case is. Standard library and walredo only."""

from __future__ import annotations

from bench.floor_subject import FloorSubject
from bench.lifecycle_subjects import open_scenario
from bench.manager_subjects import AsyncSubject, StreamsSubject, SyncSubject
from bench.names import NOOPS, is_own_manager
from bench.noop_subject import NoopSubject
from bench.own_subject import own_subject
from bench.subject import Subject
from bench.surroundings import PER_TENANT, REDO
from bench.tenants_subject import AsyncTenantsSubject, StreamsTenantsSubject, SyncTenantsSubject
from bench.worker_protocol import WorkerSpec


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
