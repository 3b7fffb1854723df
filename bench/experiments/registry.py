"""All experiments, in the order in which `show` prints them.

Each experiment of docs/experiments.md has a folder here with a `View`. A view finds its cases by
their dimensions, whatever profile they were measured with. Nothing in this room prints or writes.
"""

from __future__ import annotations

from typing import Final

from bench.experiments.admission.view import AdmissionView
from bench.experiments.cpu.view import CpuView
from bench.experiments.executor.view import ExecutorView
from bench.experiments.fairness.view import FairnessView
from bench.experiments.lifecycle.view import LifecycleView
from bench.experiments.open_loop.view import OpenView
from bench.experiments.published.view import PublishedView
from bench.experiments.stall.view import StallView
from bench.experiments.tenants.view import TenantsView
from bench.experiments.transport.view import TransportView
from bench.show.view import Views

VIEWS: Final = Views(
    instead=(
        *(TenantsView(), StallView(), AdmissionView(), OpenView(), LifecycleView()),
        *(ExecutorView(), FairnessView(), CpuView()),
    ),
    besides=(PublishedView(), TransportView()),
)
"""The view of every experiment. To add an experiment, add its view here."""
