"""The cost of a child: how it is written, and that it reaches the child."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.cases.case import Case, ChildVariant
from bench.cases.config import ConfigError, differences, from_json, load_profile, override
from bench.cases.cost import ChildCost, cost_name
from bench.cases.matrix import cases_of
from bench.cases.names import THIS_PYTHON
from bench.running.ab import Side
from bench.running.equipment.equipment import prepare
from bench.running.equipment.interpreters import find_interpreters
from bench.running.snapshots import Snapshot
from fake_redo_child.child.python_child import COST_PRESETS, MAX_COST_US
from tests.support.made_up_runs import RUN, Bench


@pytest.mark.parametrize(
    ("text", "request_ns", "record_ns", "name"),
    [
        ("none", 0, 0, "none"),
        ("pg14", 9000, 500, "pg14"),
        ("us:9+0.5", 9000, 500, "pg14"),
        ("us:0+0.000", 0, 0, "none"),
        ("us:12+0.75", 12_000, 750, "us:12+0.75"),
        ("us:012.0+0.750", 12_000, 750, "us:12+0.75"),
        ("us:0.001+1000000", 1, 1_000_000_000, "us:0.001+1000000"),
        ("us:100+20", 100_000, 20_000, "us:100+20"),
    ],
)
def test_one_cost_has_one_name(text: str, request_ns: int, record_ns: int, name: str) -> None:
    cost = ChildCost.parse(text)
    assert (cost.request_ns, cost.record_ns, cost.name) == (request_ns, record_ns, name)
    assert cost_name(name) == name
    assert ChildCost.parse(name) == cost
    case = Case("sync", "short", 1, cost=name)
    assert Case.parse(case.name) == case


@pytest.mark.parametrize(
    "text",
    [
        *("us:9", "us:9+", "us:+1", "us:9+-1", "us:9+1e3", "us:9+.5", "us:9+0.0005"),
        *("us:9+1000000.001", "us:nan+1", "us: 9+1", "us:9+1+1", "us:9\n+1", "us:9+0.5\n"),
        *("US:9+1", "", "9+0.5"),
    ],
)
def test_what_is_no_cost(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape("us:REQUEST+RECORD")):
        ChildCost.parse(text)


@pytest.mark.parametrize("price_ns", [-1, round(MAX_COST_US * 1000) + 1])
def test_a_price_that_no_child_takes(price_ns: int) -> None:
    with pytest.raises(ValueError, match="expected 0 to 1000000000 ns"):
        ChildCost(0, price_ns)


def test_every_preset_has_the_price_that_the_child_burns() -> None:
    for name, (request_us, record_us) in COST_PRESETS.items():
        cost = ChildCost.parse(name)
        assert (cost.request_ns / 1000, cost.record_ns / 1000) == (request_us, record_us)
        assert cost.child_options() == {"cost": name}


def test_a_cost_that_means_the_same_is_the_same_configuration(tmp_path: Path) -> None:
    quick = load_profile("quick")
    costly = override(quick, cost="us:12.50+1.0")
    assert costly.child.cost == "us:12.5+1"
    assert {case.cost for case in cases_of(costly)} == {"us:12.5+1"}
    assert differences(costly, override(quick, cost="us:12.5+1")) == []
    assert from_json(costly.to_json()) == costly
    assert override(quick, cost="us:9+0.5") == override(quick, cost="pg14")
    profile = tmp_path / "own.toml"
    profile.write_text(
        'manager = ["sync"]\nworkload = ["short"]\nclients = [1]\n[child]\ncost = "us:12.5+1.000"\n'
    )
    assert load_profile(str(profile)).child.cost == "us:12.5+1"
    profile.write_text(profile.read_text().replace("us:", "ms:"))
    with pytest.raises(ConfigError, match="unknown cost"):
        load_profile(str(profile))


def test_it_is_in_the_childs_command(tmp_path: Path) -> None:
    config = override(
        load_profile("quick"), manager="sync", workload="short", child="python", cost="us:12.5+1"
    )
    made = prepare(config, tmp_path, find_interpreters((THIS_PYTHON,)))
    added = ("--cost-per-request-us", "12.5", "--cost-per-record-us", "1")
    assert made.child_commands[ChildVariant("python", config.child.cost)][-4:] == added

    asked: list[Mapping[str, Any]] = []

    class Asked(Snapshot):
        def child_command(self, **options: object) -> tuple[str, ...]:
            asked.append(options)
            return ("child",)

    snapshot = Asked(tmp_path, None, dirty=True)
    Side.of(snapshot, made, config)
    assert (asked[0]["cost_per_request_us"], asked[0]["cost_per_record_us"]) == (12.5, 1.0)
    assert "cost" not in asked[0]
    Side.of(snapshot, made, override(config, cost="pg14"))
    assert asked[1]["cost"] == "pg14"
    assert "cost_per_request_us" not in asked[1]


@pytest.mark.parametrize("cost", ["us:9", "us:-1+0", "us:1+2000000"])
def test_a_wrong_one_is_refused_in_one_line(cost: str, bench: Bench) -> None:
    assert "--cost: 'us:" in bench.refuses(f"{RUN} --cost {cost}")


def test_a_result_says_which(bench: Bench) -> None:
    status, _, err = bench(f"{RUN} --rounds 1 -o o.json --cost us:20+0.50")
    assert status == 0, err
    assert [case.name for _, case in bench.ran] == ["sync/short/n=1/child=python/cost=us:20+0.5"]
    status, _, err = bench("run --resume o.json --rounds 2 --cost us:20.0+0.5")
    assert status == 0, err
