"""CPU per redo of manager and child against N / CPUs, with CPU to spare and without.

Where async saves CPU, and how manager and child share it when it is short. Shows the cases with
background load and those that are alike but for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from rich.console import RenderableType

from bench.cases.case import Case
from bench.cases.managers.registry import is_rival
from bench.cases.names import BASE, CHALLENGER
from bench.experiments.family_view import FamilyView, as_number, manager_look
from bench.results.summary import CaseRow, Estimate, paired_ratio
from bench.show import columns, fields
from bench.show.families import Family, Panel, kin, to_base
from bench.show.fields import field_table
from bench.show.findings import Measure
from bench.show.pictures import style
from bench.statistics.effects import Effect, side

CLAIMED: Final = (0.5, 1.5)
"""The claim: async needs less CPU than sync between these N / CPUs, and more elsewhere."""

_LOADED: Final = (0, (4, 1.5))


@dataclass(frozen=True, slots=True)
class Saving:
    """How the CPU per redo of an async manager compares with that of sync at N clients: ``side``
    is -1 if it needs less, 1 if more, 0 if the rounds do not show which; ``claimed`` is the side
    that the claim expects, None if the number of CPUs is not known."""

    clients: int
    side: int
    claimed: int | None


class CpuView(FamilyView):
    """`View` of the cases with background load, and of those alike but for it."""

    name = "cpu"
    pictures: tuple[str, ...] = ("cpu",)
    dimensions = ("background_load",)
    variants = {"with busy processes": replace(style.PLAIN, linestyle=_LOADED)}  # noqa: RUF012
    legend = (
        "Medians over the runs. xCPUs: N / the CPUs that manager and child may use. CPU per redo of"
        " the manager's process and of the child in user and system mode (split by clock ticks, the"
        " total is exact). m.sw, c.sw: context switches per redo. share: the manager's part of the"
        " CPU that both use. busy: CPUs that manager + child kept busy. to sync: CPU per redo to"
        " that of sync at the same N and load, paired by rounds, with its 95 % CI; below 1 is less"
        " CPU."
    )

    def covered(self, cases: Collection[Case]) -> frozenset[Case]:
        return kin(cases, self.dimensions, lambda case: case.background_load > 0)

    def finding(self, family: Family) -> str:
        return "\n".join(_findings(family))

    def field_tables(self, family: Family) -> Iterable[RenderableType]:
        for load in _loads(family):
            title = f"{family.title}, {load} busy processes beside"
            yield field_table(family.of(background_load=load), self.fields_of(family), title)

    def fields_of(self, family: Family) -> list[fields.Field[CaseRow]]:
        in_us, plain = columns.microseconds(2), columns.plain(2)
        return [
            fields.texts("xCPUs", _per_cpu),
            fields.words("manager", lambda row: row.case.manager, key="manager"),
            fields.only_data("background_load", lambda row: row.case.background_load),
            fields.clients(lambda row: row.case.clients, key="clients"),
            fields.only_data("cpus", _cpus),
            fields.measure("m.user", Measure.CPU_MANAGER_USER.of, in_us, key="cpu_manager_user_s"),
            fields.measure(
                "m.sys", Measure.CPU_MANAGER_SYSTEM.of, in_us, key="cpu_manager_system_s"
            ),
            fields.measure("c.user", Measure.CPU_CHILD_USER.of, in_us, key="cpu_child_user_s"),
            fields.measure("c.sys", Measure.CPU_CHILD_SYSTEM.of, in_us, key="cpu_child_system_s"),
            fields.only_data("cpu_total_s", Measure.CPU_TOTAL.of),
            fields.measure("m.sw", _switches("manager"), plain, key="switches_manager_per_redo"),
            fields.measure("c.sw", _switches("child"), plain, key="switches_child_per_redo"),
            fields.measure("share", _share, columns.shares, key="manager_share"),
            fields.measure("busy", _busy, plain, key="busy_cpus"),
            fields.ratio_interval("CPU to sync", partial(_saving, family), key="cpu_to_sync"),
        ]

    def label(self, case: Case) -> str:
        return "" if case.background_load else case.manager

    def look(self, case: Case, found: Sequence[Family]) -> style.Look:
        look = manager_look(case, found)
        return replace(look, linestyle=_LOADED) if case.background_load else look

    def panels(self, family: Family) -> tuple[Panel, ...]:
        """CPU per redo, its ratio to sync and the manager's share, against N."""
        cpus = next((n for row in family.rows if (n := _cpus(row)) is not None), None)
        shaded = None if cpus is None else (CLAIMED[0] * cpus, CLAIMED[1] * cpus)
        sides = _sides(_savings(family, CHALLENGER, _loads(family)[0]))
        split = next(_splits(family), "the split is not known")
        titles = (
            f"{family.title}; shaded: where async is said to need less",
            f"{family.title}: {CHALLENGER} {sides}",
            f"{family.title}: {split}",
        )
        total, saving = Measure.CPU_TOTAL.of, partial(_saving, family)
        in_seconds = style.Y_FORMATS[Measure.LATENCY]
        return (
            Panel(family, total, "CPU per redo, both processes", titles[0], in_seconds, shaded),
            Panel(family, saving, "CPU per redo to that of sync", titles[1], as_number, shaded),
            Panel(family, _share, "manager's share of both's CPU", titles[2], None, shaded),
        )


