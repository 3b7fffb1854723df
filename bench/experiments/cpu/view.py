"""CPU per redo of manager and child against N / CPUs, with CPU to spare and without.

Where async saves CPU, and how manager and child share it when it is short. Shows the cases with
background load and those that are alike but for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from rich.console import RenderableType
from rich.text import Text

from bench.cases.case import Case
from bench.cases.managers.registry import is_rival
from bench.cases.names import BASE, CHALLENGER
from bench.results.summary import CaseRow, Estimate, Summary, paired_ratio
from bench.show import columns, fields
from bench.show.families import Family, families, kin, to_base
from bench.show.fields import field_data, field_table
from bench.show.findings import Measure
from bench.show.pictures import style
from bench.statistics.effects import Effect, side

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench.show.pictures.panels import Panel

PICTURE: Final = "cpu"
CLAIMED: Final = (0.5, 1.5)
"""The claim: async needs less CPU than sync between these N / CPUs, and more elsewhere."""

_VARIED: Final = ("background_load",)
_LOADED: Final = (0, (4, 1.5))
_PARTS: Final = {
    "m.user": Measure.CPU_MANAGER_USER,
    "m.sys": Measure.CPU_MANAGER_SYSTEM,
    "c.user": Measure.CPU_CHILD_USER,
    "c.sys": Measure.CPU_CHILD_SYSTEM,
}
"""Heading -> measure."""

_LEGEND: Final = (
    "Medians over the runs. xCPUs: N / the CPUs that manager and child may use. CPU per redo of the"
    " manager's process and of the child in user and system mode (split by clock ticks, the total"
    " is exact). m.sw, c.sw: context switches per redo. share: the manager's part of"
    " the CPU that both use. busy: CPUs that manager + child kept busy. to sync: CPU per redo to"
    " that of sync at the same N and load, paired by rounds, 95 % interval; below 1 is less CPU."
)


@dataclass(frozen=True, slots=True)
class Saving:
    """CPU per redo of an async manager to that of sync, at N clients of ``cpus`` CPUs."""

    manager: str
    clients: int
    cpus: int | None
    effect: Effect

    @property
    def side(self) -> int:
        """-1 if it needs less, 1 if more, 0 if the rounds do not show which."""
        return 0 if self.effect.low is None else side(self.effect)

    @property
    def claimed(self) -> int | None:
        """The ``side`` that the claim expects; None if the number of CPUs is not known."""
        if self.cpus is None:
            return None
        return -1 if CLAIMED[0] <= self.clients / self.cpus <= CLAIMED[1] else 1


class CpuView:
    """`View` of the cases with background load, and of those alike but for it."""

    name = "cpu"
    pictures: tuple[str, ...] = (PICTURE,)

    def covered(self, cases: Collection[Case]) -> frozenset[Case]:
        return kin(cases, _VARIED, lambda case: case.background_load > 0)

    def tables(self, summary: Summary) -> Iterable[RenderableType]:
        found = self._families(summary)
        for family in found:
            yield Text("\n".join(findings(family)), style="bold")
            for load in _loads(family):
                yield field_table(
                    family.of(background_load=load),
                    _fields(family),
                    f"{family.title}, {load} busy processes beside",
                )
        if found:
            yield Text(_LEGEND, style="dim")

    def data(self, summary: Summary) -> Any:
        """Of each family the medians by manager, background load and N."""
        return [
            {"group": family.title, "cases": field_data(family.rows, _fields(family))}
            for family in self._families(summary)
        ]

    def figure(self, picture: str, summary: Summary) -> Figure:
        """CPU per redo, its ratio to sync and the manager's share, against N."""
        from bench.show.pictures.panels import figure

        assert picture == PICTURE
        panels = [panel for family in self._families(summary) for panel in _panels(family)]
        return figure(
            panels,
            lambda case: "" if case.background_load else case.manager,
            _look_of,
            summary,
            {"with busy processes": replace(style.PLAIN, linestyle=_LOADED)},
        )

    def _families(self, summary: Summary) -> list[Family]:
        return families(summary, _VARIED, self.covered([row.case for row in summary.rows]))


def findings(family: Family) -> Iterator[str]:
    """A line for each async manager and load, and one on the split for each manager."""
    for load in _loads(family):
        beside = f"with {load} busy processes" if load else "with nothing beside"
        for manager in dict.fromkeys(row.case.manager for row in family.rows):
            found = _savings(family, manager, load)
            if found:
                yield f"{family.title}, {beside}: {manager} {_sides(found)}{_as_claimed(found)}"
    for text in _splits(family):
        yield f"{family.title}: {text}"


def saving(family: Family, row: CaseRow) -> Effect | None:
    """CPU per redo of an async row to that of sync at the same N and load."""
    if not is_rival(row.case.manager):
        return None
    case = row.case
    base = family.first(manager=BASE, clients=case.clients, background_load=case.background_load)
    return to_base(row, base, Measure.CPU_TOTAL.of)


def share(row: CaseRow) -> Estimate | None:
    """The manager's part of the CPU that manager and child use."""
    return paired_ratio(row.further.get("redo_cpu_manager"), row.cpu_total_s)


def busy(row: CaseRow) -> Estimate | None:
    """CPUs that manager and child kept busy: CPU per redo x redos per second."""
    return _combined((row.cpu_total_s, row.throughput_per_s), lambda values: values[0] * values[1])


