"""Which subject a case is. Standard library and walredo only."""

from __future__ import annotations

import importlib
from typing import cast

from bench.cases.managers.registry import kind_of
from bench.cases.notations import REDO
from bench.worker.protocol import WorkerSpec
from bench.worker.subjects.subject import Subject

_SCENARIO = "bench.worker.subjects.scenarios:open_scenario"


def open_subject(spec: WorkerSpec) -> Subject:
    """The subject of a case. Its child is launched and answers, but in a scenario, where that is
    what is measured. Imports only what this case needs: a worker is to start fast."""
    kind = kind_of(spec.manager)
    place = _SCENARIO if kind.is_walredo and spec.scenario != REDO else kind.subject
    module, _, maker = place.partition(":")
    return cast(Subject, getattr(importlib.import_module(module), maker)(spec))
