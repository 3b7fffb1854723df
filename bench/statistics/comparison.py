"""Two result files, case by case: what changed, how sure that is, and whether they compare at all.

This module decides which values are compared and over which cases p-values are corrected; the
statistics are in ``effects``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

from bench.cases.case import Case
from bench.cases.managers.floor import FLOOR
from bench.cases.managers.yours import is_peer
from bench.cases.notations import NO_ADMISSION
from bench.results import row as rows
from bench.results.environment import Environment
from bench.results.key import Value
from bench.results.row import CaseRow, both, less_is_better, measure_of, pipes_text
from bench.results.summary import Summary
from bench.statistics import effects
from bench.statistics.control import Control, Rounds, control_of, round_means
from bench.statistics.effects import Effect, Verdict

MEASURES: Final = tuple(item.field for item in rows.MEASURES.values() if item.heading is not None)
"""Fields of a row that are compared: the measures that tables show."""

DECISIVE: Final = "time_per_redo_s"
"""The measure whose verdict is that of the case."""

MARGIN: Final = 0.05
"""A change within this share counts as the same."""

_MUST_AGREE: Final = {
    "redo_cpu_model": "CPU",
    "redo_cpu_count": "number of CPUs",
    "redo_cpu_governor": "CPU governor",
    "redo_cpus_allowed": "CPUs allowed",
    "redo_kernel": "kernel",
    "python_implementation": "interpreter",
    "python_version": "interpreter's version",
    "redo_child_build_compiler": "compiler of the child",
    "redo_child_build_c_child_flags": "flags of the child",
    "redo_child_build_c_child_sandbox": "sandbox of the child",
    "redo_seed": "seed",
}
_SHA256_CHARS: Final = 12
"""So much of a hash is compared and shown."""

_OWN_MANAGER: Final = "own manager"
_CASES_MUST_AGREE: Final[Mapping[str, Callable[[Environment, CaseRow], str]]] = {
    "bytes of pipes": lambda _, row: pipes_text(row.pipe_bytes.values()),
    "CPUs of manager and child": lambda _, row: _cpus_text(row),
    "further interpreter": lambda suite, row: _listed(suite.pythons, row.case.python),
    "workload file": lambda suite, row: _sha256(suite.workload_files, row.case.workload),
    _OWN_MANAGER: lambda suite, row: _sha256(suite.own_managers, row.case.manager),
    "own child": lambda suite, row: _sha256(suite.own_children, row.case.child),
    "peer": lambda suite, row: (
        (suite.peer_sha256 or "")[:_SHA256_CHARS] if is_peer(row.case.manager) else ""
    ),
}
"""Conditions of a case, as text that is empty where its runs do not have them. What the user brings
is one of the cases that use it: the others compare with results that do not have it."""

_SAME_FLOOR: Final = ("redo_child_build_floor_key", "redo_child_build_c_child_key")
"""Keys of what the floor is made of: its own program and the child that answers it."""

_SETTINGS_MUST_AGREE: Final = ("slices", "seconds", "warmup_s", "timeout_s")


@dataclass(frozen=True, slots=True)
class Compared:
    """One measure of one case. ``p_corrected`` is over all cases of the comparison."""

    effect: Effect
    p_corrected: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class FailedCase:
    """A case without any run that succeeded. ``side`` is ``base``, ``changed`` or ``base and
    changed``; ``reason`` is that of the first run that failed."""

    case: Case
    side: str
    reason: str


@dataclass(frozen=True, slots=True)
class CaseComparison:
    """A case of both files, and the measures of which both have a value."""

    case: Case
    measures: Mapping[str, Compared]
    failed: bool = False
    """On one side or on both: then there is nothing to compare."""

    @property
    def decisive(self) -> Compared | None:
        return self.measures.get(DECISIVE)

    @property
    def verdict(self) -> Verdict:
        """That of `DECISIVE`."""
        return Verdict.INCONCLUSIVE if self.decisive is None else self.decisive.verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two result files compared.

    ``overall`` is the geometric mean of time per redo over all cases that both measured; None if
    there is none. ``failed`` are of either file, and in neither ``only_base`` nor
    ``only_changed``. ``differences`` forbid the comparison unless it is forced.
    """

    base: Summary
    changed: Summary
    paired: bool
    cases: tuple[CaseComparison, ...]
    only_base: tuple[Case, ...]
    only_changed: tuple[Case, ...]
    failed: tuple[FailedCase, ...]
    overall: Effect | None
    differences: tuple[str, ...]
    drift: Effect | None = None
    """How the floor's time per redo changed, if the ratios are without this change (`control`)."""


