"""The life of children: cold starts, relaunches, reaping, and storms of launches.

Shows every case whose scenario is not a redo after another. What the storms say is in ``storms``;
the figure is drawn in ``view_lifecycle_figure``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

from matplotlib.figure import Figure
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bench.cases.case import Case
from bench.cases.notations import (
    REAP,
    REDO,
    STORM,
    STORM_BACK_OFF,
    STORM_BACKGROUND,
    STORM_WAIT,
    UNREAPED_MOST,
)
from bench.experiments.lifecycle.figure import PICTURE, episodes, figure, finding
from bench.experiments.lifecycle.storms import UNREAPED, Storms, launches_per_s, storms
from bench.results.summary import CaseRow, Estimate, Summary
from bench.show import columns, fields

WAYS: Final = {
    STORM_BACK_OFF: "back-off as built",
    STORM: "no back-off",
    STORM_WAIT: "no manager, waits",
    STORM_BACKGROUND: "no manager, background",
}

_LAUNCH_S: Final = "redo_lifecycle_launch"
_RSS: Final = "redo_lifecycle_child_rss"
_PSS: Final = "redo_lifecycle_child_pss"

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


def _episodes_table(rows: Sequence[CaseRow]) -> Table:
    shown: list[fields.Field[CaseRow]] = [
        fields.clients(lambda row: row.case.clients),
        fields.words("manager", _manager_or_dash),
        fields.measure("mean", lambda row: row.time_per_redo_s),
        fields.spread(lambda row: row.time_per_redo_s),
        fields.measure("p50", lambda row: row.latency_p50_s),
        fields.measure("p99", lambda row: row.latency_p99_s),
        fields.measure("max", lambda row: row.latency_max_s),
        _LAUNCH,
        fields.measure("RSS", lambda row: row.further.get(_RSS), columns.mebibytes(2)),
        fields.measure("PSS", lambda row: row.further.get(_PSS), columns.mebibytes(2)),
    ]
    return fields.field_table(rows, shown)


def _storms_table(one: Storms) -> Table:
    shown: list[fields.Field[CaseRow]] = [
        fields.words("launches", lambda row: WAYS[row.case.scenario], is_group=True),
        fields.words("manager", _manager_or_dash),
        fields.measure("per s", launches_per_s, columns.rates),
        fields.spread(launches_per_s),
        _LAUNCH,
        fields.numbers("unreaped", _unreaped, columns.plain(0)),
        fields.ratio("/waiting", one.to_waiting),
    ]
    return fields.field_table(one.rows, shown)


_LAUNCH: Final[fields.Field[CaseRow]] = fields.measure(
    "launch", lambda row: row.further.get(_LAUNCH_S)
)


def _manager_or_dash(row: CaseRow) -> str:
    return columns.ABSENT if row.case.scenario == REAP else _manager(row) or columns.ABSENT


def _unreaped(row: CaseRow) -> float | None:
    peak = row.further.get(UNREAPED)
    return None if peak is None else _greatest(peak)


def _manager(row: CaseRow) -> str | None:
    """None where it is only the name under which children without a manager were measured."""
    return None if row.case.scenario in (STORM_WAIT, STORM_BACKGROUND) else row.case.manager


def _greatest(estimate: Estimate) -> float:
    return max(value for _, value in estimate.by_round)


def _episode_data(row: CaseRow) -> dict[str, Any]:
    return {
        "name": row.case.name,
        "mean_s": _estimate(row.time_per_redo_s),
        "p50_s": _estimate(row.latency_p50_s),
        "p99_s": _estimate(row.latency_p99_s),
        "max_s": _estimate(row.latency_max_s),
        "launch_s": _estimate(row.further.get(_LAUNCH_S)),
        "child_rss_bytes": _estimate(row.further.get(_RSS)),
        "child_pss_bytes": _estimate(row.further.get(_PSS)),
    }


def _storm_data(one: Storms, row: CaseRow) -> dict[str, Any]:
    effect = one.to_waiting(row)
    return {
        "name": row.case.name,
        "manager": _manager(row),
        "launches_per_s": _estimate(launches_per_s(row)),
        "unreaped_peak": _unreaped(row),
        "launches_to_waiting": None if effect is None else asdict(effect),
    }


def _estimate(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else asdict(estimate)
