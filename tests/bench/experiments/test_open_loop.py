"""Open and closed loop side by side: the factors, the tables, the data and the figure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.cases.case import Case
from bench.experiments.open_loop.view import OpenView, panels
from bench.experiments.registry import VIEWS
from bench.results.record import FailedRun, RunRecord
from bench.results.summary import Summary, load_summary
from bench.show.pictures.choice import check_free, draw
from bench.show.summary import as_data
from tests.support.open_runs import open_record
from tests.support.printed import shown
from tests.support.synthetic import reading, steady_record, summary_of

SYNC, ASYNC = Case("sync", "short", 4), Case("async", "short", 4)


def loaded(manager: str, load: str) -> Case:
    return Case(manager, "short", 4, load=load)


def records() -> list[RunRecord]:
    """sync: closed 100 us; 200 us, 400 us and 5 ms at 50, 80 and 120 %. async: half of that."""
    made = []
    for number in (1, 2, 3):
        for manager, share in (("sync", 1.0), ("async", 0.5)):
            closed_ns = round(100_000 * share)
            made.append(steady_record(Case(manager, "short", 4), number, latency_ns=closed_ns))
            for load, ns, over in (
                ("open:120%", 5_000_000, (1, 1)),
                ("open:50%", 200_000, (0, 0)),
                ("open:80%", 400_000, (0, number == 2)),
            ):
                case = loaded(manager, load)
                made.append(
                    open_record(
                        case, number, latency_ns=round(ns * share), overloaded=tuple(map(int, over))
                    )
                )
    return made


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    return summary_of(tmp_path, records())


def test_the_factors_are_those_of_the_made_up_machine(summary: Summary) -> None:
    (panel,) = panels(summary)
    assert panel.title == "short, N = 4"
    assert [curve.manager for curve in panel.curves] == ["sync", "async"]
    sync, async_ = panel.curves
    assert [point.share for point in sync.points] == [0.5, 0.8, 1.2]
    assert sync.closed is not None
    assert sync.closed.case == SYNC
    for curve, hidden, to_closed in ((sync, 8.0, 4.0), (async_, 4.0, 4.0)):
        point = curve.at("80 %")
        assert point is not None
        assert point.hidden_p99 is not None
        assert point.to_closed_p99 is not None
        assert point.hidden_p99.ratio == pytest.approx(hidden)  # 50 us from the call
        assert point.to_closed_p99.ratio == pytest.approx(to_closed)
        assert point.overloaded == pytest.approx(1 / 6)
        assert not point.is_overloaded


def test_the_verdict_is_at_the_greatest_load_without_overload(summary: Summary) -> None:
    (panel,) = panels(summary)
    assert panel.telling() == "80 %"
    text = " ".join(shown(summary).split())
    assert (
        "short, N = 4: at a load of 80 % sync has a p99 of 400 us (coordinated omission hides 8.00x"
        " (8.00-8.00); 4.00x (4.00-4.00) that of the closed loop); async has a p99 of 200 us"
        in text
    )


def test_closed_and_open_are_side_by_side(summary: Summary) -> None:
    text = shown(summary)
    rows = [line.split() for line in text.splitlines()]
    assert ["sync", "closed", "40.0", "100.0", "100.0", *"------"] in rows
    eighty = next(row for row in rows if row[:2] == ["80", "%"])
    assert eighty[3:] == ["400.0", "400.0", "50.0", "8.00", "4.00", "7", "17", "99.0"]
    over = next(row for row in rows if row[:2] == ["120", "%"])
    assert over[-2] == "100"
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    # The closed loop needs no table of its own.
    assert "t/redo" not in text


def test_a_narrow_window_loses_no_number(summary: Summary) -> None:
    assert "…" not in shown(summary, 60)


def test_loads_in_redos_per_second_and_without_a_closed_loop(tmp_path: Path) -> None:
    made = [open_record(loaded("sync", "open:20000"), 1, latency_ns=100_000)]
    text = shown(summary_of(tmp_path, made))
    assert "a load of 20000/s sync has a p99 of 100 us" in " ".join(text.split())
    assert "2.00x" in text
    (svg, _) = draw(reading(load_summary(tmp_path / "r.json")), tmp_path / "x")
    assert "load, redos per second" in svg.read_text()


def test_a_rate_beside_a_closed_loop_has_its_share(tmp_path: Path) -> None:
    made = [
        steady_record(SYNC, 1, latency_ns=100_000),  # 40,000 redos per second
        open_record(loaded("sync", "open:20000"), 1, latency_ns=100_000),
    ]
    ((curve,),) = [panel.curves for panel in panels(summary_of(tmp_path, made))]
    assert curve.points[0].share == pytest.approx(0.5)


def test_if_every_load_is_too_much_the_verdict_says_so(tmp_path: Path) -> None:
    made = [open_record(loaded("sync", "open:9%"), 1, latency_ns=9_000, overloaded=(1, 1))]
    assert "a load of 9 % (overloaded, not a steady state)" in " ".join(
        shown(summary_of(tmp_path, made)).split()
    )


def test_a_case_that_only_failed_does_no_harm(tmp_path: Path) -> None:
    failed = FailedRun(loaded("async", "open:80%"), 1, "no capacity")
    summary = summary_of(tmp_path, records(), [failed])
    assert "async" in shown(summary)
    only = [steady_record(SYNC, 1)]
    (tmp_path / "b").mkdir()
    text = shown(summary_of(tmp_path / "b", only, [FailedRun(loaded("sync", "open:80%"), 1, "no")]))
    assert "failed once" in " ".join(text.split())


def test_data_is_json_with_units_in_names(summary: Summary) -> None:
    data = json.loads(json.dumps(as_data(reading(summary))))["experiments"]["open_loop"]
    assert data[0]["group"] == "short, N = 4"
    sync = data[0]["managers"][0]
    assert sync["closed"] == "sync/short/n=4"
    assert [one["case"] for one in sync["loads"]] == [
        f"sync/short/n=4/load=open:{percent}%" for percent in (50, 80, 120)
    ]
    eighty = sync["loads"][1]
    assert eighty["share_of_capacity"] == 0.8
    assert eighty["hidden_p99"] == pytest.approx(8.0)
    assert eighty["to_closed_p50"] == pytest.approx(4.0)


def test_the_figure_says_what_it_shows(summary: Summary, tmp_path: Path) -> None:
    written = draw(reading(summary), tmp_path / "a")
    assert [path.name for path in written] == ["a-open-loop.svg", "a-open-loop.png"]
    svg = " ".join(written[0].read_text().split())
    for label in ("p50", "p99", "p99 from the call", "p99 of the closed loop", "overloaded"):
        assert f">{label}</text>" in svg
    assert "sync, short, N = 4: at 80 %" in svg
    assert "load, % of capacity" in svg


def test_only_open_loads_and_their_closed_loops_are_covered() -> None:
    half = loaded("sync", "open:50%")
    assert OpenView().covered([SYNC, ASYNC, half]) == {SYNC, half}
    assert OpenView().covered([SYNC, ASYNC]) == frozenset()


def test_its_picture_is_looked_for_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "open-loop.svg").write_text("mine")
    with pytest.raises(Exception, match=r"open-loop\.svg: is there already"):
        check_free(VIEWS, [SYNC, loaded("sync", "open:50%")], tmp_path)