def _findings(family: Family) -> Iterator[str]:
    """A line for each async manager and load, and one on the split for each manager."""
    for load in _loads(family):
        beside = f"with {load} busy processes" if load else "with no busy process"
        for manager in _managers(family):
            if found := _savings(family, manager, load):
                yield f"{family.title}, {beside}: {manager} {_sides(found)}{_as_claimed(found)}"
    for text in _splits(family):
        yield f"{family.title}: {text}"


def _saving(family: Family, row: CaseRow) -> Effect | None:
    """CPU per redo of an async row to that of sync at the same N and load."""
    case = row.case
    if not is_rival(case.manager):
        return None
    base = family.first(manager=BASE, clients=case.clients, background_load=case.background_load)
    return to_base(row, base, Measure.CPU_TOTAL.of)


def _share(row: CaseRow) -> Estimate | None:
    """The manager's part of the CPU that manager and child use."""
    return paired_ratio(row.further.get("redo_cpu_manager"), row.cpu_total_s)


def _busy(row: CaseRow) -> Estimate | None:
    """CPUs that manager and child kept busy: CPU per redo x redos per second."""
    return _combined((row.cpu_total_s, row.throughput_per_s), math.prod)


def _switches(process: str) -> Callable[[CaseRow], Estimate | None]:
    """Context switches of a process per redo, of both kinds, as a function of a row."""
    keys = [f"redo_switches_{process}_{kind}" for kind in ("voluntary", "involuntary")]
    return lambda row: _combined([row.further.get(key) for key in keys], sum)


def _combined(
    parts: Sequence[Estimate | None], of: Callable[[Iterable[float]], float]
) -> Estimate | None:
    """What a function makes of the parts, round by round; None if one is not known."""
    by_round = [dict(part.by_round) for part in parts if part is not None]
    if len(by_round) < len(parts):
        return None
    common = set(by_round[0]).intersection(*by_round[1:])
    return Estimate.of((number, of([values[number] for values in by_round])) for number in common)


def _savings(family: Family, manager: str, load: int) -> list[Saving]:
    found = []
    for row in family.of(manager=manager, background_load=load):
        if (effect := _saving(family, row)) is None:
            continue
        clients, cpus = row.case.clients, _cpus(row)
        is_less = cpus and CLAIMED[0] <= clients / cpus <= CLAIMED[1]
        claimed = None if cpus is None else -1 if is_less else 1
        found.append(Saving(clients, 0 if effect.low is None else side(effect), claimed))
    return found


def _sides(found: Collection[Saving]) -> str:
    """As ``needs less CPU than sync at N = 1, 2; more at N = 8; no significant difference at N =
    4``."""

    def at(side: int) -> str:
        return ", ".join(str(saving.clients) for saving in found if saving.side == side)

    parts = [f"{word} at N = {at(side)}" for side, word in ((-1, "less"), (1, "more")) if at(side)]
    parts[:1] = [f"needs {part.replace(' at', f' CPU than {BASE} at', 1)}" for part in parts[:1]]
    if at(0):
        parts.append(
            f"{'' if parts else f'compared with {BASE}: '}no significant difference at N = {at(0)}"
        )
    return "; ".join(parts)


def _as_claimed(found: Collection[Saving]) -> str:
    placed = [saving for saving in found if saving.claimed is not None]
    if not placed:
        return ""
    held = sum(saving.side == saving.claimed for saving in placed)
    low, high = CLAIMED
    count = f"so at {held} of {len(placed)} N"
    return f" (claimed: less at {low:g} to {high:g} x CPUs, else more; {count})"


def _splits(family: Family) -> Iterator[str]:
    """Of each manager its share of the CPU at the greatest N, by load."""
    last = family.clients[-1]
    for manager in _managers(family):
        parts = [
            f"{part.median:.0%} with {load or 'no'} busy"
            for load in _loads(family)
            for row in family.of(manager=manager, background_load=load, clients=last)
            if (part := _share(row)) is not None
        ]
        if parts:
            share_of = f"{manager}'s share of the CPU that it and the child use at N = {last}"
            yield f"{share_of}: {', '.join(parts)}"


def _managers(family: Family) -> Iterable[str]:
    return dict.fromkeys(row.case.manager for row in family.rows)


def _loads(family: Family) -> list[int]:
    return sorted({row.case.background_load for row in family.rows})


def _cpus(row: CaseRow) -> int | None:
    cpus = row.further.get("redo_cpus")
    return None if cpus is None else round(cpus.median)


def _per_cpu(row: CaseRow) -> str:
    cpus = _cpus(row)
    return columns.ABSENT if cpus is None else f"{row.case.clients / cpus:g}"
