"""What an experiment shows of a result, and a result prepared once for all that shows it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import RenderableType

from bench.cases.case import Case
from bench.results.histogram import Distributions
from bench.results.summary import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class View(Protocol):
    """How the cases of one experiment are shown.

    ``name`` is its key in `show --json`. ``pictures`` are the names of its figures; no two views
    share a name.
    """

    name: str
    pictures: tuple[str, ...]

    def covered(self, cases: Collection[Case]) -> frozenset[Case]:
        """The cases that the view shows."""

    def tables(self, summary: Summary) -> Iterable[RenderableType]:
        """What `show` prints: first the findings, then their numbers, last how to read them."""

    def data(self, summary: Summary) -> Any:
        """The same for `show --json`: plain data, units in the names, null where unknown."""

    def figure(self, picture: str, summary: Summary) -> Figure:
        """One of ``pictures``. Called within the project's style.

        What draws is imported in here: commands that draw nothing do not load matplotlib.
        """


@dataclass(frozen=True, slots=True)
class Views:
    """All views, in the order in which they are shown.

    A case that a view of ``instead`` covers has no row in the ordinary tables and curves. Cases of
    ``besides`` keep theirs.
    """

    instead: tuple[View, ...] = ()
    besides: tuple[View, ...] = ()

    @property
    def pictures(self) -> tuple[str, ...]:
        """The names of all figures."""
        return tuple(name for view in (*self.instead, *self.besides) for name in view.pictures)

    def of(self, cases: Collection[Case]) -> tuple[View, ...]:
        """The views that show some of these cases."""
        return tuple(view for view in (*self.instead, *self.besides) if view.covered(cases))

    def covered(self, cases: Collection[Case]) -> frozenset[Case]:
        """The cases without a row in the ordinary tables and curves."""
        return frozenset().union(*(view.covered(cases) for view in self.instead))


@dataclass(frozen=True, slots=True)
class Reading:
    """A result as tables, pictures and the page take it: read once, then handed on.

    ``ordinary`` has the cases of the ordinary tables and curves. ``views`` are those that show
    some of the cases. ``distributions`` is empty where nothing of it is shown.
    """

    summary: Summary
    ordinary: Summary
    views: tuple[View, ...]
    distributions: Distributions = field(default_factory=dict)

    @classmethod
    def of(
        cls, summary: Summary, views: Views, distributions: Distributions | None = None
    ) -> Reading:
        cases = [row.case for row in summary.rows]
        ordinary = summary.without(views.covered(cases))
        return cls(summary, ordinary, views.of(cases), distributions or {})
