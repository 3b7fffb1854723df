"""What the pictures of one result show: ratio, knee and CPU, on machines whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bench.cases.case import Case
from bench.results.record import RunRecord, Usage
from bench.show.pictures import style
from bench.show.pictures.cpu_parts import PARTS, cpu_figure, finding, has_cpu
from bench.show.pictures.knee import has_knee_curves, knee_figure
from bench.show.pictures.ratio import finding as ratio_finding
from bench.show.pictures.ratio import has_ratio_curves, ratio_figure, ratios
from bench.statistics.knee import knees
from tests.support.drawn import xs, ys
from tests.support.synthetic import USAGE, steady_record, summary_of

N = (1, 2, 4, 8)
LATENCY_US = {"sync": (50, 100, 200, 400), "async": (100, 110, 120, 130)}
"""Async is half as fast at N = 1, 0.91 of sync at 2, and ahead from 4 on."""


def made(rounds: int, clients: tuple[int, ...] = N) -> list[RunRecord]:
    """What disturbs a round disturbs both managers alike."""
    return [
        steady_record(Case(manager, "short", n), number, latency_ns=us * 1000 * (1 + number))
        for number in range(rounds)
        for manager, of_manager in LATENCY_US.items()
        for n, us in zip(N, of_manager, strict=True)
        if n in clients
    ]


def lines(panel: Axes, manager: str) -> list[Line2D]:
    return [one for one in panel.get_lines() if one.get_color() == style.look(manager).color]


# --- Ratio ----------------------------------------------------------------------------------------


def test_ratio_and_crossover(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, made(4))
    (panel,) = ratio_figure(summary.groups(), summary).axes
    assert panel.get_title(loc="left") == "short: faster than sync: async from N = 4 on"
    curve, interval, mark = lines(panel, "async")
    assert xs(curve) == list(N)
    truth = [s / a for s, a in zip(*LATENCY_US.values(), strict=True)]
    assert np.allclose(ys(curve), truth, rtol=1e-3)
    assert xs(interval) == [4, 4]
    assert xs(mark) == [4]
    assert len(panel.collections) == 1  # the band


def test_a_crossover_that_is_unsure_has_its_interval(tmp_path: Path) -> None:
    records = made(4)
    # In one round async is ahead at every N, in another at none.
    for index, record in enumerate(records):
        if record.case.manager == "async" and record.round in (0, 1):
            latency_ns = 20_000 if record.round else 900_000
            records[index] = steady_record(record.case, record.round, latency_ns=latency_ns)
    summary = summary_of(tmp_path, records)
    (panel,) = ratio_figure(summary.groups(), summary).axes
    assert panel.get_title(loc="left").endswith(f"(1 to >{N[-1]})")
    interval = lines(panel, "async")[1]
    assert xs(interval) == [1, panel.get_xlim()[1]]


def test_a_single_round_has_no_interval(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, made(1))
    (panel,) = ratio_figure(summary.groups(), summary).axes
    assert panel.get_title(loc="left") == "short: faster than sync: async from N = 4 on (?)"
    curve, mark = lines(panel, "async")
    assert len(xs(curve)) == len(N)
    assert xs(mark) == [4]
    assert not panel.collections


def test_a_single_n_has_a_ratio_and_neither_curve_nor_crossover(tmp_path: Path) -> None:
    (group,) = summary_of(tmp_path, made(3, (1,))).groups()
    assert [(n, round(ratio.ratio, 3)) for n, ratio in ratios(group)["async"]] == [(1, 0.5)]
    assert not has_ratio_curves(group)
    assert not has_knee_curves(group)
    assert ratio_finding(group) == "short: sync is 2.0x ahead of async at N = 1"


def test_never_ahead_to_the_end(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, made(3, (1, 2)))
    (panel,) = ratio_figure(summary.groups(), summary).axes
    assert panel.get_title(loc="left") == "short: faster than sync: async not at N = 2"
    assert len(lines(panel, "async")) == 1


def test_a_peer_has_a_ratio_and_a_yardstick_none(tmp_path: Path) -> None:
    records = [
        steady_record(Case(manager, "short", 1))
        for manager in ("sync", "floor", "noop-sync", "peer:async")
    ]
    (group,) = summary_of(tmp_path, records).groups()
    assert list(ratios(group)) == ["peer:async"]


# --- Knee -----------------------------------------------------------------------------------------


def test_knee(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, made(3))
    (group,) = summary.groups()
    (panel,) = knee_figure([group], summary).axes
    curve, *rings = lines(panel, "async")
    turns_s = np.array(LATENCY_US["async"]) * 2e-6  # the median of once, twice and three times
    assert np.allclose(xs(curve), N / turns_s)
    assert np.allclose(ys(curve), turns_s)
    assert {one.manager: one.clients for one in knees(group)} == {"sync": 1, "async": None}
    assert not rings
    # The ring has the colour of its edge alone.
    (ring,) = (one for one in panel.get_lines() if one.get_markerfacecolor() == "none")
    assert ring.get_markeredgecolor() == style.look("sync").color
    assert sorted(text.get_text() for text in panel.texts) == sorted([*map(str, N), *map(str, N)])
    assert panel.get_title(loc="left").replace("\n", " ").endswith("knee: sync <=1, async >=8")


def test_where_points_are_crowded_the_knee_and_the_ends_have_their_n(tmp_path: Path) -> None:
    # Up to 64 clients throughput grows, beyond it latency alone.
    crowd = (1, *range(62, 67), 128)
    records = [
        steady_record(Case("sync", "short", n), number, latency_ns=1_000 * max(n, 64))
        for n in crowd
        for number in range(3)
    ]
    summary = summary_of(tmp_path, records)
    (panel,) = knee_figure(summary.groups(), summary).axes
    assert [one.clients for one in knees(summary.groups()[0])] == [64]
    assert {text.get_text() for text in panel.texts} == {"1", "64", "128"}


# --- CPU ------------------------------------------------------------------------------------------


def test_cpu_is_stacked_by_process_and_mode(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, made(3))
    panels = cpu_figure(summary.groups(), summary).axes
    assert len(panels) == 2
    assert panels[0].get_ylim() == panels[1].get_ylim()
    row = summary.groups()[0].row("sync", 2)
    assert row is not None
    parts = (
        row.cpu_manager_user_s,
        row.cpu_manager_system_s,
        row.cpu_child_user_s,
        row.cpu_child_system_s,
    )
    foot = 0.0
    for part, bars in zip(parts, panels[0].containers, strict=True):
        assert part is not None
        bar = bars[1]
        assert bar.get_height() == pytest.approx(part.median)
        assert bar.get_y() == pytest.approx(foot)
        foot += part.median
    assert panels[0].get_title(loc="left").startswith("short, sync: ")


def test_the_parts_of_a_bar_sum_to_the_total_of_tables_and_titles(tmp_path: Path) -> None:
    """Their medians would not: each round has its CPU in other parts."""
    cpu = ((30, 10, 10, 5), (10, 30, 5, 20), (5, 5, 40, 35))
    records = []
    for number, (user, system, child_user, child_system) in enumerate(cpu):
        usage = replace(
            USAGE,
            manager_cpu_s=(user + system) / 1e3,
            manager_user_s=user / 1e3,
            manager_system_s=system / 1e3,
            child_cpu_s=(child_user + child_system) / 1e3,
            child_user_s=child_user / 1e3,
            child_system_s=child_system / 1e3,
        )
        records.append(replace(steady_record(Case("sync", "short", 1), number), usage=usage))
    summary = summary_of(tmp_path, records)
    (row,) = summary.rows
    assert row.cpu_total_s is not None
    (panel,) = cpu_figure(summary.groups(), summary).axes
    heights = [bars[0].get_height() for bars in panel.containers]
    assert sum(heights) == pytest.approx(row.cpu_total_s.median)
    medians = [part.median for measure, _, _ in PARTS if (part := measure.of(row))]
    assert sum(medians) != pytest.approx(row.cpu_total_s.median)
    assert all(heights)


def test_parts_that_are_not_known_are_not_drawn(tmp_path: Path) -> None:
    unknown = replace(USAGE, child_cpu_s=None, child_user_s=None, child_system_s=None)
    records = [
        replace(steady_record(Case("sync", "short", 1)), usage=unknown),
        replace(steady_record(Case("async", "short", 1)), usage=Usage()),
    ]
    summary = summary_of(tmp_path, records)
    (group,) = summary.groups()
    assert has_cpu(group)
    (panel,) = cpu_figure([group], summary).axes
    heights = [bars[0].get_height() for bars in panel.containers]
    assert finding(group, "sync") == "short, sync: not known: child, user; child, system"
    assert heights == [pytest.approx(0.010 / 40), pytest.approx(0.020 / 40), 0.0, 0.0]
    assert not has_cpu(summary_of(tmp_path, records[1:]).groups()[0])
