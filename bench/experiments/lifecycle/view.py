"""The life of children: cold starts, relaunches, reaping, and storms of launches.

Shows every case whose scenario is not a redo after another. What they show is computed in
`findings`; the figure is drawn in `figure`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from rich.console import RenderableType
from rich.text import Text

from bench.cases import notations
from bench.cases.case import Case
from bench.experiments.lifecycle import findings
from bench.results.measures.lifecycle import CHILD_PSS, CHILD_RSS, UNREAPED_PEAK
from bench.results.summary import CaseRow, Estimate, Summary
from bench.show import columns, fields
from bench.show.families import differing, further
from bench.show.fields import field_data, field_table, in_full
from bench.show.findings import Measure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NAMES: Final = {
    notations.STORM_BACK_OFF: "back-off as built",
    notations.STORM: "no back-off",
    notations.STORM_WAIT: "no manager, waits",
    notations.STORM_BACKGROUND: "no manager, background",
}

_LEGEND: Final = (
    "Medians over the runs. cold-start: from the moment at which all N clients of a new manager may"
    " call to each one's first page; relaunch: from the kill of the idle child to each one's page."
    " mean: of these samples, with +-, its spread over the runs. launch: starting the child alone,"
    " until it is executed. reap: kill and exit status of a child that has answered and touched the"
    " memory that it reads into. RSS, PSS: memory of an idle child. In storms each child fails at"
    " its start; per s: launches in a second, with +-, their spread; unreaped: the most children at"
    f" once that were launched and not reaped (at most {notations.UNREAPED_MOST} are let be), -"
    " where a manager does the reaping, which waits; /waiting: launches to those without a manager"
    " that wait, the geometric mean over the rounds."
)


class LifecycleView:
    """`View` of every case with another scenario than redoing."""

    name = "lifecycle"
    pictures: tuple[str, ...] = ("lifecycle",)

    def covered(self, cases: Collection[Case]) -> frozenset[Case]:
        return differing(cases, "scenario")

    def tables(self, summary: Summary) -> Iterable[RenderableType]:
        for group in findings.episodes(summary):
            yield Text(findings.finding(group), style="bold")
            yield field_table(group.rows, _EPISODES)
        for found in findings.storms(summary):
            yield Text(f"{found.title}: {found.verdict}", style="bold")
            yield field_table(found.rows, _storm_fields(found))
        yield Text(_LEGEND, style="dim")

    def data(self, summary: Summary) -> Any:
        """Times in seconds, memory in bytes."""
        return {
            "episodes": [
                {"finding": findings.finding(group), "cases": field_data(group.rows, _EPISODES)}
                for group in findings.episodes(summary)
            ],
            "storms": [
                {
                    "group": found.title,
                    "verdict": found.verdict,
                    "cases": field_data(found.rows, _storm_fields(found)),
                }
                for found in findings.storms(summary)
            ],
        }

    def figure(self, picture: str, summary: Summary) -> Figure:
        from bench.experiments.lifecycle.figure import figure

        assert picture in self.pictures
        return figure(summary)


def _manager(row: CaseRow) -> str | None:
    """None for children without a manager, which are measured under a manager's name."""
    without = (notations.STORM_WAIT, notations.STORM_BACKGROUND)
    return None if row.case.scenario in without else row.case.manager


def _manager_or_dash(row: CaseRow) -> str:
    is_shown = row.case.scenario != notations.REAP
    return (_manager(row) if is_shown else None) or columns.ABSENT


def _unreaped(row: CaseRow) -> float | None:
    peak = row.further.get(UNREAPED_PEAK)
    return None if peak is None else max(value for _, value in peak.by_round)


def _p50(row: CaseRow) -> Estimate | None:
    return Measure.LATENCY.of(row)


_measure: Final = partial(fields.measure, data=in_full)
_percentile: Final = partial(fields.percentile, beside=_p50, data=in_full)

_EPISODES: Final[list[fields.Field[CaseRow]]] = [
    fields.only_data("name", lambda row: row.case.name),
    fields.clients(lambda row: row.case.clients),
    fields.words("manager", _manager_or_dash),
    _measure("mean", Measure.TIME_PER_REDO.of, key="mean_s"),
    fields.spread(Measure.TIME_PER_REDO.of),
    _measure("p50", _p50, key="p50_s"),
    _percentile("p99", Measure.LATENCY_P99.of, key="p99_s"),
    _percentile("max", lambda row: row.latency_max_s, key="max_s"),
    _measure("launch", findings.launch, key="launch_s"),
    _measure("RSS", further(CHILD_RSS), columns.mebibytes(2), key="child_rss_bytes"),
    _measure("PSS", further(CHILD_PSS), columns.mebibytes(2), key="child_pss_bytes"),
]


def _storm_fields(found: findings.Storms) -> list[fields.Field[CaseRow]]:
    return [
        fields.only_data("name", lambda row: row.case.name),
        fields.words("launches", lambda row: _NAMES[row.case.scenario], is_group=True),
        fields.words("manager", _manager_or_dash),
        fields.only_data("manager", _manager),
        _measure("per s", findings.launches_per_s, columns.rates, key="launches_per_s"),
        fields.spread(findings.launches_per_s),
        fields.measure("launch", findings.launch),
        fields.numbers("unreaped", _unreaped, columns.plain(0), key="unreaped_peak"),
        fields.ratio("/waiting", found.to_waiting, key="launches_to_waiting", data=in_full),
    ]
