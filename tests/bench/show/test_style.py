"""How lines look: no two of a figure alike, and legends that have the room they need."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from bench.cases.case import Case
from bench.cases.managers.registry import MANAGERS
from bench.show.findings import Measure
from bench.show.pictures import figures, style
from bench.show.pictures.clients import clients_figure
from bench.show.pictures.sheet import fit_legend
from tests.support.synthetic import steady_record, summary_of

OWN = [f"mine{number}.managers:make" for number in range(12)]


@pytest.mark.parametrize("suites", [[], ["sync"], ["sync", "async", "async-uvloop", "floor"]])
@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_managers_of_ones_own_never_collide(suites: list[str], count: int) -> None:
    looks = style.looks([*suites, *OWN[:count]])
    markers = [look.marker for look in looks.values()]
    assert len(set(markers)) == len(markers)
    for (_, one), (name, other) in combinations(looks.items(), 2):
        assert (one.color, one.linestyle) != (other.color, other.linestyle), name
    colors = [looks[name].color for name in OWN[:count]]
    free = 6 - sum(name != "floor" for name in suites)
    assert len(set(colors[:free])) == min(count, free)


def test_the_suites_managers_look_alike_in_every_figure() -> None:
    alone = {name: style.look(name) for name in MANAGERS}
    assert dict(style.looks(MANAGERS)) == alone
    beside = style.looks([*OWN, "peer:word", *MANAGERS])
    assert {name: beside[name] for name in MANAGERS} == alone


def test_a_p99_differs_from_its_p50_and_from_other_p99s_without_colour() -> None:
    for one, other in combinations((style.look("sync"), style.look("async")), 2):
        assert one.tail.linestyle != one.linestyle
        assert one.tail.marker != other.tail.marker
    (entry,) = (e for e in figures.percentile_entries() if e.get_label() == "p99")
    assert entry.get_markerfacecolor() == "none"


@pytest.mark.parametrize("count", [1, 4, 9])
def test_a_legend_never_runs_off_the_figure(count: int, tmp_path: Path) -> None:
    names = [f"some_package.with_a_long_name:factory_{number}" for number in range(count)]
    records = [
        steady_record(Case(name, "short", n), number)
        for name in names
        for n in (1, 2)
        for number in range(2)
    ]
    summary = summary_of(tmp_path, records)
    with mpl.rc_context(style.RC):
        figure = clients_figure(summary.groups(), summary, Measure.LATENCY, tail=True)
        figure.draw_without_rendering()
    (legend,) = figure.legends
    box, panel = legend.get_window_extent(), figure.axes[0].get_tightbbox()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width
    assert box.y1 <= figure.bbox.height
    assert panel is not None
    assert panel.y1 <= box.y0 + 1  # and it lies above the panels
    assert len(legend.get_texts()) == count + 3


def test_a_name_that_is_wider_than_the_figure_is_written_smaller() -> None:
    figure = Figure(figsize=(3, 2))
    entries = [figures.legend_entry("m" * 80, style.PLAIN)]
    assert fit_legend(figure, entries).get_window_extent().width <= figure.bbox.width


def test_lines_of_one_figure_have_the_colours_of_its_legend(tmp_path: Path) -> None:
    names = ["sync", *OWN[:3]]
    records = [steady_record(Case(name, "short", n)) for name in names for n in (1, 2)]
    summary = summary_of(tmp_path, records)
    figure = clients_figure(summary.groups(), summary, Measure.THROUGHPUT)
    looks = style.looks(summary.managers)
    drawn = figure.axes[0].get_lines()
    for name in names:
        assert any(same_color(line.get_color(), looks[name].color) for line in drawn)
