"""The CPU of a redo against N, stacked by process and mode: a panel per manager.

A bar is the median total, which titles and tables have. Its layers are each part's mean share of
a run's total: the shares of a run sum to 1, so the layers sum to the bar, as medians would not.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from bench.results.summary import CaseRow, Group, Summary
from bench.show import units
from bench.show.findings import Measure
from bench.show.pictures import figures, style
from bench.show.pictures.sheet import Sheet, footer

PARTS: Final = (
    (Measure.CPU_MANAGER_USER, "manager, user", style.MANAGER_USER),
    (Measure.CPU_MANAGER_SYSTEM, "manager, system", style.MANAGER_SYSTEM),
    (Measure.CPU_CHILD_USER, "child, user", style.CHILD_USER),
    (Measure.CPU_CHILD_SYSTEM, "child, system", style.CHILD_SYSTEM),
)
"""Measure, label and colour of each layer, from the foot of a bar up."""

_MAX_COLUMNS: Final = 4


def has_cpu(group: Group) -> bool:
    """Whether any case of the group has a part of its CPU."""
    return bool(_managers(group))


def cpu_figure(groups: Sequence[Group], summary: Summary) -> Figure:
    """A row of panels per group where the managers fit into one. One scale per group."""
    shown = [(group, manager) for group in groups for manager in _managers(group)]
    # Groups begin a row each if all have the same number of managers.
    counts = {len(_managers(group)) for group in groups}
    in_rows = len(counts) == 1 and max(counts) <= _MAX_COLUMNS
    most_columns = max(counts) if in_rows else style.MOST_COLUMNS
    tops = {group.title: max(map(_height, group.rows)) * 1.05 for group in groups}

    def draw(panel: Axes, part: tuple[Group, str]) -> None:
        _panel(panel, _rows(*part))
        panel.set_ylim(0, tops[part[0].title] or 1.0)

    sheet = Sheet.of(shown, draw, lambda part: finding(*part), most_columns)
    sheet.label_left(Measure.CPU_TOTAL.noun)
    legend = [Patch(color=color, label=label) for _, label, color in PARTS]
    return sheet.framed(legend, footer(summary))


def finding(group: Group, manager: str) -> str:
    """As ``short, sync: 24.7 us at N = 1, 40.1 us at N = 64``, manager and child together. It names
    the parts that are not known, since those have no layer."""
    rows = _rows(group, manager)
    parts = [
        f"{units.seconds(total.median)} at N = {row.case.clients}"
        for row in (rows if len(rows) == 1 else (rows[0], rows[-1]))
        if (total := Measure.CPU_TOTAL.of(row)) is not None
    ]
    unknown = [label for measure, label, _ in PARTS if all(measure.of(r) is None for r in rows)]
    if unknown:
        parts.append(f"not known: {'; '.join(unknown)}")
    return f"{group.title}, {manager}: {', '.join(parts)}"


def _managers(group: Group) -> list[str]:
    return [manager for manager in group.managers if _rows(group, manager)]


def _rows(group: Group, manager: str) -> list[CaseRow]:
    """The rows that have a part of their CPU, N ascending."""
    return [
        row
        for row in group.rows
        if row.case.manager == manager and any(measure.of(row) for measure, _, _ in PARTS)
    ]


def _panel(panel: Axes, rows: Sequence[CaseRow]) -> None:
    places = range(len(rows))
    feet = [0.0] * len(rows)
    of_rows = [layers(row) for row in rows]
    for measure, label, color in PARTS:
        heights = [of_row.get(measure, 0.0) for of_row in of_rows]
        panel.bar(places, heights, 0.8, feet, color=color, label=label)
        feet = [foot + height for foot, height in zip(feet, heights, strict=True)]
    figures.describe(panel, [(place, feet[place], _description(rows[place])) for place in places])
    panel.xaxis.set_major_locator(FixedLocator(list(places)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda x, _: str(rows[round(x)].case.clients)))
    panel.xaxis.grid(False)
    panel.set_xlabel("N, concurrent clients")
    panel.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    panel.yaxis.set_major_formatter(FuncFormatter(style.Y_FORMATS[Measure.CPU_TOTAL]))


def _description(row: CaseRow) -> str:
    """As ``N = 8: 60.0 us; manager, user 20.0 us; ...``."""
    known = layers(row)
    parts = "; ".join(
        f"{label} {units.seconds(known[measure])}"
        for measure, label, _ in PARTS
        if measure in known
    )
    return f"N = {row.case.clients}: {units.seconds(_height(row))}; {parts}"


def layers(row: CaseRow) -> dict[Measure, float]:
    """The height of each part that is known, in seconds."""
    by_round = {
        measure: dict(estimate.by_round)
        for measure, _, _ in PARTS
        if (estimate := measure.of(row)) is not None
    }
    rounds = set.intersection(*map(set, by_round.values())) if by_round else set()
    if not rounds:
        return {}
    totals = {number: sum(part[number] for part in by_round.values()) for number in rounds}
    known = Measure.CPU_TOTAL.of(row) if len(by_round) == len(PARTS) else None
    total = statistics.median(totals.values()) if known is None else known.median
    return {
        measure: total * statistics.fmean(_share(part[n], totals[n]) for n in sorted(rounds))
        for measure, part in by_round.items()
    }


def _share(part: float, total: float) -> float:
    return part / total if total else 0.0


def _height(row: CaseRow) -> float:
    return sum(layers(row).values())
