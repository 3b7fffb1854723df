"""Shared memory beside pipes: what it changes in throughput, CPU and latency of each manager.

Shown besides the ordinary tables, whose verdict has the crossover with each transport. Published
figures of both transports stand beside as ratios only: their machine and child were others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from bench.cases.case import Case, is_closed_loop
from bench.cases.names import PARK, PIPE, SHM, WORKLOADS
from bench.experiments.family_view import FamilyView, manager_look, ranked
from bench.experiments.published.reference import PublishedError, Table, load
from bench.experiments.published.shapes import ByClients, of_times
from bench.places import RESULTS
from bench.results.summary import CaseRow, Summary
from bench.show import fields, units
from bench.show.families import Family, Panel, at_default, interval, to_base
from bench.show.findings import Measure
from bench.show.pictures import style
from bench.statistics.effects import Effect

REFERENCE: Final = RESULTS / "reference" / "neon_shared_memory.json"
"""Published times over both transports."""

_MEASURES: Final = (
    Measure.THROUGHPUT,
    Measure.CPU_TOTAL,
    Measure.of_field("turn_p50_s"),
    Measure.of_field("turn_p99_s"),
)
_SPINS: Final = (0, (1, 1.2))


class TransportView(FamilyView):
    """`View` of the cases over shared memory and of the same over pipes."""

    name = "transport"
    pictures: tuple[str, ...] = ("transport",)
    dimensions = ("transport", "wait")
    legend = (
        "Each value over shared memory divided by that of the same case over pipes: the geometric"
        " mean over the rounds that both have, with its 95 % CI. Of redo/s more is better, of all"
        " others less."
    )

    def covered(self, cases: Collection[Case]) -> frozenset[Case]:
        there = set(filter(is_closed_loop, cases))
        shared = {c for c in there if c.transport == SHM and at_default(c, "transport") in there}
        return frozenset(shared | {at_default(case, "transport") for case in shared})

    def finding(self, family: Family) -> str:
        """The least and the greatest ratio of throughput, at the least and the greatest N."""
        parts = []
        for clients in dict.fromkeys((family.clients[0], family.clients[-1])):
            found = [
                (effect.ratio, f"{interval(effect)} ({self.label(row.case)})")
                for row in family.of(clients=clients, transport=SHM)
                if (effect := _to_pipes(family, Measure.THROUGHPUT, row)) is not None
            ]
            if found:
                ends = dict.fromkeys((min(found)[1], max(found)[1]))
                parts.append(f"{' to '.join(ends)} at N = {clients}")
        said = "; ".join(parts) or "not known"
        return f"{family.title}: throughput over shared memory to that over pipes: {said}"

    def data_rows(self, family: Family) -> Sequence[CaseRow]:
        return family.of(transport=SHM)

    def fields_of(self, family: Family) -> list[fields.Field[CaseRow]]:
        ratios = [
            fields.ratio_interval(
                str(measure.heading),
                partial(_to_pipes, family, measure),
                key=f"{measure.name.replace('-', '_')}_to_pipes",
            )
            for measure in _MEASURES
        ]
        return [
            fields.only_data("manager", lambda row: row.case.manager),
            fields.only_data("wait", lambda row: row.case.wait),
            fields.clients(lambda row: row.case.clients, key="clients"),
            fields.words("manager", lambda row: self.label(row.case)),
            *ratios,
        ]

    def field_tables(self, family: Family) -> Iterable[RenderableType]:
        yield fields.field_table(self.data_rows(family), self.fields_of(family), gap=1)

    def tables(self, summary: Summary) -> Iterable[RenderableType]:
        *shown, how_to_read = [*super().tables(summary)] or [Text()]
        yield from shown
        yield Text(_published_text())
        yield how_to_read

    def data(self, summary: Summary) -> Any:
        """``groups``: of each family its cases over shared memory, and their ratios to those over
        pipes. ``published``: by workload and N the ratio of throughput, which is that of times per
        redo turned around; None where the figures cannot be read."""
        table = _published()
        published = table and {
            workload: [{"clients": n, **asdict(one)} for n, one in ratios.items()]
            for workload, ratios in published_ratios(table).items()
        }
        return {"groups": super().data(summary), "published": published}

    def label(self, case: Case) -> str:
        """As ``sync`` or ``sync, spin:200``."""
        return case.manager if case.wait == PARK else f"{case.manager}, {case.wait}"

    def look(self, case: Case, found: Sequence[Family]) -> style.Look:
        look = manager_look(case, found)
        return look if case.wait == PARK else replace(look, linestyle=_SPINS)

    def panels(self, family: Family) -> tuple[Panel, ...]:
        """Ratios of throughput and of CPU against N."""
        return tuple(
            Panel(
                family,
                partial(_to_pipes, family, measure),
                "over shared memory / over pipes",
                self._panel_title(family, measure),
                lambda value, _: f"{value:g}x",
            )
            for measure in _MEASURES[:2]
        )

    def _panel_title(self, family: Family, measure: Measure) -> str:
        """The least and the greatest ratio at the greatest N."""
        found = ranked(family, partial(_to_pipes, family, measure), self.label)
        named = [f"{units.factor(ratio)} ({label})" for ratio, label in found]
        ends = " to ".join(dict.fromkeys((*named[:1], *named[-1:]))) or "not known"
        return f"{family.title}, N = {family.clients[-1]}: {measure.noun} {ends}"


def published_ratios(table: Table) -> dict[str, ByClients]:
    """Time per redo over pipes / over shared memory, by workload, at each N that has both."""
    found: dict[str, ByClients] = {}
    for workload in WORKLOADS:
        pipes, shared = (table.times(name, workload) for name in ("pipes", "shared-memory"))
        if common := sorted(pipes.keys() & shared.keys()):
            found[workload] = {n: of_times(pipes[n], shared[n]) for n in common}
    return found


def _to_pipes(family: Family, measure: Measure, row: CaseRow) -> Effect | None:
    """The ratio of a row over shared memory to the same over pipes; None for one over pipes."""
    case = row.case
    if case.transport != SHM:
        return None
    base = family.first(transport=PIPE, manager=case.manager, wait=case.wait, clients=case.clients)
    return to_base(row, base, measure.of)


def _published() -> Table | None:
    try:
        return next(iter(load(REFERENCE).tables), None)
    except PublishedError:
        return None


def _published_text() -> str:
    table = _published()
    if table is None:
        return f"{REFERENCE.name}, the published figures, cannot be read."
    parts = [
        f"{workload} {', '.join(f'{units.factor(one.value)} at N = {n}' for n, one in by.items())}"
        for workload, by in published_ratios(table).items()
    ]
    source = f"{table.child}, {table.executor}; {table.source}"
    what = "throughput over shared memory to that over pipes"
    return f"Published {what}: {'; '.join(parts)} ({source})."