def compare(
    base: Summary,
    changed: Summary,
    *,
    margin: float = MARGIN,
    measures: Iterable[str] = MEASURES,
    is_controlled: bool = True,
    whole: tuple[Summary, Summary] | None = None,
) -> Comparison:
    """Compares every case that both have; by round if they are the sides of one A/B measurement.

    ``margin``: see `MARGIN`. ``measures``: fields of a row. ``is_controlled``: the ratios of two
    files that were not measured together are without the change of the floor (`control`), unless
    the floor itself or the child is not the same in both. ``whole``: the files as they were before
    cases were chosen (`of_cases`), with all of the floor; base and changed themselves by default.
    """
    paired = is_paired(base, changed)
    before = {row.case: row for row in base.rows}
    after = {row.case: row for row in changed.rows}
    both = [case for case in before if case in after]
    pairs = {case: (before[case], after[case]) for case in both}
    is_controlled = is_controlled and not paired and _has_same_floor(base, changed)
    floors = _floors(*(whole or (base, changed))) if is_controlled else {}
    measures = tuple(measures)
    controls = {m: control_of(_values(m, floors)) for m in {*measures, DECISIVE}}
    control = controls[DECISIVE]
    found: dict[Case, dict[str, Compared]] = {case: {} for case in both}
    failed = _failed(base, changed)
    failed_cases = {each.case for each in failed}
    for measure in measures:
        measured = (
            _paired(measure, pairs) if paired else _unpaired(measure, pairs, controls[measure])
        )
        p_values = effects.corrected([effect.p_value for effect in measured.values()])
        for (case, effect), p in zip(measured.items(), p_values, strict=True):
            verdict = effects.verdict(effect, p, margin, less_is_better=less_is_better(measure))
            found[case][measure] = Compared(effect, p, verdict)
    return Comparison(
        base=base,
        changed=changed,
        paired=paired,
        cases=tuple(CaseComparison(case, found[case], case in failed_cases) for case in both),
        only_base=tuple(case for case in before if case not in {*after, *failed_cases}),
        only_changed=tuple(case for case in after if case not in {*before, *failed_cases}),
        failed=failed,
        overall=_overall(pairs, paired, control),
        differences=differences(base, changed),
        drift=None if control is None else control.drift,
    )


def is_paired(base: Summary, changed: Summary) -> bool:
    """Whether they are the sides of one A/B measurement."""
    return base.environment.ab is not None and base.environment.ab == changed.environment.ab


def of_cases(summary: Summary, patterns: Sequence[str]) -> Summary:
    """The same with the cases only whose names match a pattern, as ``sync/*``."""

    def is_meant(case: Case) -> bool:
        return any(fnmatchcase(case.name, pattern) for pattern in patterns)

    return replace(
        summary,
        rows=tuple(row for row in summary.rows if is_meant(row.case)),
        failures=tuple(failure for failure in summary.failures if is_meant(failure.case)),
    )


def differences(
    base: Summary, changed: Summary, cases: Collection[Case] | None = None
) -> tuple[str, ...]:
    """The conditions that differ between the files, as ``kernel: Linux 6.1 | Linux 6.12``.

    Conditions of a case count for these cases, or else for all that both have.
    """
    read_path = all(
        any(row.case.admission != NO_ADMISSION for row in summary.rows)
        for summary in (base, changed)
    )
    before, after = (_conditions(summary, read_path=read_path) for summary in (base, changed))
    of_files = (
        f"{name}: {_text(value)} | {_text(after.get(name))}"
        for name, value in before.items()
        if value != after.get(name)
    )
    return (*of_files, *_differences_of_cases(base, changed, cases))


def _differences_of_cases(
    base: Summary, changed: Summary, cases: Collection[Case] | None
) -> Iterator[str]:
    """As ``bytes of pipes: 1048576 | 65536 in sync/short/n=1 and 3 more``."""
    after = {row.case: row for row in changed.rows}
    rows = [
        (row, after[row.case])
        for row in base.rows
        if row.case in after and (cases is None or row.case in cases)
    ]
    for name, text in _CASES_MUST_AGREE.items():
        if name == _OWN_MANAGER and is_paired(base, changed):
            continue  # it is part of the code, of which each side has its own
        found: dict[str, list[str]] = {}
        for row, other in rows:
            one, two = text(base.environment, row), text(changed.environment, other)
            if one and two and one != two:
                found.setdefault(f"{one} | {two}", []).append(row.case.name)
        for values, names in found.items():
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            yield f"{name}: {values} in {names[0]}{more}"


def _listed(text: str | None, name: str) -> str:
    """What is said of that name in ``NAME: TEXT; NAME: TEXT``; empty if nothing is."""
    entries = (entry.rpartition(": ") for entry in (text or "").split("; "))
    return {known: said for known, _, said in entries}.get(name, "")


def _sha256(text: str | None, name: str) -> str:
    return _listed(text, name)[:_SHA256_CHARS]


def _cpus_text(row: CaseRow) -> str:
    estimate = row.further.get("redo_cpus")
    counts = set() if estimate is None else {round(count) for _, count in estimate.by_round}
    return " and ".join(map(str, sorted(counts)))


def _cpus_allowed(summary: Summary) -> Value:
    """As ``0-3,8`` or ``all``. Older files have pyperf's list only, and not if all were allowed."""
    environment = summary.environment
    listed = environment.cpus_allowed or summary.metadata.get("cpu_affinity")
    count = environment.cpu_count or 0
    every = (None, "0" if count == 1 else f"0-{count - 1}")
    return "all" if listed in every else str(listed)


