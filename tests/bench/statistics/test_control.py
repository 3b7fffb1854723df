"""Two files of a machine that was slower the second time: the floor tells this from the code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.cases.case import Case
from bench.results.summary import Summary, load_summary
from bench.show.comparison import as_data, as_markdown
from bench.statistics import control
from bench.statistics.comparison import Comparison, compare, of_cases
from bench.statistics.control import MIN_CASES, control_of
from bench.statistics.effects import Verdict
from tests.support.made_up_runs import Bench
from tests.support.synthetic import ENVIRONMENT, save, steady_record

FLOORS = tuple(Case("floor", "short", n) for n in (1, 2, 4, 8, 16, 32, 64, 128))
MANAGERS = tuple(Case(name, "short", n) for name in ("sync", "async") for n in (8, 128))
ROUNDS = 7
BUILDS = {"floor_key": "f1", "c_child_key": "c1"}


def file(
    path: Path,
    factors: Mapping[Case, float],
    seed: int,
    *,
    drift: float = 1.0,
    scatter: float = 0.02,
    builds: Mapping[str, str] = BUILDS,
) -> Summary:
    """A file whose rounds are up to 40 % slower than others, all cases of it alike, and its cases
    slower by these factors."""
    random = np.random.default_rng(seed)
    records = []
    for number in range(ROUNDS):
        disturbance = random.uniform(1.0, 1.4)
        for case in (*FLOORS, *MANAGERS):
            own = factors.get(case, 1.0) * random.normal(1, scatter)
            latency_ns = round(50_000 * drift * disturbance * own)
            records.append(steady_record(case, number, latency_ns=latency_ns))
    path.unlink(missing_ok=True)
    environment = replace(ENVIRONMENT, child_build=dict(builds))
    return load_summary(save(path, records, environment=environment))


def verdicts(comparison: Comparison) -> dict[Case, Verdict]:
    return {compared.case: compared.verdict for compared in comparison.cases}


def test_a_drift_of_the_machine_is_no_change_of_the_code(tmp_path: Path) -> None:
    base = file(tmp_path / "base.json", {}, 1)
    later = file(tmp_path / "later.json", {}, 2, drift=1.5)
    comparison = compare(base, later)
    assert not {Verdict.FASTER, Verdict.SLOWER} & {*verdicts(comparison).values()}
    assert comparison.drift is not None
    assert comparison.drift.ratio == pytest.approx(1.5, rel=0.1)
    assert comparison.overall is not None
    assert comparison.overall.low is not None
    assert comparison.overall.high is not None
    assert comparison.overall.low <= 1 <= comparison.overall.high
    without = compare(base, later, is_controlled=False)
    assert {*verdicts(without).values()} == {Verdict.SLOWER}
    assert without.drift is None


def test_a_change_of_the_code_is_found_in_spite_of_a_drift(tmp_path: Path) -> None:
    changed = {case: 1.1 for case in MANAGERS if case.manager == "sync"}
    base = file(tmp_path / "base.json", {}, 1)
    later = file(tmp_path / "later.json", changed, 2, drift=0.8)
    comparison = compare(base, later)
    for compared in comparison.cases:
        expected = changed.get(compared.case, 1.0)
        assert compared.measures["time_per_redo_s"].effect.ratio == pytest.approx(
            expected, rel=0.05
        )
        assert (compared.verdict is Verdict.SLOWER) == (compared.case in changed)


@pytest.mark.exhaustive
def test_cases_that_change_by_themselves_raise_no_alarms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file has its own factor for each case, which all of its rounds have."""
    random = np.random.default_rng(5)

    def factors() -> dict[Case, float]:
        return {case: float(random.lognormal(0, 0.1)) for case in (*FLOORS, *MANAGERS)}

    def alarms(pairs: list[list[Summary]]) -> int:
        differs = {Verdict.FASTER, Verdict.SLOWER}
        return sum(bool(differs & {*verdicts(compare(*pair)).values()}) for pair in pairs)

    pairs = [
        [file(tmp_path / f"{seed}.json", factors(), seed) for seed in (2 * n, 2 * n + 1)]
        for n in range(20)
    ]
    assert alarms(pairs) <= 3  # one is expected
    monkeypatch.setattr(control, "_scatter", lambda _: 0.0)
    assert alarms(pairs) >= 15  # what the rounds alone would say


def test_another_floor_or_child_is_no_control(tmp_path: Path) -> None:
    base = file(tmp_path / "base.json", {}, 1)
    for name in BUILDS:
        other = file(tmp_path / "other.json", {}, 2, builds={**BUILDS, name: "x"})
        assert compare(base, other).drift is None
        assert "control: none" in as_markdown(compare(base, other))


def test_too_few_floors_are_no_control() -> None:
    sides = {case: ({1: 1.0, 2: 1.1}, {1: 1.0, 2: 1.1}) for case in FLOORS}
    assert control_of(sides) is not None
    few = list(sides.items())[: MIN_CASES - 1]
    assert control_of(dict(few)) is None
    one_round = {case: ({1: 1.0}, {1: 1.0}) for case in FLOORS}
    assert control_of(one_round) is None
    no_common_round = {case: ({n: 1.0, n + 1: 1.1},) * 2 for n, case in enumerate(FLOORS)}
    assert control_of(no_common_round) is None


def test_chosen_cases_are_controlled_by_all_of_the_floor(tmp_path: Path) -> None:
    base, later = (file(tmp_path / f"{n}.json", {}, n, drift=1 + n / 4) for n in (0, 1))
    chosen = [of_cases(summary, ("sync/*",)) for summary in (base, later)]
    assert compare(*chosen).drift is None
    whole = compare(base, later)
    comparison = compare(chosen[0], chosen[1], whole=(base, later))
    assert comparison.drift == whole.drift
    effects = {each.case: each.measures["time_per_redo_s"].effect for each in whole.cases}
    for compared in comparison.cases:
        assert compared.case.manager == "sync"
        assert compared.measures["time_per_redo_s"].effect == effects[compared.case]


def test_the_command_names_the_control(tmp_path: Path, bench: Bench) -> None:
    paths = [tmp_path / f"{n}.json" for n in (0, 1)]
    summaries = [file(path, {}, n, drift=1 + n / 2) for n, path in enumerate(paths)]
    two = f"compare {paths[0]} {paths[1]}"
    status, out, _ = bench(f"{two} --case sync/*")
    assert status == 0
    assert "control: the floor" in out
    assert "control: the floor" not in bench(f"{two} --no-control")[1]
    data = as_data(compare(*summaries))
    assert data["drift"]["low"] > 1
