"""Cold starts, relaunches and reaps: which groups are shown, and the sentence about each."""

from __future__ import annotations

from dataclasses import replace

from bench.cases.notations import COLD_START, REAP, RELAUNCH
from bench.results.measures.lifecycle import LAUNCH
from bench.results.summary import Group, Summary
from bench.show import units
from bench.show.findings import Measure, title


def episodes(summary: Summary) -> list[Group]:
    """The groups of cold starts, relaunches and reaps that have a result, in that order."""
    order = (COLD_START, RELAUNCH, REAP)
    found = [
        group
        for group in summary.groups()
        if dict(group.extra).get("scenario") in order
        and any(row.latency_p50_s is not None for row in group.rows)
    ]
    return sorted(found, key=lambda group: order.index(str(dict(group.extra)["scenario"])))


def finding(group: Group) -> str:
    """What a group of `episodes` shows, as ``cold-start, short: async has ...``."""
    extra = dict(group.extra)
    scenario = str(extra.pop("scenario"))
    names = (scenario, *(f"{key}={value}" for key, value in extra.items()))
    if scenario == REAP:
        return f"{', '.join(names)}: {_of_reaping(group)}"
    called = replace(group, workload=", ".join((*names, group.workload)), extra=())
    return title(called, Measure.LATENCY)


def _of_reaping(group: Group) -> str:
    row = group.rows[0]
    assert row.latency_p50_s is not None
    launch = row.further.get(LAUNCH)
    reap = f"a kill and its exit status take {units.seconds(row.latency_p50_s.median)}"
    return reap if launch is None else f"{reap}, a launch {units.seconds(launch.median)}"