def _conditions(summary: Summary, *, read_path: bool) -> dict[str, Value | None]:
    """What both files must have in common; the settings of the read path if both use it."""
    config = json.loads(summary.environment.config_json)
    conditions = {name: summary.metadata.get(key) for key, name in _MUST_AGREE.items()}
    conditions["CPUs allowed"] = _cpus_allowed(summary)
    conditions |= {name: config.get(name) for name in _SETTINGS_MUST_AGREE}
    if read_path:
        conditions |= {f"read_path.{name}": value for name, value in config["read_path"].items()}
    return conditions


def _text(value: Value | None) -> str:
    return "unknown" if value is None else str(value)


def condition(difference: str) -> str:
    """The condition that differs, without the values: ``kernel``."""
    return difference.partition(":")[0]


def pair_ratios(measure: str, base: CaseRow, changed: CaseRow) -> dict[int, float]:
    """The ratio of changed to base in each round that both have, of two files measured together.

    From the slices, which were taken in turn, where the measure has them. Values of zero have no
    ratio.
    """
    before, after = (_by_round(row, both(measure, base, changed)) for row in (base, changed))
    return {
        number: effects.ratio_of_slices(before[number], after[number])
        for number in sorted(before.keys() & after.keys())
        if len(before[number]) == len(after[number]) and min(*before[number], *after[number]) > 0
    }


def _by_round(row: CaseRow, measure: str) -> Mapping[int, Sequence[float]]:
    """The values of each round's slices; without slices the run's value as the only one."""
    estimate = measure_of(row, measure)
    whole = {} if estimate is None else {n: (value,) for n, value in estimate.by_round}
    return row.slices.get(measure) or whole


def _failed(base: Summary, changed: Summary) -> tuple[FailedCase, ...]:
    """In the order of the base's rows. The sides of one A/B measurement fail together, and only
    ``changed`` keeps the reason."""
    sides: dict[Case, list[str]] = {}
    reasons: dict[Case, str] = {}
    for side, summary in (("base", base), ("changed", changed)):
        for row in summary.rows:
            if not row.rounds:
                sides.setdefault(row.case, []).append(side)
        for failure in summary.failures:
            reasons.setdefault(failure.case, failure.reason)
    return tuple(FailedCase(case, " and ".join(on), reasons[case]) for case, on in sides.items())


def _has_same_floor(base: Summary, changed: Summary) -> bool:
    return all(
        (key := base.metadata.get(name)) is not None and key == changed.metadata.get(name)
        for name in _SAME_FLOOR
    )


Pairs = Mapping[Case, tuple[CaseRow, CaseRow]]
"""The rows of each case in base and changed."""


def _floors(base: Summary, changed: Summary) -> Pairs:
    after = {row.case: row for row in changed.rows}
    return {
        row.case: (row, after[row.case])
        for row in base.rows
        if row.case.kind is FLOOR and row.case in after
    }


def _paired(measure: str, pairs: Pairs) -> dict[Case, Effect]:
    """Without the cases in which there is nothing to compare."""
    ratios = {case: pair_ratios(measure, *rows) for case, rows in pairs.items()}
    return {
        case: effects.ratios_effect(list(found.values())) for case, found in ratios.items() if found
    }


def _unpaired(measure: str, pairs: Pairs, control: Control | None) -> dict[Case, Effect]:
    """Without the cases in which there is nothing to compare."""
    found = {
        case: _of_sides(*sides) if control is None else control.effect(case, *sides)
        for case, sides in _values(measure, pairs).items()
    }
    return {case: effect for case, effect in found.items() if effect is not None}


def _values(measure: str, pairs: Pairs) -> dict[Case, tuple[Rounds, Rounds]]:
    """The value of each round on both sides, of the cases whose values are all above 0."""
    found: dict[Case, tuple[Rounds, Rounds]] = {}
    for case, (base, changed) in pairs.items():
        field = both(measure, base, changed)
        estimates = (measure_of(base, field), measure_of(changed, field))
        before, after = (dict(each.by_round) if each is not None else {} for each in estimates)
        if before and after and min(*before.values(), *after.values()) > 0:
            found[case] = (before, after)
    return found


def _overall(pairs: Pairs, paired: bool, control: Control | None) -> Effect | None:
    """A round is the unit: a disturbance hits all of its cases alike."""
    values = _values(DECISIVE, pairs)
    if not values:
        return None
    if paired:
        ratios = round_means([pair_ratios(DECISIVE, *pairs[case]) for case in values])
        return effects.ratios_effect(list(ratios.values())) if ratios else None
    if control is not None:
        others = [sides for case, sides in values.items() if case not in control.cases]
        return control.overall(others) if others else None
    before, after = (round_means([sides[at] for sides in values.values()]) for at in (0, 1))
    return _of_sides(before, after)


def _of_sides(before: Rounds, after: Rounds) -> Effect | None:
    sides = [list(side.values()) for side in (before, after)]
    return effects.unpaired_effect(*sides) if all(sides) else None