def switches(row: CaseRow, process: str) -> Estimate | None:
    """Context switches of a process per redo, of both kinds."""
    parts = (
        row.further.get(f"redo_switches_{process}_{kind}") for kind in ("voluntary", "involuntary")
    )
    return _combined(tuple(parts), sum)


def _combined(
    parts: tuple[Estimate | None, ...], of: Callable[[list[float]], float]
) -> Estimate | None:
    """What a function makes of the parts, round by round."""
    columns = [dict(part.by_round) for part in parts if part is not None]
    if len(columns) < len(parts):
        return None
    common = set(columns[0]).intersection(*columns[1:])
    return Estimate.of((number, of([column[number] for column in columns])) for number in common)


def _savings(family: Family, manager: str, load: int) -> list[Saving]:
    rows = family.of(manager=manager, background_load=load)
    return [
        Saving(manager, row.case.clients, _cpus(row), effect)
        for row in rows
        if (effect := saving(family, row)) is not None
    ]


def _sides(found: list[Saving]) -> str:
    """As ``needs less CPU than sync at N = 1, 2; more at N = 8; is not told apart at N = 4``."""

    def at(side: int) -> str:
        return ", ".join(str(saving.clients) for saving in found if saving.side == side)

    parts = [f"{word} at N = {at(side)}" for side, word in ((-1, "less"), (1, "more")) if at(side)]
    parts[:1] = [f"needs {part.replace(' at', f' CPU than {BASE} at', 1)}" for part in parts[:1]]
    if at(0):
        parts.append(f"is not told apart{'' if parts else f' from {BASE}'} at N = {at(0)}")
    return "; ".join(parts)


def _as_claimed(found: list[Saving]) -> str:
    placed = [saving for saving in found if saving.claimed is not None]
    if not placed:
        return ""
    held = sum(saving.side == saving.claimed for saving in placed)
    low, high = CLAIMED
    count = f"so at {held} of {len(placed)} N"
    return f" (claimed: less at {low:g} to {high:g} x CPUs, else more; {count})"


def _splits(family: Family) -> Iterator[str]:
    last = family.clients[-1]
    for manager in dict.fromkeys(row.case.manager for row in family.rows):
        parts = [
            f"{part.median:.0%} {f'with {load} busy' if load else 'alone'}"
            for load in _loads(family)
            for row in family.of(manager=manager, background_load=load, clients=last)
            if (part := share(row)) is not None
        ]
        if parts:
            share_of = f"{manager}'s share of the CPU that it and the child use at N = {last}"
            yield f"{share_of}: {', '.join(parts)}"


def _loads(family: Family) -> list[int]:
    return sorted({row.case.background_load for row in family.rows})


def _cpus(row: CaseRow) -> int | None:
    cpus = row.further.get("redo_cpus")
    return None if cpus is None else round(cpus.median)


def _fields(family: Family) -> list[fields.Field[CaseRow]]:
    parts: list[fields.Field[CaseRow]] = [
        fields.measure(heading, part.of, columns.microseconds(2), key=part.field)
        for heading, part in _PARTS.items()
    ]
    return [
        fields.texts("xCPUs", _per_cpu),
        fields.words("manager", lambda row: row.case.manager, key="manager"),
        fields.only_data("background_load", lambda row: row.case.background_load),
        fields.clients(lambda row: row.case.clients, key="clients"),
        fields.only_data("cpus", _cpus),
        *parts,
        fields.only_data("cpu_total_s", Measure.CPU_TOTAL.of),
        *(
            fields.measure(
                f"{process[0]}.sw",
                partial(switches, process=process),
                columns.plain(2),
                key=f"switches_{process}_per_redo",
            )
            for process in ("manager", "child")
        ),
        fields.measure("share", share, columns.shares, key="manager_share"),
        fields.measure("busy", busy, columns.plain(2), key="busy_cpus"),
        fields.ratio_interval("CPU to sync", partial(saving, family), key="cpu_to_sync"),
    ]


def _per_cpu(row: CaseRow) -> str:
    cpus = _cpus(row)
    return columns.ABSENT if cpus is None else f"{row.case.clients / cpus:g}"


def _look_of(case: Case) -> style.Look:
    look = style.look(case.manager)
    return replace(look, linestyle=_LOADED) if case.background_load else look


def _panels(family: Family) -> tuple[Panel, ...]:
    from bench.show.pictures.panels import Panel

    cpus = next((n for row in family.rows if (n := _cpus(row)) is not None), None)
    shaded = None if cpus is None else (CLAIMED[0] * cpus, CLAIMED[1] * cpus)

    sides = _sides(_savings(family, CHALLENGER, _loads(family)[0]))
    split = next(iter(_splits(family)), "the split is not known")
    return (
        Panel(
            family=family,
            measure_of=Measure.CPU_TOTAL.of,
            label="CPU per redo, both processes",
            title=f"{family.title}; shaded: where async is said to need less",
            show=style.Y_FORMATS[Measure.LATENCY],
            shaded=shaded,
        ),
        Panel(
            family=family,
            measure_of=partial(saving, family),
            label="CPU per redo to that of sync",
            title=f"{family.title}: {CHALLENGER} {sides}",
            show=lambda value, _: f"{value:g}",
            shaded=shaded,
        ),
        Panel(
            family=family,
            measure_of=share,
            label="manager's share of both's CPU",
            title=f"{family.title}: {split}",
            shaded=shaded,
        ),
    )
