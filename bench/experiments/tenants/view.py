"""Many tenants, each with a manager of its own: where the knee is, and from which N async leads.

Shows the cases of topology=per-tenant, and beside them the cases of one shared manager that are
alike otherwise (which keep their ordinary tables and curves). The statistics are those of
`bench.statistics`; the figure is drawn in `bench.show.pictures.knee`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bench.cases.case import Case
from bench.cases.managers.registry import is_rival
from bench.cases.names import BASE
from bench.cases.notations import PER_TENANT
from bench.results.summary import CaseRow, Group, Summary
from bench.show import columns, fields
from bench.show.families import differing, to_base
from bench.show.fields import effect_data, field_table
from bench.show.findings import Measure, better_from, knee_text, knee_title
from bench.statistics.crossover import crossovers, leads
from bench.statistics.effects import Effect
from bench.statistics.knee import Knee, knees

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEGEND: Final = (
    "N tenants: N managers in one process, each with a child and one client. Medians over the runs."
    " CPU: per redo, the manager's process and all children. /sync: throughput to that of sync, the"
    " geometric mean over the rounds. /shared: to that of the same manager shared by N clients."
    " Knee: the N of the greatest throughput / time per redo (Kleinrock's power); beyond it tenants"
    " add more latency than throughput. t/redo is a client's whole turn, N / throughput; p50 and"
    " p99 are of the call only. <=1: at the smallest N. >=256: not reached. ?: one round has no CI."
)


@dataclass(frozen=True, slots=True)
class Pair:
    """The cases of many tenants, and those of one shared manager that are alike otherwise."""

    tenants: Group
    shared: Group | None

    @property
    def shared_knees(self) -> list[Knee]:
        return [] if self.shared is None else knees(self.shared)

    def to_sync(self, row: CaseRow) -> Effect | None:
        """The ratio of throughput to that of sync."""
        is_compared = is_rival(row.case.manager)
        base = self.tenants.row(BASE, row.case.clients) if is_compared else None
        return to_base(row, base, Measure.THROUGHPUT.of)

    def to_shared(self, row: CaseRow) -> Effect | None:
        """The ratio of throughput to that of the same manager shared by as many clients."""
        group, case = self.shared, row.case
        base = None if group is None else group.row(case.manager, case.clients)
        return to_base(row, base, Measure.THROUGHPUT.of)


def pairs(summary: Summary) -> Iterator[Pair]:
    """Each group of tenants."""
    by_place = {(group.workload, group.extra): group for group in summary.groups()}
    for group in summary.groups():
        extra = dict(group.extra)
        if extra.pop("topology", None) == PER_TENANT:
            yield Pair(group, by_place.get((group.workload, tuple(extra.items()))))


class TenantsView:
    """`View` of the cases with a manager per tenant."""

    name = "tenants"
    pictures: tuple[str, ...] = ("tenants",)

    def covered(self, cases: Collection[Case]) -> frozenset[Case]:
        return differing(cases, "topology")

    def tables(self, summary: Summary) -> Iterable[RenderableType]:
        for pair in pairs(summary):
            yield Text(knee_title(pair.tenants), style="bold")
            yield field_table(pair.tenants.rows, _fields(pair))
            if (of_knees := _knees(pair)).row_count:
                yield of_knees
        yield Text(_LEGEND, style="dim")

    def data(self, summary: Summary) -> Any:
        """For each group: ``knees`` (clients null: not reached at the greatest N), ``shared_knees``
        of the same cases with one manager, and the ratios of throughput by manager and N."""
        return [
            {
                "group": pair.tenants.title,
                "knees": [_knee_data(knee) for knee in knees(pair.tenants)],
                "shared_knees": [_knee_data(knee) for knee in pair.shared_knees],
                "throughput_to_sync": _ratios_data(pair.tenants.rows, pair.to_sync),
                "throughput_to_shared": _ratios_data(pair.tenants.rows, pair.to_shared),
            }
            for pair in pairs(summary)
        ]

    def figure(self, picture: str, summary: Summary) -> Figure:
        from bench.show.pictures.knee import figure_beside

        assert picture in self.pictures
        return figure_beside([(pair.tenants, pair.shared) for pair in pairs(summary)], summary)


def _fields(pair: Pair) -> list[fields.Field[CaseRow]]:
    return [
        fields.clients(lambda row: row.case.clients),
        fields.words("manager", lambda row: row.case.manager),
        fields.measure("redo/s", Measure.THROUGHPUT.of, columns.rates),
        fields.measure("p50", Measure.LATENCY.of),
        fields.percentile("p99", Measure.LATENCY_P99.of, beside=Measure.LATENCY.of),
        fields.measure("CPU", Measure.CPU_TOTAL.of),
        fields.ratio_interval("/sync (95 %)", pair.to_sync),
        fields.ratio("/shared", pair.to_shared),
    ]


def _knees(pair: Pair) -> Table:
    ahead = {
        found.manager: better_from(leads(pair.tenants, found.manager, found.measure), found)
        for found in crossovers(pair.tenants)
        if found.measure == Measure.THROUGHPUT.field
    }
    shared = {knee.manager: knee_text(knee) for knee in pair.shared_knees}

    def row(knee: Knee) -> CaseRow | None:
        return pair.tenants.row(knee.manager, knee.clients or knee.measured[-1])

    shown: list[fields.Field[Knee]] = [
        fields.words("manager", lambda knee: knee.manager),
        fields.texts("knee at N", knee_text),
        fields.measure("redo/s", lambda knee: Measure.THROUGHPUT.of(row(knee)), columns.rates),
        fields.measure("t/redo", lambda knee: Measure.TIME_PER_REDO.of(row(knee))),
        fields.texts("if shared", lambda knee: shared.get(knee.manager, columns.ABSENT)),
        fields.texts("faster from N", lambda knee: ahead.get(knee.manager, columns.ABSENT)),
    ]
    title = f"The knee, and from which N on it is faster than {BASE} (95 % CI)"
    return field_table(knees(pair.tenants), shown, title)


def _knee_data(knee: Knee) -> dict[str, Any]:
    return {"manager": knee.manager, "measured": knee.measured, **asdict(knee)}


def _ratios_data(
    rows: Iterable[CaseRow], ratio_of: Callable[[CaseRow], Effect | None]
) -> list[dict[str, Any]]:
    return [
        {"manager": row.case.manager, "clients": row.case.clients, **data}
        for row in rows
        if (data := effect_data(ratio_of(row))) is not None
    ]
