"""The statistics of comparisons, on values whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.statistics.effects import (
    ALPHA,
    Effect,
    Verdict,
    corrected,
    holds_to,
    ratio_of_slices,
    ratios_effect,
    unpaired_effect,
    verdict,
)

EffectOf = Callable[[list[float], list[float]], Effect]
values = st.lists(st.floats(1e-6, 1e3), min_size=2, max_size=12)


def noisy(random: np.random.Generator, size: int, mean: float, spread: float) -> list[float]:
    drawn = mean * np.exp(random.normal(0, spread, size))
    return [float(value) for value in drawn]


def paired_effect(base: list[float], changed: list[float]) -> Effect:
    return ratios_effect([after / before for before, after in zip(base, changed, strict=True)])


def test_a_disturbed_slice_changes_no_pair() -> None:
    base = [1.0, 1.1, 0.9, 1.0, 1.0]
    assert ratio_of_slices(base, [1.05 * one for one in base]) == pytest.approx(1.05)
    disturbed = [1.05, 30.0, 0.945, 1.05, 1.05]
    assert ratio_of_slices(base, disturbed) == pytest.approx(1.05)
    assert ratio_of_slices(disturbed, base) == pytest.approx(1 / 1.05)


def test_the_ratio_is_that_of_the_geometric_means() -> None:
    assert unpaired_effect([1.0, 4.0], [4.0, 4.0, 4.0]).ratio == pytest.approx(2.0)
    assert paired_effect([1.0, 4.0], [3.0, 12.0]).ratio == pytest.approx(3.0)


def test_pairs_take_out_what_disturbs_both() -> None:
    random = np.random.default_rng(3)
    disturbed = random.uniform(1, 3, 8)
    base = list(disturbed)
    changed = list(disturbed * 1.05 * np.exp(random.normal(0, 0.01, 8)))
    paired, unpaired = paired_effect(base, changed), unpaired_effect(base, changed)
    assert paired.smallest_shown is not None
    assert unpaired.smallest_shown is not None
    assert paired.smallest_shown < 0.03 < 0.3 < unpaired.smallest_shown
    assert verdict(paired, paired.p_value, 0.01) is Verdict.SLOWER
    assert verdict(unpaired, unpaired.p_value, 0.01) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("effect_of", [paired_effect, unpaired_effect])
def test_one_value_shows_no_spread(effect_of: EffectOf) -> None:
    effect = effect_of([2.0], [3.0])
    assert effect == Effect(effect.ratio, None, None, None, None, (1, 1))
    assert effect.ratio == pytest.approx(1.5)
    assert verdict(effect, None, 0.05) is Verdict.INCONCLUSIVE


@given(values, values)
def test_base_and_changed_in_each_others_place(base: list[float], changed: list[float]) -> None:
    there, back = unpaired_effect(base, changed), unpaired_effect(changed, base)
    assert there.ratio * back.ratio == pytest.approx(1.0)
    assert there.p_value == pytest.approx(back.p_value, abs=1e-12)
    assert there.smallest_shown == pytest.approx(back.smallest_shown)


@given(values)
def test_nothing_differs_from_itself(same: list[float]) -> None:
    for effect in (paired_effect(same, same), unpaired_effect(same, same)):
        assert effect.ratio == 1.0
        assert effect.p_value == 1.0
        assert verdict(effect, effect.p_value, 0.05) in (Verdict.SAME, Verdict.INCONCLUSIVE)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("runs", [3, 5, 7])
def test_intervals_hold_the_truth_about_as_often_as_they_say(paired: bool, runs: int) -> None:
    random = np.random.default_rng(runs)
    effect_of = paired_effect if paired else unpaired_effect
    held, tries = 0, 400
    for _ in range(tries):
        effect = effect_of(noisy(random, runs, 1.0, 0.1), noisy(random, runs, 1.2, 0.1))
        assert effect.low is not None
        assert effect.high is not None
        held += effect.low <= 1.2 <= effect.high
    assert 0.91 <= held / tries <= 0.99


def test_a_family_without_a_difference_raises_few_alarms() -> None:
    random = np.random.default_rng(5)
    alarms, families = 0, 150
    for _ in range(families):
        effects = [
            unpaired_effect(noisy(random, 5, 1.0, 0.1), noisy(random, 5, 1.0, 0.1))
            for _ in range(12)
        ]
        p_values = corrected([effect.p_value for effect in effects])
        told = [verdict(*pair, 0.05) for pair in zip(effects, p_values, strict=True)]
        alarms += bool({Verdict.FASTER, Verdict.SLOWER} & set(told))
    # 5 % of 150 are 7.5; more than 14 come up once in a hundred times if the rate is right.
    assert alarms <= 14


@pytest.mark.parametrize("effect_of", [paired_effect, unpaired_effect])
def test_the_smallest_effect_that_could_be_shown_is_found_four_times_in_five(
    effect_of: EffectOf,
) -> None:
    random = np.random.default_rng(11)
    spread, runs, tries = 0.05, 6, 300
    # What the data shows of its own spread scatters; over many tries its median is the truth.
    shown = [
        effect.smallest_shown or math.nan
        for effect in (
            effect_of(noisy(random, runs, 1, spread), noisy(random, runs, 1, spread))
            for _ in range(tries)
        )
    ]
    truth = 1 + float(np.median(shown))
    found = 0
    for _ in range(tries):
        p = effect_of(noisy(random, runs, 1, spread), noisy(random, runs, truth, spread)).p_value
        found += p is not None and p <= ALPHA
    assert 0.72 <= found / tries <= 0.9


def test_corrected_values_are_those_of_benjamini_and_hochberg() -> None:
    assert corrected([0.01, None, 0.04, 0.03]) == [
        pytest.approx(0.03),
        None,
        pytest.approx(0.04),
        pytest.approx(0.04),
    ]
    assert corrected([]) == []
    assert corrected([None]) == [None]


@pytest.mark.parametrize(
    ("low", "high", "p", "less_is_better", "says"),
    [
        (1.02, 1.06, 0.01, True, Verdict.SLOWER),
        (0.94, 0.98, 0.01, True, Verdict.FASTER),
        (1.02, 1.06, 0.01, False, Verdict.FASTER),
        (0.94, 0.98, 0.01, False, Verdict.SLOWER),
        (1.02, 1.04, 0.06, True, Verdict.SAME),
        (1.02, 1.06, 0.06, True, Verdict.INCONCLUSIVE),
        (0.99, 1.04, 0.01, True, Verdict.SAME),
        (0.96, 1.04, 0.5, True, Verdict.SAME),
        (0.96, 1.06, 0.5, True, Verdict.INCONCLUSIVE),
        (0.96, 1.04, None, True, Verdict.INCONCLUSIVE),
    ],
)
def test_verdicts(
    low: float, high: float, p: float | None, less_is_better: bool, says: Verdict
) -> None:
    effect = Effect((low + high) / 2, low, high, p, 0.1, (5, 5))
    assert verdict(effect, p, 0.05, less_is_better=less_is_better) is says


def test_what_an_interval_holds_to() -> None:
    assert holds_to(Effect(1.0, 0.8, 1.1, 0.5, 0.1, (5, 5))) == pytest.approx(0.25)
    assert holds_to(Effect(1.0, 0.99, 1.1, 0.5, 0.1, (5, 5))) == pytest.approx(0.10)
