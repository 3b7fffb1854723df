"""Many tenants, each with a manager of its own: where the knee is, and from which N async leads.

Shows the cases of topology=per-tenant, and beside them the cases of one shared manager that are
alike otherwise (which keep their ordinary tables and curves). The statistics are those of
`bench.statistics`; the figure is drawn in `bench.show.pictures.knee`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
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
from bench.show.fields import field_table
from bench.show.findings import Measure, crossover_text, knee_text, knee_title
from bench.statistics.crossover import crossovers
from bench.statistics.effects import Effect
from bench.statistics.knee import Knee, knees

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PICTURE: Final = "tenants"

_LEGEND: Final = (
    "N tenants: N managers in one process, each with a child and one client. Medians over the runs."
    " CPU: per redo, the manager's process and all children. /sync: throughput to that of sync, the"
    " geometric mean over the rounds. /shared: to that of the same manager shared by N clients."
    " Knee: the N of the greatest throughput / time per redo (Kleinrock's power); beyond it tenants"
    " add more latency than throughput. t/redo is a client's whole turn, N / throughput; p50 and"
    " p99 are of the call alone. <=1: at the least N already. >=256: not reached. ?: one round"
    " shows no interval."
)


@dataclass(frozen=True, slots=True)
class Pair:
    """The cases of many tenants, and those of one shared manager that are alike otherwise."""

    tenants: Group
    shared: Group | None


def pairs(summary: Summary) -> Iterator[Pair]:
    """Each group of tenants."""
    groups = summary.groups()
    for group in groups:
        extra = dict(group.extra)
        if extra.pop("topology", None) != PER_TENANT:
            continue
        wanted = (group.workload, tuple(extra.items()))
        shared = (other for other in groups if (other.workload, other.extra) == wanted)
        yield Pair(group, next(shared, None))


class TenantsView:
    """`View` of the cases with a manager per tenant."""

    name = "tenants"
    pictures: tuple[str, ...] = (_PICTURE,)

    def covered(self, cases: Collection[Case]) -> frozenset[Case]:
        return differing(cases, "topology")

    def tables(self, summary: Summary) -> Iterable[RenderableType]:
        for pair in pairs(summary):
            yield Text(knee_title(pair.tenants), style="bold")
            yield _measures(pair)
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
                "shared_knees": [_knee_data(knee) for knee in _shared_knees(pair)],
                "throughput_to_sync": _ratios_data(pair, _to_sync),
                "throughput_to_shared": _ratios_data(pair, _to_shared),
            }
            for pair in pairs(summary)
        ]

    def figure(self, picture: str, summary: Summary) -> Figure:
        from bench.show.pictures.knee import figure_beside

        assert picture == _PICTURE
        return figure_beside([(pair.tenants, pair.shared) for pair in pairs(summary)], summary)


def _measures(pair: Pair) -> Table:
    shown: list[fields.Field[CaseRow]] = [
        fields.clients(lambda row: row.case.clients),
        fields.words("manager", lambda row: row.case.manager),
        fields.measure("redo/s", lambda row: row.throughput_per_s, columns.rates),
        fields.measure("p50", lambda row: row.latency_p50_s),
        fields.measure("p99", lambda row: row.latency_p99_s),
        fields.measure("CPU", lambda row: row.cpu_total_s),
        fields.ratio_interval("/sync (95 %)", partial(_to_sync, pair)),
        fields.ratio("/shared", partial(_to_shared, pair)),
    ]
    return field_table(pair.tenants.rows, shown)


def _knees(pair: Pair) -> Table:
    ahead = {
        found.manager: crossover_text(found)
        for found in crossovers(pair.tenants)
        if found.measure == Measure.THROUGHPUT.field
    }
    shared = {knee.manager: knee_text(knee) for knee in _shared_knees(pair)}

    def row(knee: Knee) -> CaseRow:
        found = pair.tenants.row(knee.manager, knee.clients or knee.measured[-1])
        assert found is not None
        return found

    shown: list[fields.Field[Knee]] = [
        fields.words("manager", lambda knee: knee.manager),
        fields.texts("knee at N", knee_text),
        fields.measure("redo/s", lambda knee: row(knee).throughput_per_s, columns.rates),
        fields.measure("t/redo", lambda knee: row(knee).time_per_redo_s),
        fields.texts("if shared", lambda knee: shared.get(knee.manager, columns.ABSENT)),
        fields.texts("ahead from N", lambda knee: ahead.get(knee.manager, columns.ABSENT)),
    ]
    title = f"The knee, and from which N on it is ahead of {BASE} (95 %)"
    return field_table(knees(pair.tenants), shown, title)


def _knee_data(knee: Knee) -> dict[str, Any]:
    return {"manager": knee.manager, "measured": knee.measured, **asdict(knee)}


def _shared_knees(pair: Pair) -> list[Knee]:
    return [] if pair.shared is None else knees(pair.shared)


def _to_sync(pair: Pair, row: CaseRow) -> Effect | None:
    rival = is_rival(row.case.manager)
    base = pair.tenants.row(BASE, row.case.clients) if rival else None
    return to_base(row, base, Measure.THROUGHPUT.of)


def _to_shared(pair: Pair, row: CaseRow) -> Effect | None:
    if pair.shared is None:
        return None
    base = pair.shared.row(row.case.manager, row.case.clients)
    return to_base(row, base, Measure.THROUGHPUT.of)


def _ratios_data(
    pair: Pair, ratio_of: Callable[[Pair, CaseRow], Effect | None]
) -> list[dict[str, Any]]:
    return [
        {
            "manager": row.case.manager,
            "clients": row.case.clients,
            "ratio": effect.ratio,
            "low": effect.low,
            "high": effect.high,
        }
        for row in pair.tenants.rows
        if (effect := ratio_of(pair, row)) is not None
    ]
