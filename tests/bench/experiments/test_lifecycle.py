"""What runs of the scenarios come to: measures, what is said of storms, how they are shown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.cases.case import Case, is_closed_loop
from bench.cases.config import Config, ConfigError, load_profile, override
from bench.cases.matrix import cases_of
from bench.cases.notations import (
    COLD_START,
    REAP,
    REDO,
    RELAUNCH,
    SCENARIOS,
    STORM,
    STORM_BACK_OFF,
    STORM_BACKGROUND,
    STORM_WAIT,
)
from bench.experiments.lifecycle.findings import storms
from bench.experiments.lifecycle.view import LifecycleView
from bench.results.keys import FURTHER
from bench.results.measures.lifecycle import lifecycle_measures
from bench.results.pyperf_run import further_metadata, to_pyperf_run
from bench.results.record import FailedRun, RunRecord
from bench.results.summary import load_summary
from bench.running.equipment.equipment import prepare
from bench.running.equipment.interpreters import find_interpreters
from bench.running.run import measure_run
from bench.show.pictures.choice import draw
from bench.show.summary import as_data
from tests.support.printed import shown
from tests.support.synthetic import (
    ENVIRONMENT,
    USAGE,
    idle_slice,
    reading,
    save,
    steady_record,
    steady_slice,
    summary_of,
)

MS = 1_000_000
MIB = 1 << 20


def storm_record(
    scenario: str, number: int, launch_ms: float, manager: str = "sync", peak: int | None = None
) -> RunRecord:
    """Two slices of ten launches, so many ms each."""
    one = steady_slice(1, 10, round(launch_ms * MS))
    counts = {"launches": 10} | ({} if peak is None else {"unreaped_peak": peak})
    return RunRecord(
        Case(manager, "short", 1, scenario=scenario),
        number,
        (one, one),
        USAGE,
        worker_metadata={
            "redo_counter_launches": 20,
            "redo_counter_launch_ns_total": 20 * MS // 2,
        },
        counts=(counts, counts),
    )


def episode_record(scenario: str, number: int, manager: str, clients: int, ms: int) -> RunRecord:
    one = steady_slice(clients, 5, ms * MS)
    memory = {"child_rss_bytes": 2 * MIB, "child_pss_bytes": MIB // 2}
    case = Case(manager, "short", clients, scenario=scenario)
    return RunRecord(case, number, (one, one), USAGE, counts=(memory, memory))


def storm_records(ways: Mapping[str, Sequence[float]]) -> list[RunRecord]:
    """Storms by scenario: the ms per launch of each round."""
    peaks = {STORM_WAIT: 1, STORM_BACKGROUND: 5}
    return [
        storm_record(scenario, number, ms, peak=peaks.get(scenario))
        for scenario, rounds in ways.items()
        for number, ms in enumerate(rounds)
    ]


# --- measures


def test_measures_of_a_storm() -> None:
    assert lifecycle_measures(storm_record(STORM_BACKGROUND, 0, 2.0, peak=7)) == {
        "redo_lifecycle_launches_per_s": pytest.approx(500.0),
        "redo_lifecycle_unreaped_peak": 7,
        "redo_lifecycle_launch": pytest.approx(0.5e-3),
    }


def test_measures_of_an_episode_and_of_a_redo() -> None:
    assert lifecycle_measures(episode_record(COLD_START, 0, "sync", 8, 2)) == {
        "redo_lifecycle_child_rss": 2 * MIB,
        "redo_lifecycle_child_pss": MIB / 2,
    }
    assert lifecycle_measures(steady_record(Case("sync", "short", 8))) == {}


def test_only_a_closed_loop_is_checked_by_littles_law() -> None:
    loop = Case("sync", "short", 4)
    assert is_closed_loop(loop)
    one = idle_slice(4, 100, MS)
    said = {}
    for scenario in (REDO, COLD_START):
        case = Case("sync", "short", 4, scenario=scenario)
        run = to_pyperf_run(RunRecord(case, 0, (one,), USAGE), ENVIRONMENT)
        said[scenario] = run.get_metadata().get("redo_self_check")
    assert str(said[REDO]).startswith("1 of 1 slices miss")
    assert said[COLD_START] is None
    assert not is_closed_loop(Case("sync", "short", 4, load="open:50%"))


# --- which cases


def cases(**options: str) -> list[str]:
    return [case.name for case in cases_of(override(load_profile("quick"), **options))]


def test_what_a_scenario_takes_no_notice_of_multiplies_nothing() -> None:
    both = {"manager": "floor,async,sync", "workload": "medium,short", "clients": "8,1"}
    assert cases(**both, scenario=REAP) == [
        "floor/medium/n=8",
        "floor/medium/n=1",
        "async/medium/n=1/scenario=reap",
        "floor/short/n=8",
        "floor/short/n=1",
    ]
    both["manager"] = "async,sync"
    assert cases(**both, scenario=STORM) == [
        f"{manager}/medium/n=1/scenario=storm" for manager in ("async", "sync")
    ]
    assert cases(**both, scenario=STORM_WAIT, wait="park,spin:50") == [
        "async/medium/n=1/scenario=storm-wait"
    ]
    assert len(cases(**both, scenario=RELAUNCH, pause="yield,none", heartbeat="none,thread")) == 8


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fault": "late:ms=5"}, "redo with a fault"),
        ({"placement": "split"}, "redo with split"),
        ({"load": "open:100"}, "scenario"),
    ],
)
def test_what_a_scenario_does_not_go_with_is_refused(options: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        override(load_profile("quick"), scenario=COLD_START, **options)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


# --- what storms say


@pytest.mark.parametrize(
    ("background_ms", "said", "headline"),
    [
        (
            [0.98, 1.0, 1.02, 1.0],
            "does limit launches",
            "allows 100% more",
        ),
        ([3.98, 4.0, 4.02, 4.0], "does not limit launches", "allows 50% fewer"),
        (
            [1.0, 4.0, 3.0, 1.5],
            "no significant effect on launches: reaping",
            "no significant effect",
        ),
        ([1.0], "changes launches by +100% (one round, so no 95 % CI)", "children that fail"),
    ],
)
def test_the_verdict_follows_the_interval(
    tmp_path: Path, background_ms: Sequence[float], said: str, headline: str
) -> None:
    waiting = [2.0, 2.01, 1.99, 2.0][: len(background_ms)]
    records = storm_records({STORM_WAIT: waiting, STORM_BACKGROUND: background_ms})
    (one,) = storms(summary_of(tmp_path, records))
    assert said in one.verdict
    assert headline in one.headline
    assert "back-off" not in one.verdict


def test_the_back_off_is_told_of_a_manager_that_has_both(tmp_path: Path) -> None:
    records = storm_records({STORM: [2.0] * 3, STORM_BACK_OFF: [40.0] * 3})
    (one,) = storms(summary_of(tmp_path, records))
    assert one.verdict == "the back-off of sync lets 25.0 /s through in place of 500 /s"


def test_a_storm_alone_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    (one,) = storms(summary_of(tmp_path, storm_records({STORM: [2.0] * 3})))
    assert one.verdict.startswith("nothing to compare")


# --- how they are shown


def everything() -> list[RunRecord]:
    episodes = [
        episode_record(scenario, number, manager, clients, ms * clients)
        for scenario in (COLD_START, RELAUNCH)
        for number in range(4)
        for manager, ms in (("sync", 4), ("async", 2))
        for clients in (1, 8)
    ]
    reaps = [episode_record(REAP, number, "sync", 1, 1) for number in range(4)]
    ways = {
        STORM_BACK_OFF: [40.0] * 4,
        STORM: [2.5] * 4,
        STORM_WAIT: [2.0, 2.01, 1.99, 2.0],
        STORM_BACKGROUND: [1.0, 1.01, 0.99, 1.0],
    }
    return [*episodes, *reaps, *storm_records(ways)]


def test_the_view_has_the_known_truth(tmp_path: Path) -> None:
    text = shown(summary_of(tmp_path, everything()))
    lines = [line.split() for line in text.splitlines()]
    assert "cold-start, short: async has a lower p50 than sync at every N, 2.0x at N = 8" in text
    assert "reap: a kill and its exit status take 1.00 ms" in text
    eight = ["8", "sync", "32.00", "0", "32.00", "32.00", "32.00", "2.00", "0.50"]
    assert lines.count(eight) == 2  # as cold starts and as relaunches
    background = ["no", "manager,", "background", "-", "1000.0", "0", "500", "5", "2.000"]
    assert background in lines
    assert ["no", "back-off", "sync", "400.0", "0", "500", "-", "0.800"] in lines
    assert max(map(len, text.splitlines())) <= 100
    assert "t/redo" not in text  # no ordinary tables of these


def test_the_data_have_units_and_nulls(tmp_path: Path) -> None:
    data = as_data(reading(summary_of(tmp_path, everything())))["experiments"]["lifecycle"]
    json.dumps(data)
    first: dict[str, Any] = data["episodes"][0]["cases"][0]
    assert first["name"] == "sync/short/n=1/scenario=cold-start"
    assert first["child_rss_bytes"]["median"] == 2 * MIB
    assert first["launch_s"] is None
    by_name = {one["name"].rpartition("=")[2]: one for one in data["storms"][0]["cases"]}
    assert by_name[STORM]["unreaped_peak"] is None
    assert by_name[STORM]["manager"] == "sync"
    assert by_name[STORM_WAIT]["manager"] is None
    assert by_name[STORM_WAIT]["launches_to_waiting"] is None
    assert by_name[STORM_BACKGROUND]["launches_to_waiting"]["ratio"] == pytest.approx(2.0, 0.01)


@pytest.mark.parametrize("scenarios", [SCENARIOS, (REAP,), (STORM_WAIT,), (COLD_START,)])
def test_there_is_one_figure_of_what_there_is(tmp_path: Path, scenarios: Sequence[str]) -> None:
    records = [one for one in everything() if one.case.scenario in scenarios]
    paths = draw(reading(summary_of(tmp_path, records)), tmp_path / "b", ["svg"])
    assert [path.name for path in paths] == ["b-lifecycle.svg"]
    svg = paths[0].read_text()
    assert ("cold-start, short" in svg) == (COLD_START in scenarios)
    assert ("per second" in svg) == (STORM_WAIT in scenarios)


def test_cases_that_only_failed_are_shown_as_such(tmp_path: Path) -> None:
    case = Case("sync", "short", 1, scenario=STORM)
    path = save(
        tmp_path / "a.json",
        [steady_record(Case("sync", "short", 8))],
        [FailedRun(case, 0, "its child has answered")],
    )
    summary = load_summary(path)
    assert "its child has answered" in " ".join(shown(summary).split())
    assert LifecycleView().data(summary) == {"episodes": [], "storms": []}
    (svg,) = (
        one for one in draw(reading(summary), tmp_path / "b", ["svg"]) if "lifecycle" in one.name
    )
    assert "no run gave a result" in svg.read_text()


# --- the whole way


def test_every_scenario_is_measured_saved_and_shown(tmp_path: Path) -> None:
    config = Config(
        name="tiny",
        manager=("sync", "async"),
        workload=("short",),
        clients=(2,),
        scenario=tuple(one for one in SCENARIOS if one != REDO),
        rounds=1,
        slices=2,
        seconds=0.004,
        warmup_s=0.0,
    )
    interpreters = find_interpreters(config.python)
    equipment = prepare(config, tmp_path, interpreters)
    found = cases_of(config)
    assert len(found) == 2 * 4 + 3
    records = [measure_run(case, 0, config, equipment) for case in found]
    keys = {key.name for key in FURTHER}
    for record in records:
        measured = further_metadata(record)
        assert set(measured) <= keys
        assert float(measured["redo_lifecycle_launch"]) > 0
    summary = summary_of(tmp_path, records)
    assert all(row.time_per_redo_s is not None for row in summary.rows)
    text = shown(summary)
    for said in ("cold-start, short", "relaunch, short", "reap: ", "storms: "):
        assert said in text
