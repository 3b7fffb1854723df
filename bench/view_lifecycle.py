"""The life of children: cold starts, relaunches, reaping, and storms of launches.

Shows every case whose scenario is not a redo after another. What the storms say is in ``storms``;
the figure is drawn in ``view_lifecycle_figure``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict
from typing import Any, Final

from matplotlib.figure import Figure
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bench import units
from bench.bare_children import UNREAPED_MOST
from bench.cases import Case
from bench.layout import bare_table
from bench.stats import CaseRow, Estimate, Summary
from bench.storms import UNREAPED, Storms, launches_per_s, storms
from bench.surroundings import (
    REAP,
    REDO,
    STORM,
    STORM_BACK_OFF,
    STORM_BACKGROUND,
    STORM_WAIT,
)
from bench.view_lifecycle_figure import PICTURE, episodes, figure, finding
from bench.view_parts import ABSENT, cell, factor, short_seconds

WAYS: Final = {
    STORM_BACK_OFF: "back-off as built",
    STORM: "no back-off",
    STORM_WAIT: "no manager, waits",
    STORM_BACKGROUND: "no manager, background",
}

_MIB: Final = 1 << 20

_LEGEND: Final = (
    "Medians over the runs. cold-start: from the moment at which all N clients of a new manager may"
    " call to each one's first page; relaunch: from the kill of the idle child to each one's page."
    " mean: of these samples, with +-, its spread over the runs. launch: starting the child alone,"
    " until it is executed. reap: kill and exit status of a child that has answered and touched the"
    " memory that it reads into. RSS, PSS: memory of an idle child. In storms each child fails at"
    " its start; per s: launches in a second, with +-, their spread; unreaped: the most children at"
    f" once that were launched and not reaped (at most {UNREAPED_MOST} are let be), - where a"
    " manager does the reaping, which waits; /waiting: launches to those without a manager that"
    " wait, the geometric mean over the rounds."
)


class LifecycleView:
    """See the module."""

    name = "lifecycle"
    pictures: tuple[str, ...] = (PICTURE,)

    def covered(self, cases: Collection[Case]) -> frozenset[Case]:
        return frozenset(case for case in cases if case.scenario != REDO)

    def tables(self, summary: Summary) -> Iterable[RenderableType]:
        for group in episodes(summary):
            yield Text(finding(group), style="bold")
            yield _episodes_table(group.rows)
        for one in storms(summary):
            yield Text(f"{one.title}: {one.verdict}", style="bold")
            yield _storms_table(one)
        yield Text(_LEGEND, style="dim")

    def data(self, summary: Summary) -> Any:
        """Times in seconds, memory in bytes."""
        return {
            "episodes": [
                {"finding": finding(group), "cases": [_episode_data(row) for row in group.rows]}
                for group in episodes(summary)
            ],
            "storms": [
                {
                    "group": one.title,
                    "verdict": one.verdict,
                    "cases": [_storm_data(one, row) for row in one.rows],
                }
                for one in storms(summary)
            ],
        }

    def figure(self, picture: str, summary: Summary) -> Figure:
        assert picture == PICTURE
        return figure(summary)


def _episodes_table(rows: Iterable[CaseRow]) -> Table:
    table = bare_table()
    table.add_column("N", justify="right", min_width=3, no_wrap=True)
    table.add_column("manager", overflow="fold")
    for heading in ("mean", "+-", "p50", "p99", "max", "launch", "RSS", "PSS"):
        table.add_column(heading, justify="right", no_wrap=True)
    before = None
    for row in rows:
        clients, mean = row.case.clients, row.time_per_redo_s
        table.add_row(
            "" if clients == before else str(clients),
            ABSENT if row.case.scenario == REAP else row.case.manager,
            cell(mean, short_seconds),
            _spread(mean),
            *(
                cell(one, short_seconds)
                for one in (row.latency_p50_s, row.latency_p99_s, row.latency_max_s)
            ),
            cell(row.further.get("redo_lifecycle_launch"), short_seconds),
            _mebibytes(row.further.get("redo_lifecycle_child_rss")),
            _mebibytes(row.further.get("redo_lifecycle_child_pss")),
        )
        before = clients
    return table


def _storms_table(one: Storms) -> Table:
    table = bare_table()
    table.add_column("launches", overflow="fold")
    table.add_column("manager", overflow="fold")
    for heading in ("per s", "+-", "launch", "unreaped", "/waiting"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in one.rows:
        peak = row.further.get(UNREAPED)
        table.add_row(
            WAYS[row.case.scenario],
            _manager(row) or ABSENT,
            units.short_rate(launches_per_s(row).median),
            _spread(launches_per_s(row)),
            cell(row.further.get("redo_lifecycle_launch"), short_seconds),
            ABSENT if peak is None else f"{_greatest(peak):g}",
            factor(one.to_waiting(row)),
        )
    return table


def _manager(row: CaseRow) -> str | None:
    """None where it is only the name under which children without a manager were measured."""
    return None if row.case.scenario in (STORM_WAIT, STORM_BACKGROUND) else row.case.manager


def _greatest(estimate: Estimate) -> float:
    return max(value for _, value in estimate.by_round)


def _spread(estimate: Estimate | None) -> str:
    spread = None if estimate is None else estimate.spread
    return ABSENT if spread is None else f"{spread:.0%}"


def _mebibytes(estimate: Estimate | None) -> str:
    return ABSENT if estimate is None else f"{estimate.median / _MIB:.2f}Mi"


def _episode_data(row: CaseRow) -> dict[str, Any]:
    return {
        "name": row.case.name,
        "mean_s": _estimate(row.time_per_redo_s),
        "p50_s": _estimate(row.latency_p50_s),
        "p99_s": _estimate(row.latency_p99_s),
        "max_s": _estimate(row.latency_max_s),
        "launch_s": _estimate(row.further.get("redo_lifecycle_launch")),
        "child_rss_bytes": _estimate(row.further.get("redo_lifecycle_child_rss")),
        "child_pss_bytes": _estimate(row.further.get("redo_lifecycle_child_pss")),
    }


def _storm_data(one: Storms, row: CaseRow) -> dict[str, Any]:
    effect, peak = one.to_waiting(row), row.further.get(UNREAPED)
    return {
        "name": row.case.name,
        "manager": _manager(row),
        "launches_per_s": _estimate(launches_per_s(row)),
        "unreaped_peak": None if peak is None else _greatest(peak),
        "launches_to_waiting": None if effect is None else asdict(effect),
    }


def _estimate(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else asdict(estimate)
