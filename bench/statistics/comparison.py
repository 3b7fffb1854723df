"""Two result files, case by case: what changed, how sure that is, and whether they compare at all.

Statistics are in ``effects``; this module says which values meet, and over what p-values are
corrected. Rows are plain data; nothing here draws, prints or knows a live object.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.cases.case import Case
from bench.cases.notations import NO_ADMISSION
from bench.results.key import Value
from bench.results.row import both
from bench.results.summary import MEASURES as ROW_MEASURES
from bench.results.summary import CaseRow, Summary, less_is_better, measure_of
from bench.statistics.effects import (
    Effect,
    Verdict,
    corrected,
    ratio_of_slices,
    ratios_effect,
    unpaired_effect,
    verdict,
)

MEASURES: Final = tuple(one.field for one in ROW_MEASURES.values() if one.heading is not None)
"""What is compared, fields of a row: the measures that tables show."""

DECISIVE: Final = "time_per_redo_s"
"""Whose verdict is that of the case."""

MARGIN: Final = 0.05
"""A change that stays within this share counts as the same."""

_MUST_AGREE: Final = {
    "redo_cpu_model": "CPU",
    "redo_cpu_count": "number of CPUs",
    "redo_cpu_governor": "CPU governor",
    "cpu_affinity": "CPUs allowed",
    "redo_kernel": "kernel",
    "python_implementation": "interpreter",
    "python_version": "interpreter's version",
    "redo_pythons": "further interpreters",
    "redo_child_build_compiler": "compiler of the child",
    "redo_child_build_c_child_flags": "flags of the child",
    "redo_child_build_c_child_sandbox": "sandbox of the child",
    "redo_peer_sha256": "peer",
    "redo_workload_files": "workload files",
    "redo_own_managers": "own managers",
    "redo_own_children": "own children",
    "redo_seed": "seed",
}
_SETTINGS_MUST_AGREE: Final = ("slices", "seconds", "warmup_s", "timeout_s")


@dataclass(frozen=True, slots=True)
class Compared:
    """One measure of one case. ``p_corrected`` is over all cases of the comparison."""

    effect: Effect
    p_corrected: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class CaseComparison:
    """A case that both files have; ``measures`` are those that both have a value of."""

    case: Case
    measures: Mapping[str, Compared]

    @property
    def decisive(self) -> Compared | None:
        """Its time per redo."""
        return self.measures.get(DECISIVE)

    @property
    def verdict(self) -> Verdict:
        """That of its time per redo."""
        return Verdict.INCONCLUSIVE if self.decisive is None else self.decisive.verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All that two result files say about each other.

    ``overall`` is the geometric mean of time per redo over all cases that both measured; None if
    there is none. ``differences`` are what forbids the comparison unless it is forced.
    """

    base: Summary
    changed: Summary
    paired: bool
    cases: tuple[CaseComparison, ...]
    only_base: tuple[Case, ...]
    only_changed: tuple[Case, ...]
    overall: Effect | None
    differences: tuple[str, ...]


def compare(base: Summary, changed: Summary, *, margin: float = MARGIN) -> Comparison:
    """Compares every case that both have; by round if they are the sides of one measurement.

    ``margin``: see `MARGIN`.
    """
    paired = base.environment.ab is not None and base.environment.ab == changed.environment.ab
    before = {row.case: row for row in base.rows}
    after = {row.case: row for row in changed.rows}
    both = [case for case in before if case in after]
    found: dict[Case, dict[str, Compared]] = {case: {} for case in both}
    for measure in MEASURES:
        effects = {
            case: effect
            for case in both
            if (effect := _effect(measure, before[case], after[case], paired)) is not None
        }
        p_values = corrected([effect.p_value for effect in effects.values()])
        for (case, effect), p in zip(effects.items(), p_values, strict=True):
            decided = verdict(effect, p, margin, less_is_better=less_is_better(measure))
            found[case][measure] = Compared(effect, p, decided)
    return Comparison(
        base=base,
        changed=changed,
        paired=paired,
        cases=tuple(CaseComparison(case, found[case]) for case in both),
        only_base=tuple(case for case in before if case not in after),
        only_changed=tuple(case for case in after if case not in before),
        overall=_overall([(before[case], after[case]) for case in both], paired),
        differences=differences(base, changed),
    )


