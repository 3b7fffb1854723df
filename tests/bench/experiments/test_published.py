"""The published figures: that they load, what they say, and one's own beside them, made up."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.cases.case import Case
from bench.cases.config import load_profile
from bench.cases.matrix import cases_of
from bench.experiments.published import figure, shapes
from bench.experiments.published import view as view_published
from bench.experiments.published.reference import (
    REFERENCE,
    Published,
    PublishedError,
    Table,
    load,
)
from bench.experiments.published.shapes import Direction, Ratio
from bench.experiments.published.view import PublishedView
from bench.experiments.registry import VIEWS
from bench.results.summary import Group, Summary, load_summary
from bench.running.equipment.workloads import make_requests
from bench.show.pictures.choice import draw
from bench.show.summary import as_data
from fake_redo_child.child.python_child import COST_PRESETS
from tests.support.drawn import xs
from tests.support.printed import shown
from tests.support.synthetic import reading, save, steady_record

N = (1, 2, 4, 8)
VIEW = PublishedView()


# --- The file -------------------------------------------------------------------------------------


def test_the_reference_has_the_published_figures() -> None:
    first, second, comment = load().tables
    assert (first.machine, second.machine) == (
        "AWS i3en.3xlarge (12 vCPU)",
        "AWS im4gn.2xlarge (8 vCPU)",
    )
    assert all("neondatabase/neon" in table.source for table in (first, second, comment))
    every_n = {1, 2, 4, 8, 16, 32, 64, 128}
    for manager in ("sync", "async"):
        for workload in ("short", "medium"):
            assert set(first.times(manager, workload)) == every_n
    assert first.times("sync", "short")[128].estimate_us == 1487.4
    assert first.times("async", "short")[128].estimate_us == 998.23
    assert first.times("async", "medium")[1].low_us == 110.11
    assert second.times("async", "ping")[64].high_us == 353.47
    assert set(second.times("async", "ping")) == every_n
    assert not second.times("sync", "short")
    assert not comment.times("async", "short")


def test_the_preset_of_the_child_is_a_fit_of_them() -> None:
    """A ping costs what the way costs; what short and medium take beyond it is the redo."""
    table = next(one for one in load().tables if "im4gn.2xlarge" in one.machine)
    ping, short, medium = (
        table.times("async", name)[1].estimate_us for name in ("ping", "short", "medium")
    )
    records = {name: len(make_requests(name, 1)[0].records) for name in ("short", "medium")}
    assert records == {"short": 2, "medium": 227}
    per_record = (medium - short) / (records["medium"] - records["short"])
    per_request = short - ping - records["short"] * per_record
    assert (round(per_request), round(per_record, 1)) == COST_PRESETS["pg14"]


def test_a_later_file_may_say_more(tmp_path: Path) -> None:
    content = json.loads(REFERENCE.read_bytes())
    content["remark"] = content["tables"][0]["weather"] = "fine"
    assert load_of(tmp_path, content) == load()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 2}, "of version 2, this walredo-bench reads 1"),
        ({"tables": [{"id": "x"}]}, "missing required field `date` - at `$.tables[0]`"),
        ({"tables": None}, "Expected `array`, got `null`"),
    ],
)
def test_what_is_no_reference(change: Mapping[str, Any], says: str, tmp_path: Path) -> None:
    content = json.loads(REFERENCE.read_bytes()) | change
    with pytest.raises(PublishedError) as refusal:
        load_of(tmp_path, content)
    assert says in str(refusal.value)


@pytest.mark.parametrize(
    ("clients", "time"),
    [
        ("0", {"low_us": 1, "estimate_us": 2, "high_us": 3}),
        ("many", {"low_us": 1, "estimate_us": 2, "high_us": 3}),
        ("1", {"low_us": 0, "estimate_us": 2, "high_us": 3}),
        ("1", {"low_us": 1, "estimate_us": 4, "high_us": 3}),
        ("1", {"low_us": 1, "estimate_us": 2}),
    ],
)
def test_impossible_figures(clients: str, time: Mapping[str, float], tmp_path: Path) -> None:
    content = json.loads(REFERENCE.read_bytes())
    content["tables"][0]["series"]["sync-short"] = {clients: time}
    with pytest.raises(PublishedError, match="series"):
        load_of(tmp_path, content)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PublishedError, match=r"none\.json: No such file"):
        load(tmp_path / "none.json")
    (tmp_path / "cut.json").write_bytes(REFERENCE.read_bytes()[:-20])
    with pytest.raises(PublishedError, match=r"cut\.json: not published figures"):
        load(tmp_path / "cut.json")


# --- Shapes ---------------------------------------------------------------------------------------


def test_the_published_ratios_say_what_their_authors_said() -> None:
    table = load().tables[0]
    short = shapes.published_ratios(table, "short")
    assert [ratio.direction for ratio in short.values()] == [
        Direction.ALIKE,
        Direction.ASYNC_SLOWER,
        *[Direction.SYNC_SLOWER] * 6,
    ]
    assert short[128].value == pytest.approx(1487.4 / 998.23)
    medium = shapes.published_ratios(table, "medium")
    assert {ratio.direction for ratio in medium.values()} == {Direction.ALIKE}
    growth = shapes.published_growth(table, "sync", "short")
    assert growth[1] == Ratio(1.0, 1.0, 1.0)
    assert growth[128].value == pytest.approx(1487.4 / 25.626)
    assert shapes.published_growth(table, "sync", "ping") == {}


def test_the_interval_of_a_published_ratio() -> None:
    """Distances on logarithms, in quadrature: 3 and 4 % make 5 %."""
    table = published_table({"sync": (100.0, math.exp(0.03)), "async": (50.0, math.exp(0.04))})
    (ratio,) = shapes.published_ratios(table, "short").values()
    assert (ratio.low, ratio.value, ratio.high) == pytest.approx(
        (2 * math.exp(-0.05), 2.0, 2 * math.exp(0.05))
    )


@pytest.mark.parametrize(
    ("value", "low", "high", "direction"),
    [
        (1.2, 1.1, 1.3, Direction.SYNC_SLOWER),
        (1.2, 0.99, 1.3, Direction.UNDECIDED),
        (1.04, 1.01, 1.07, Direction.UNDECIDED),
        (1.04, 1.03, 1.049, Direction.ALIKE),
        (0.8, 0.7, 0.9, Direction.ASYNC_SLOWER),
        (0.97, 0.955, 0.99, Direction.ALIKE),
        (1.0, 0.9, 1.04, Direction.UNDECIDED),
        (3.0, None, None, Direction.UNDECIDED),
    ],
)
def test_where_a_ratio_points(
    value: float, low: float | None, high: float | None, direction: Direction
) -> None:
    assert Ratio(value, low, high).direction is direction


def test_own_ratios_are_taken_within_rounds(tmp_path: Path) -> None:
    """Rounds that disturb both alike leave a ratio without any spread."""
    slowed = (1, 3, 9)
    summary = made_up(
        tmp_path,
        sync={n: [20_000 * n * k for k in slowed] for n in N},
        async_={n: [10_000 * n * k for k in slowed] for n in N},
    )
    (group,) = groups(summary)
    for ratio in shapes.own_ratios(group).values():
        assert (ratio.value, ratio.low, ratio.high) == pytest.approx((2, 2, 2))
    growth = shapes.own_growth(group, "sync")
    assert {n: round(ratio.value, 6) for n, ratio in growth.items()} == {n: n for n in N}
    alone = made_up(tmp_path / "1", sync={2: [1000, 1000]}, async_={2: [1000, 1000]})
    assert shapes.own_growth(groups(alone)[0], "sync") == {}


def test_same_way_other_way_and_undecided(tmp_path: Path) -> None:
    """Published of short: alike, async takes longer, then sync takes longer."""
    summary = made_up(
        tmp_path,
        sync={1: [10_000] * 3, 2: [30_000] * 3, 4: [90_000] * 3, 8: [80_000, 200_000, 90_000]},
        async_={1: [10_100] * 3, 2: [20_000] * 3, 4: [60_000] * 3, 8: [90_000] * 3},
    )
    (group,) = groups(summary)
    (one,) = shapes.beside(group, load())
    assert tuple(map(one.where, (True, False, None))) == ((1, 4), (2,), (8,))
    assert view_published.verdict({"short": [one]}) == (
        "The ratio sync / async of time per redo points the published way at 2 of 4 N:"
        " short 2 of 4 (not at N = 2; not significant at N = 8)."
    )
    assert view_published.verdict({"short": []}).startswith("No published ratio")


# --- The view -------------------------------------------------------------------------------------


def test_the_profile_is_what_was_published() -> None:
    config = load_profile("published")
    assert config.child.cost == "pg14"
    assert config.clients == (1, 2, 4, 8, 16, 32, 64, 128)
    assert config.budget_s is not None
    assert config.budget_s <= 240
    cases = cases_of(config)
    assert [view.name for view in VIEWS.of(cases)] == ["published"]
    assert VIEW.covered(cases) == set(cases)
    assert not VIEWS.covered(cases), "the ordinary tables stay"


@pytest.mark.parametrize(
    "cases",
    [
        [Case(m, "short", n) for m in ("sync", "async") for n in N],
        [Case(m, "short", n, cost="pg14") for m in ("sync", "async") for n in N[:2]],
        [Case(m, "ping", n, cost="pg14") for m in ("sync", "async") for n in N],
        [Case("sync", "short", n, cost="pg14") for n in N],
        [Case(m, "short", n, cost="pg14", child="python") for m in ("sync", "async") for n in N],
        [Case("sync", "short", n, cost="pg14") for n in N]
        + [Case("async", "short", 10 * n, cost="pg14") for n in N],
    ],
)
def test_other_cases_have_no_such_view(cases: Sequence[Case]) -> None:
    assert not VIEW.covered(cases)


def test_other_managers_beside_are_not_its_business() -> None:
    cases = [Case(m, "short", n, cost="pg14") for m in ("sync", "async", "floor") for n in N]
    shown = VIEW.covered(cases)
    assert {case.manager for case in shown} == {"sync", "async"}


@pytest.fixture
def twice(tmp_path: Path) -> Summary:
    """Sync takes twice as long at every N."""
    return made_up(
        tmp_path,
        sync={n: [20_000 * n] * 3 for n in N},
        async_={n: [10_000 * n] * 3 for n in N},
    )


def test_what_is_printed(twice: Summary) -> None:
    for width in (100, 60):
        printed = shown(twice, width, legend=True)
        text = " ".join(printed.split())
        assert "points the published way at 2 of 4 N: short 2 of 4 (not at N = 1, 2)." in text
        assert "2.00 (2.00-2.00)" in text
        assert "1.07 yes" in text
        assert "0.92 NO" in text
        assert "[1] AWS i3en.3xlarge (12 vCPU)" in text
        assert "…" not in text
        assert max(map(len, printed.splitlines())) <= 100
    # No absolute time of another machine.
    assert "1487" not in text
    assert "us [1]" not in text


def test_the_same_as_data(twice: Summary) -> None:
    data = as_data(reading(twice))["experiments"]["published"]
    (short,) = data["workloads"]
    assert data["problem"] is None
    assert [one["clients"] for one in short["sync_to_async"]] == list(N)
    assert short["sync_to_async"][0]["direction"] == "sync takes longer"
    (theirs,) = short["published"]
    assert theirs["table"] == "neon-2024-04-15-i3en.3xlarge"
    assert (theirs["same_way"], theirs["other_way"]) == ([4, 8], [1, 2])
    assert [(one["table"], one["manager"]) for one in short["published_growth"]] == [
        ("neon-2024-04-15-i3en.3xlarge", "sync"),
        ("neon-2024-04-15-i3en.3xlarge", "async"),
        ("neon-2024-09-18-im4gn.2xlarge", "async"),
    ]
    json.dumps(data, allow_nan=False)


def test_the_figure(twice: Summary, tmp_path: Path) -> None:
    written = {path.name: path for path in draw(reading(twice), tmp_path / "a", ["svg"])}
    assert set(written) == {
        "a-latency-cost-pg14.svg",
        "a-throughput-cost-pg14.svg",
        "a-published.svg",
        "a-published-growth.svg",
    }
    text = written["a-published.svg"].read_text()
    assert "points as published at 2 of 4 N" in text
    assert "published: AWS i3en.3xlarge (12 vCPU), 2024-04-15" in text
    assert "time per redo, sync / async" in text
    growth = written["a-published-growth.svg"].read_text()
    assert "short: here sync 8x at N = 8, async 8x at N = 8" in growth
    assert "published: AWS im4gn.2xlarge" in growth  # of async alone


def test_one_round_decides_nothing(tmp_path: Path) -> None:
    summary = made_up(tmp_path, sync={n: [20_000] for n in N}, async_={n: [10_000] for n in N})
    text = shown(summary)
    assert "short 0 of 4 (not significant at any N)" in " ".join(text.split())
    assert "2.00 (?)" in text
    assert draw(reading(summary), tmp_path / "a", ["svg"])


def test_without_the_file_the_own_figures_are_shown_and_why(
    twice: Summary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_published, "load", lambda: load(tmp_path / "none.json"))
    text = shown(twice, width=200)
    assert "The published figures cannot be read: " in text
    assert "none.json: No such file" in text
    assert "2.00 (2.00-2.00)" in text
    assert "none.json" in as_data(reading(twice))["experiments"]["published"]["problem"]
    assert draw(reading(twice), tmp_path / "a", ["svg"])


# --- What tests are made of -----------------------------------------------------------------------


def made_up(
    folder: Path, sync: Mapping[int, Sequence[int]], async_: Mapping[int, Sequence[int]]
) -> Summary:
    """A result of short with a child as heavy as the published one: by N, the latency (ns) of each
    round, which with steady clients is the time per redo."""
    folder.mkdir(exist_ok=True)
    records = [
        steady_record(Case(manager, "short", n, cost="pg14"), number, latency_ns=ns)
        for manager, by_clients in (("sync", sync), ("async", async_))
        for n, by_round in by_clients.items()
        for number, ns in enumerate(by_round)
    ]
    return load_summary(save(folder / "r.json", records))


def load_of(folder: Path, content: object) -> Published:
    """What a file of this content holds."""
    path = folder / "published.json"
    path.write_text(json.dumps(content))
    return load(path)


def groups(summary: Summary) -> tuple[Group, ...]:
    return summary.groups()


def published_table(times: Mapping[str, tuple[float, float]]) -> Table:
    """Of short at N = 1: by manager the estimate, and the factor to both bounds."""
    series = {
        f"{manager}-short": {
            "1": {"low_us": us / factor, "estimate_us": us, "high_us": us * factor}
        }
        for manager, (us, factor) in times.items()
    }
    words = dict.fromkeys(("id", "date", "machine", "source", "executor", "child"), "x")
    data = {"what": "x", "tables": [{**words, "series": series}]}
    return msgspec.convert(json.loads(json.dumps(data)), Published, strict=False).tables[0]


def test_nothing_is_drawn_of_n_that_were_not_measured(twice: Summary, tmp_path: Path) -> None:
    groups = [group for group in twice.groups() if group.workload == "short"]
    (panel,) = figure.growth_figure(groups, load(), twice).axes
    drawn = [n for line in panel.get_lines() for n in xs(line)]
    assert set(drawn) == set(N)
