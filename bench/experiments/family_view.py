"""What the views of families have in common: findings, tables, data and one figure of panels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import RenderableType
from rich.text import Text

from bench.cases.case import Case
from bench.results.summary import CaseRow, Summary
from bench.show.families import Family, Panel, families
from bench.show.fields import Field, field_data, field_table
from bench.show.pictures import style
from bench.show.view import View
from bench.statistics.bounded import HasBounds

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def as_number(value: float, _position: int | None) -> str:
    """A tick of an axis without a unit."""
    return f"{value:g}"


def ranked(
    family: Family,
    value_of: Callable[[CaseRow], HasBounds[float] | None],
    label_of: Callable[[Case], str],
) -> list[tuple[float, str]]:
    """The values at the greatest N that are known, ascending, each with the label of its case."""
    found = ((value_of(row), label_of(row.case)) for row in family.at_most_clients)
    return sorted((value.value, label) for value, label in found if value is not None)


def manager_look(case: Case, found: Sequence[Family]) -> style.Look:
    """The look of the case's manager in a figure of these families."""
    return style.looks(row.case.manager for family in found for row in family.rows)[case.manager]


class FamilyView(View, Protocol):
    """A `View` of cases that are alike but for the manager, N and ``dimensions``.

    ``variants`` are the entries of the figure's legend that hold for any line.
    """

    dimensions: tuple[str, ...]
    legend: str
    variants: Mapping[str, style.Look] = MappingProxyType({})

    def finding(self, family: Family) -> str:
        """What the family's rows show, in one or more lines."""

    def fields_of(self, family: Family) -> list[Field[CaseRow]]:
        """Of its tables and data."""

    def panels(self, family: Family) -> tuple[Panel, ...]:
        """Of the figure."""

    def label(self, case: Case) -> str:
        """The legend's entry of a case's line; empty: there is none."""

    def look(self, case: Case, found: Sequence[Family]) -> style.Look:
        """How a case's line looks in the figure of these families."""

    def field_tables(self, family: Family) -> Iterable[RenderableType]:
        yield field_table(family.rows, self.fields_of(family))

    def data_rows(self, family: Family) -> Sequence[CaseRow]:
        return family.rows

    def families(self, summary: Summary) -> list[Family]:
        covered = self.covered([row.case for row in summary.rows])
        return families(summary, self.dimensions, covered)

    def tables(self, summary: Summary) -> Iterable[RenderableType]:
        found = self.families(summary)
        for family in found:
            yield Text(self.finding(family), style="bold")
            yield from self.field_tables(family)
        if found:
            yield Text(self.legend, style="dim")

    def data(self, summary: Summary) -> Any:
        """Of each family its rows: the medians, and ratios with their intervals."""
        return [
            {"group": one.title, "cases": field_data(self.data_rows(one), self.fields_of(one))}
            for one in self.families(summary)
        ]

    def figure(self, picture: str, summary: Summary) -> Figure:
        from bench.show.pictures.panels import figure

        assert picture in self.pictures
        found = self.families(summary)
        panels = [panel for family in found for panel in self.panels(family)]
        return figure(
            panels, self.label, lambda case: self.look(case, found), summary, self.variants
        )