def worst_slowdown(comparison: Comparison) -> CaseComparison | None:
    """The case that is surely slower by the most, None if none is."""
    slower = [one for one in comparison.cases if one.verdict is Verdict.SLOWER]
    return max(slower, key=lambda one: one.measures[DECISIVE].effect.ratio, default=None)


def differences(base: Summary, changed: Summary) -> tuple[str, ...]:
    """What the files must have in common and have not, as ``kernel: Linux 6.1 | Linux 6.12``."""
    pairs = [
        (name, base.metadata.get(key), changed.metadata.get(key))
        for key, name in _MUST_AGREE.items()
    ]
    pairs += [
        (name, before, after)
        for name, before, after in zip(
            _SETTINGS_MUST_AGREE, _settings(base), _settings(changed), strict=True
        )
    ]
    of_base, of_changed = _read_path(base), _read_path(changed)
    if of_base and of_changed:
        pairs += [
            (f"read_path.{name}", before, of_changed.get(name)) for name, before in of_base.items()
        ]
    return tuple(
        f"{name}: {_said(before)} | {_said(after)}"
        for name, before, after in pairs
        if before != after
    )


def condition(difference: str) -> str:
    """What changed, without the values: ``kernel``."""
    return difference.partition(":")[0]


def _settings(summary: Summary) -> list[Value | None]:
    config = json.loads(summary.environment.config_json)
    return [config.get(name) for name in _SETTINGS_MUST_AGREE]


def _read_path(summary: Summary) -> Mapping[str, Value]:
    """The settings of the read path; empty where no case has one."""
    if all(row.case.admission == NO_ADMISSION for row in summary.rows):
        return {}
    found: Mapping[str, Value] = json.loads(summary.environment.config_json)["read_path"]
    return found


def _said(value: Value | None) -> str:
    return "unknown" if value is None else str(value)


def pair_ratios(measure: str, base: CaseRow, changed: CaseRow) -> dict[int, float]:
    """The ratio of changed to base in each round that both have, of two files measured together.

    From the slices, which were taken in turn, where the measure has them. A measure of zero has no
    ratio.
    """
    before, after = (_by_round(row, both(measure, base, changed)) for row in (base, changed))
    return {
        number: ratio_of_slices(before[number], after[number])
        for number in sorted(before.keys() & after.keys())
        if len(before[number]) == len(after[number]) and min(*before[number], *after[number]) > 0
    }


def _by_round(row: CaseRow, measure: str) -> Mapping[int, Sequence[float]]:
    """What was measured in turn: the values of the slices, else the run's as if it were one."""
    estimate = measure_of(row, measure)
    whole = {} if estimate is None else {n: (value,) for n, value in estimate.by_round}
    return row.slices.get(measure) or whole


def _effect(measure: str, base: CaseRow, changed: CaseRow, paired: bool) -> Effect | None:
    """None where there is nothing to compare."""
    if paired:
        ratios = pair_ratios(measure, base, changed)
        return ratios_effect(list(ratios.values())) if ratios else None
    before, after = (measure_of(row, both(measure, base, changed)) for row in (base, changed))
    if before is None or after is None:
        return None
    return _unpaired(dict(before.by_round), dict(after.by_round))


def _unpaired(before: Mapping[int, float], after: Mapping[int, float]) -> Effect | None:
    values = [list(side.values()) for side in (before, after)]
    if not all(values) or min(map(min, values)) <= 0:
        return None
    return unpaired_effect(*values)


def _overall(rows: Sequence[tuple[CaseRow, CaseRow]], paired: bool) -> Effect | None:
    """A round is the unit: what disturbed it disturbed all of its cases."""
    measured = [
        (before, after)
        for before, after in rows
        if before.time_per_redo_s is not None and after.time_per_redo_s is not None
    ]
    if not measured:
        return None
    if paired:
        ratios = _round_means(pair_ratios(DECISIVE, *pair) for pair in measured)
        return ratios_effect(list(ratios.values())) if ratios else None
    sides = [
        _round_means(dict(row.time_per_redo_s.by_round) for row in side if row.time_per_redo_s)
        for side in zip(*measured, strict=True)
    ]
    return _unpaired(*sides)


def _round_means(cases: Iterable[Mapping[int, float]]) -> dict[int, float]:
    """The geometric mean over all cases of each round that has them all."""
    by_round = list(cases)
    complete = set.intersection(*(set(values) for values in by_round))
    return {
        number: float(np.exp(np.mean([np.log(values[number]) for values in by_round])))
        for number in sorted(complete)
    }
