"""The published benchmark beside a result: where sync / async points, and how time grows with N.

Shown besides the ordinary tables, where sync and async were measured with a child as heavy as the
published one. Only shapes are compared: no published time stands beside a measured one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from rich.console import RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from bench.cases.case import Case
from bench.cases.names import SYNC
from bench.experiments.published import shapes
from bench.experiments.published.reference import Published, PublishedError, load
from bench.experiments.published.shapes import ASYNC, Beside, ByClients
from bench.results.summary import Group, Summary
from bench.show import columns, fields

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COST: Final = "pg14"
"""The cost of the child that the published figures were measured with."""

_WORKLOADS: Final = ("ping", "short", "medium")
_COMPARED: Final = ("short", "medium")
"""The workloads whose ratio of sync to async was published."""

_MIN_CLIENTS: Final = 4
"""How many N a shape needs: more than the default profile measures with such a child."""


class PublishedView:
    """`View` of what sync and async did with a child as heavy as the published one."""

    name = "published"
    pictures: tuple[str, ...] = ("published", "published-growth")

    def covered(self, cases: Collection[Case]) -> frozenset[Case]:
        """All cases of sync and async with that child, if both have enough N of short or medium in
        common."""
        found = [
            case
            for case in cases
            if case.manager in (SYNC, ASYNC)
            and case.workload in _WORKLOADS
            and case.extra == {"cost": _COST}
        ]
        for workload in _COMPARED:
            of_sync, of_async = (
                {c.clients for c in found if (c.manager, c.workload) == (name, workload)}
                for name in (SYNC, ASYNC)
            )
            if len(of_sync & of_async) >= _MIN_CLIENTS:
                return frozenset(found)
        return frozenset()

    def tables(self, summary: Summary) -> Iterable[RenderableType]:
        published, problem = _published()
        groups = _groups(summary)
        yield Text(problem or verdict({g.workload: shapes.beside(g, published) for g in groups}))
        for group in groups:
            yield _table(group, published)
        yield Text(_legend(published), style="dim")

    def data(self, summary: Summary) -> Any:
        """Per workload: ``sync_to_async`` (own), ``growth`` (own, by manager) and the same of each
        published table that has it; lists of objects with ``clients``, ``ratio`` and its bounds."""
        published, problem = _published()
        return {
            "problem": problem,
            "workloads": [_group_data(group, published) for group in _groups(summary)],
        }

    def figure(self, picture: str, summary: Summary) -> Figure:
        from bench.experiments.published.figure import growth_figure, ratio_figure

        groups, (published, _) = _groups(summary), _published()
        if picture == "published":
            compared = [group for group in groups if group.workload in _COMPARED]
            return ratio_figure(compared, published, summary)
        grown = [g for g in groups if any(shapes.own_growth(g, m) for m in (SYNC, ASYNC))]
        return growth_figure(grown or groups, published, summary)


def verdict(compared: Mapping[str, Sequence[Beside]]) -> str:
    """One sentence: at how many N the own ratio points the published way, and where it does not.

    ``compared`` has the comparisons of each workload.
    """
    found = [(name, one) for name, of_group in compared.items() for one in of_group]
    if not found:
        return "No published ratio of sync to async has an N in common with this result."
    parts = []
    for name, one in found:
        where = "" if len(compared[name]) == 1 else f" ({one.table.label})"
        parts.append(f"{name}{where} {one.counted}{one.exceptions}")
    same = sum(len(one.where(True)) for _, one in found)
    measured = sum(len(one.own) for _, one in found)
    return (
        f"The ratio sync / async of time per redo points the published way at {same} of"
        f" {measured} N: {'; '.join(parts)}."
    )


def _published() -> tuple[Published, str | None]:
    """The published figures, or no tables and the reason."""
    try:
        return load(), None
    except PublishedError as error:
        return Published(tables=()), f"The published figures cannot be read: {error}."


def _groups(summary: Summary) -> list[Group]:
    return [
        group
        for group in summary.groups()
        if group.extra == (("cost", _COST),) and group.workload in _WORKLOADS
    ]


def _growths(workload: str, published: Published) -> list[tuple[int, str, ByClients]]:
    """The published growths of time with N: number of the table, manager, growth."""
    return [
        (number, manager, growth)
        for number, table in enumerate(published.tables, 1)
        for manager in (SYNC, ASYNC)
        if (growth := shapes.published_growth(table, manager, workload))
    ]


def _table(group: Group, published: Published) -> RichTable:
    own = shapes.own_ratios(group)
    shown: list[fields.Field[int]] = [
        fields.clients(lambda n: n),
        fields.column("sync/async\n(95 %)", lambda ns: columns.intervals(list(map(own.get, ns)))),
    ]
    for found in shapes.beside(group, published):
        number = published.tables.index(found.table) + 1
        shown += [
            _ratios(f"[{number}]", found.published),
            fields.texts("same\nway", partial(_same_way, found)),
        ]
    shown += [
        _ratios(f"{manager}\nx N=1", shapes.own_growth(group, manager)) for manager in (SYNC, ASYNC)
    ]
    shown += [
        _ratios(f"{manager}\n[{number}]", growth)
        for number, manager, growth in _growths(group.workload, published)
    ]
    title = f"{group.workload}, beside the published figures"
    return fields.field_table(group.clients, shown, title)


def _ratios(heading: str, by_clients: ByClients) -> fields.Field[int]:
    values = {n: ratio.value for n, ratio in by_clients.items()}
    return fields.numbers(heading, values.get, columns.factors)


def _same_way(compared: Beside, clients: int) -> str:
    if clients not in compared.own:
        return columns.ABSENT
    return {True: "yes", False: "NO", None: "?"}[compared.agrees(clients)]


def _legend(published: Published) -> str:
    sources = (
        f" [{number}] {table.machine}, {table.child}, {table.executor}; {table.source}."
        for number, table in enumerate(published.tables, 1)
        if any(table.times(manager, load) for manager in (SYNC, ASYNC) for load in _WORKLOADS)
    )
    return (
        "Above 1 a redo takes longer with sync. Same way: both ratios are on one side of 1 by more"
        " than 5 % and more than chance, or both within 5 %; ?: unknown from this data. x N=1:"
        " time per redo at N / at N = 1. Absolute times of other machines say nothing here, so"
        f" there are none.{''.join(sources)}"
    )


def _group_data(group: Group, published: Published) -> dict[str, Any]:
    return {
        "workload": group.workload,
        "sync_to_async": _ratios_data(shapes.own_ratios(group)),
        "growth": {name: _ratios_data(shapes.own_growth(group, name)) for name in (SYNC, ASYNC)},
        "published": [
            {
                "table": found.table.id,
                "sync_to_async": _ratios_data(found.published),
                "same_way": list(found.where(True)),
                "other_way": list(found.where(False)),
                "undecided": list(found.where(None)),
            }
            for found in shapes.beside(group, published)
        ],
        "published_growth": [
            {
                "table": published.tables[number - 1].id,
                "manager": manager,
                "growth": _ratios_data(growth),
            }
            for number, manager, growth in _growths(group.workload, published)
        ],
    }


def _ratios_data(ratios: ByClients) -> list[dict[str, Any]]:
    return [
        {"clients": n, **asdict(ratio), "direction": str(ratio.direction)}
        for n, ratio in ratios.items()
    ]
