"""Fixtures for the tests that start workers."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

import pytest

from bench.cases.names import THIS_PYTHON
from bench.running.equipment.interpreters import find_interpreters
from bench.running.equipment.workloads import Traffic, write_traffic
from bench.worker.protocol import WorkerSpec
from fake_redo_child import build
from tests.support.children import LIMIT_S, command_of
from tests.support.workers import Spec


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Traffic]:
    return write_traffic(tmp_path_factory.mktemp("traffic"), ["short", "medium", "ping"], seed=1)


@pytest.fixture
def spec(traffic: Mapping[str, Traffic]) -> Spec:
    """Makes the spec of a case, of what can run here."""

    def make(
        manager: str, child: str = "c", workload: str = "short", clients: int = 3
    ) -> WorkerSpec:
        if manager == "async-uvloop" and importlib.util.find_spec("uvloop") is None:
            pytest.skip("uvloop is not installed")
        try:
            floor = str(build.floor_program()) if manager == "floor" else None
        except build.CompilerMissing as missing:
            pytest.skip(str(missing))
        return WorkerSpec(
            manager=manager,
            workload=workload,
            clients=clients,
            child_command=command_of(child),
            requests=str(traffic[workload].requests),
            pages=str(traffic[workload].pages),
            timeout_s=LIMIT_S,
            floor_program=floor,
            library_path=find_interpreters([])[THIS_PYTHON].uvloop_folder,
        )

    return make
