"""What cold starts, relaunches, reaps and storms of launches show, computed from a summary's rows.

A storm is many launches of children that all fail: what limits them, the reaping or the back-off?
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bench.cases import notations
from bench.results.measures.lifecycle import LAUNCH, LAUNCHES_PER_S
from bench.results.summary import CaseRow, Group, Summary
from bench.show import units
from bench.show.families import alike, further, to_base
from bench.show.findings import Measure, title
from bench.statistics.effects import Effect, side

launch = further(LAUNCH)
launches_per_s = further(LAUNCHES_PER_S)


def episodes(summary: Summary) -> list[Group]:
    """The groups of cold starts, relaunches and reaps that have a result, in that order."""
    return [
        group
        for scenario in (notations.COLD_START, notations.RELAUNCH, notations.REAP)
        for group in summary.groups()
        if dict(group.extra).get("scenario") == scenario
        and any(row.latency_p50_s is not None for row in group.rows)
    ]


def finding(group: Group) -> str:
    """What a group of `episodes` shows, as ``cold-start, short: async has ...``."""
    extra = dict(group.extra)
    scenario = str(extra.pop("scenario"))
    name = ", ".join((scenario, *(f"{key}={value}" for key, value in extra.items())))
    if scenario != notations.REAP:
        return title(
            replace(group, workload=f"{name}, {group.workload}", extra=()), Measure.LATENCY
        )
    row = group.rows[0]
    assert row.latency_p50_s is not None
    reap = f"a kill and its exit status take {units.seconds(row.latency_p50_s.median)}"
    started = launch(row)
    return f"{name}: {reap}{f', a launch {units.seconds(started.median)}' if started else ''}"


@dataclass(frozen=True, slots=True)
class Storms:
    """The storms that differ in the manager and the scenario only, the slowest scenario first."""

    extra: tuple[tuple[str, str | int], ...]
    rows: tuple[CaseRow, ...]

    @property
    def title(self) -> str:
        """As ``storms`` or ``storms, child=python``."""
        return ", ".join(("storms", *(f"{key}={value}" for key, value in self.extra)))

    def to_waiting(self, row: CaseRow | None) -> Effect | None:
        """The ratio of launches per second to those that wait for each reaping, by rounds."""
        waiting = self._first(notations.STORM_WAIT)
        return None if row is None else to_base(row, waiting, launches_per_s)

    @property
    def verdict(self) -> str:
        """One sentence, without what is not known."""
        parts = filter(None, (self._of_waiting(), self._of_back_off()))
        return "; ".join(parts) or "nothing to compare: measure the storms beside each other"

    @property
    def headline(self) -> str:
        """The verdict in a few words."""
        effect = self.to_waiting(self._first(notations.STORM_BACKGROUND))
        if effect is None or effect.low is None:
            return "launches of children that fail"
        if side(effect) == 0:
            return "reaping in the background has no significant effect on launches"
        more = "more" if side(effect) > 0 else "fewer"
        return f"reaping in the background allows {abs(effect.ratio - 1):.0%} {more} launches"

    def _of_waiting(self) -> str:
        effect = self.to_waiting(self._first(notations.STORM_BACKGROUND))
        if effect is None:
            return ""
        change = effect.ratio - 1
        if effect.low is None or effect.high is None:
            return (
                f"reaping in the background changes launches by {change:+.0%} (one round, so no"
                " 95 % CI)"
            )
        text = {
            1: "waiting for a child to be reaped does limit launches: reaping in the background"
            f" allows {abs(change):.0%} more",
            -1: "waiting for a child to be reaped does not limit launches: reaping in the"
            f" background allows {abs(change):.0%} fewer",
            0: "waiting for a child to be reaped has no significant effect on launches: reaping in"
            f" the background changes them by {change:+.0%}",
        }[side(effect)]
        return f"{text} (95 % CI {effect.low - 1:+.0%} to {effect.high - 1:+.0%})"

    def _of_back_off(self) -> str:
        without = self._first(notations.STORM)
        held = without and self._first(notations.STORM_BACK_OFF, without.case.manager)
        if without is None or held is None:
            return ""
        before, after = (units.rate(row.further[LAUNCHES_PER_S].median) for row in (without, held))
        return f"the back-off of {without.case.manager} lets {after} through in place of {before}"

    def _first(self, scenario: str, manager: str | None = None) -> CaseRow | None:
        found = (row for row in self.rows if row.case.scenario == scenario)
        return next((row for row in found if manager in (None, row.case.manager)), None)


def storms(summary: Summary) -> Iterator[Storms]:
    """All storms that have a result, by their further dimensions."""
    order = notations.STORMS
    rows = (
        row
        for group in summary.groups()
        for row in group.rows
        if row.case.scenario in order and LAUNCHES_PER_S in row.further
    )
    for common, found in alike(rows, "manager", "workload", "clients", "scenario").items():
        ordered = sorted(found, key=lambda row: order.index(row.case.scenario))
        yield Storms(tuple(common.extra.items()), tuple(ordered))
