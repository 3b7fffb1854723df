"""What a result of an experiment shows beyond the tables and curves that every result has.

Each experiment of docs/experiments.md has a module ``view_NAME`` with one `View`, listed here. A
view finds its cases in a summary by their dimensions, so that it does not matter which profile, or
whose, they were measured with. Nothing here prints or writes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final, Protocol

from matplotlib.figure import Figure
from rich.console import RenderableType

from bench.cases.case import Case
from bench.experiments.admission.view import AdmissionView
from bench.experiments.cpu.view import CpuView
from bench.experiments.executor.view import ExecutorView
from bench.experiments.fairness.view import FairnessView
from bench.experiments.lifecycle.view import LifecycleView
from bench.experiments.open_loop.view import OpenView
from bench.experiments.published import view as view_published
from bench.experiments.stall.view import StallView
from bench.experiments.tenants.view import TenantsView
from bench.results.summary import Summary


class View(Protocol):
    """How the cases of one experiment are shown.

    ``name`` is its key in `show --json`. ``pictures`` are the names of its figures, which must
    differ from those of all others.
    """

    name: str
    pictures: tuple[str, ...]

    def covered(self, cases: Collection[Case]) -> frozenset[Case]:
        """The cases that it shows. Of a view in VIEWS there are no ordinary tables and curves for
        them then."""

    def tables(self, summary: Summary) -> Iterable[RenderableType]:
        """What `show` prints: what there is to see at a glance, its numbers, how to read them."""

    def data(self, summary: Summary) -> Any:
        """The same for `show --json`: plain data, units in the names, null where unknown."""

    def figure(self, picture: str, summary: Summary) -> Figure:
        """One of ``pictures``. Called within the project's style."""


VIEWS: Final[tuple[View, ...]] = (
    TenantsView(),
    StallView(),
    AdmissionView(),
    OpenView(),
    LifecycleView(),
    ExecutorView(),
    FairnessView(),
    CpuView(),
)
"""In the order in which they are shown."""

BESIDES: Final[tuple[View, ...]] = (view_published.VIEW,)
"""Those after them, which leave the ordinary tables and curves of their cases as they are."""


def views_of(cases: Collection[Case]) -> list[View]:
    """Those that have something to show of these cases."""
    return [view for view in (*VIEWS, *BESIDES) if view.covered(cases)]


def covered(cases: Collection[Case]) -> frozenset[Case]:
    """The cases that are shown by a view instead of in ordinary tables and curves."""
    return frozenset().union(*(view.covered(cases) for view in VIEWS))
