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
from bench.experiments.published.reference import Published, PublishedError, load
from bench.experiments.published.shapes import (
    ASYNC,
    Beside,
    ByClients,
    Ratio,
    beside,
    exceptions,
    own_growth,
    own_ratios,
    published_growth,
)
from bench.results.summary import Group, Summary
from bench.show import columns, fields

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COST: Final = "pg14"
"""The cost of the child that the published figures were measured with."""

_WORKLOADS: Final = ("ping", "short", "medium")
_COMPARED: Final = ("short", "medium")
"""The workloads whose ratio of sync to async was published."""

_LEAST_N: Final = 3
"""N needed for a shape."""

_RATIO: Final = "published"
_GROWTH: Final = "published-growth"


class _PublishedView:
    """`View` of what sync and async did with a child as heavy as the published one."""

    name: str = "published"
    pictures: tuple[str, ...] = (_RATIO, _GROWTH)

    def covered(self, cases: Collection[Case]) -> frozenset[Case]:
        """All cases of sync and async with that child, if both have enough N of short or medium in
        common."""
        of_both = [case for case in cases if _is_shown(case)]
        for workload in _COMPARED:
            by_manager = [
                {
                    case.clients
                    for case in of_both
                    if (case.manager, case.workload) == (name, workload)
                }
                for name in (SYNC, ASYNC)
            ]
            if len(set.intersection(*by_manager)) >= _LEAST_N:
                return frozenset(of_both)
        return frozenset()

    def tables(self, summary: Summary) -> Iterable[RenderableType]:
        published, problem = _published()
        groups = _groups(summary)
        yield Text(problem or verdict([beside(group, published) for group in groups], groups))
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
        from bench.experiments.published.figure import growth_figure, shapes_figure

        groups = _groups(summary)
        if picture == _GROWTH:
            grown = [group for group in groups if any(own_growth(group, m) for m in (SYNC, ASYNC))]
            return growth_figure(grown or groups, _published()[0], summary)
        compared = [group for group in groups if group.workload in _COMPARED]
        return shapes_figure(compared, _published()[0], summary)


VIEW: Final = _PublishedView()


def verdict(compared: Sequence[Sequence[Beside]], groups: Sequence[Group]) -> str:
    """One sentence: at how many N the own ratio points the published way, and where it does not.

    ``compared`` has the comparisons of each group.
    """
    parts = []
    same = measured = 0
    for group, of_group in zip(groups, compared, strict=True):
        for found in of_group:
            same += len(found.same_way)
            measured += len(found.own)
            where = "" if len(of_group) == 1 else f" ({found.table.label})"
            counted = f"{len(found.same_way)} of {len(found.own)}"
            parts.append(f"{group.workload}{where} {counted}{exceptions(found)}")
    if not parts:
        return "No published ratio of sync to async has an N in common with this result."
    return (
        f"The ratio sync / async of time per redo points the published way at {same} of"
        f" {measured} N: {'; '.join(parts)}."
    )


def _published() -> tuple[Published, str | None]:
    """The published figures, or no tables and the reason."""
    try:
        return load(), None
    except PublishedError as error:
        return Published(what="", tables=()), f"The published figures are not to be had: {error}."


def _is_shown(case: Case) -> bool:
    return (
        case.manager in (SYNC, ASYNC)
        and case.workload in _WORKLOADS
        and dict(case.extra) == {"cost": _COST}
    )


def _groups(summary: Summary) -> list[Group]:
    return [
        group
        for group in summary.groups()
        if group.extra == (("cost", _COST),) and group.workload in _WORKLOADS
    ]


def _with_growth(workload: str, published: Published) -> list[tuple[int, str, ByClients]]:
    """The published growths of time with N: number of the table, manager, growth."""
    found = (
        (number, manager, published_growth(table, manager, workload))
        for number, table in enumerate(published.tables, 1)
        for manager in (SYNC, ASYNC)
    )
    return [entry for entry in found if entry[2]]


def _table(group: Group, published: Published) -> RichTable:
    own, compared = own_ratios(group), beside(group, published)
    numbers = {table.id: number for number, table in enumerate(published.tables, 1)}
    shown: list[fields.Field[int]] = [
        fields.clients(lambda n: n),
        fields.column("sync/async\n(95 %)", partial(_intervals, own)),
    ]
    for found in compared:
        shown += [
            _ratios(f"[{numbers[found.table.id]}]", found.published),
            fields.texts("same\nway", partial(_same_way, found)),
        ]
    shown += [_ratios(f"{manager}\nx N=1", own_growth(group, manager)) for manager in (SYNC, ASYNC)]
    shown += [
        _ratios(f"{manager}\n[{number}]", growth)
        for number, manager, growth in _with_growth(group.workload, published)
    ]
    title = f"{group.workload}, beside the published figures"
    return fields.field_table(group.clients, shown, title)


def _ratios(heading: str, by_clients: ByClients) -> fields.Field[int]:
    def value(clients: int) -> float | None:
        ratio = by_clients.get(clients)
        return None if ratio is None else ratio.value

    return fields.numbers(heading, value, columns.factors)


def _intervals(by_clients: ByClients, clients: Iterable[int]) -> columns.Column:
    return columns.intervals([by_clients.get(n) for n in clients])


def _same_way(compared: Beside, clients: int) -> str:
    if clients not in compared.own:
        return columns.ABSENT
    if clients in compared.undecided:
        return "?"
    return "yes" if clients in compared.same_way else "NO"


def _legend(published: Published) -> str:
    sources = (
        f"[{number}] {table.machine}, {table.child}, {table.executor}; {table.source}."
        for number, table in enumerate(published.tables, 1)
        if any(table.times(manager, load) for manager in (SYNC, ASYNC) for load in _WORKLOADS)
    )
    return " ".join(
        (
            "Above 1 a redo takes longer with sync. Same way: both ratios are on one side of 1 by"
            " more than 5 % and more than chance, or both within 5 %; ?: this data does not tell."
            " x N=1: time per redo at N / at N = 1. Absolute times of other machines say nothing"
            " here, so there are none.",
            *sources,
        )
    )


def _group_data(group: Group, published: Published) -> dict[str, Any]:
    return {
        "workload": group.workload,
        "sync_to_async": _ratios_data(own_ratios(group)),
        "growth": {name: _ratios_data(own_growth(group, name)) for name in (SYNC, ASYNC)},
        "published": [
            {
                "table": found.table.id,
                "sync_to_async": _ratios_data(found.published),
                "same_way": list(found.same_way),
                "other_way": list(found.other_way),
                "undecided": list(found.undecided),
            }
            for found in beside(group, published)
        ],
        "published_growth": [
            {
                "table": published.tables[number - 1].id,
                "manager": manager,
                "growth": _ratios_data(growth),
            }
            for number, manager, growth in _with_growth(group.workload, published)
        ],
    }


def _ratios_data(ratios: Mapping[int, Ratio]) -> list[dict[str, Any]]:
    return [
        {"clients": n, **asdict(ratio), "direction": str(ratio.direction)}
        for n, ratio in ratios.items()
    ]
