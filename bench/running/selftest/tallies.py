"""Counts how often `ab` is right in trials whose truth is known, and keeps the counts as JSON.

A *trial* is one A/B measurement of the code against itself. The changed side has the same child as
the base side (any difference that is found is a false alarm), or a child that costs more by a known
share, or one that is sometimes late. Rates have exact binomial intervals (C. Clopper and
E. Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial",
Biometrika 26 (1934)). Nothing here measures: `laboratory` makes the trials.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
from scipy.stats import binomtest

from bench.cases.managers.floor import FLOOR
from bench.errors import BenchError
from bench.results.environment import Environment
from bench.statistics.comparison import DECISIVE, MARGIN, CaseComparison, Comparison
from bench.statistics.effects import Effect, Verdict, ratios_effect, verdict

MAX_ALARMS: Final = 0.05
"""The highest accepted rate of false alarms, per comparison of all cases."""

LATE: Final = "late:ms=1,p=0.02"
"""1 ms late in 2 % of the replies, which changes p99 but not p50."""

LATE_P99: Final = f"{LATE}: turn_p99_s"
LATE_P50: Final = f"{LATE}: turn_p50_s by over {MARGIN:.0%}"

DECIDED_SHARE: Final = 0.05
DECIDED_S: Final = 60.0
DECIDED: Final = f"+{DECIDED_SHARE:.0%}, ab for {DECIDED_S:.0f} s"
"""One case with a child slower by that share, measured as `ab` does with a minute to spend."""

MINUTES_APART: Final = "two files"
HALF_APART: Final = "two files, half of the time apart"
FILES: Final = "+{:.0%}, {}"
SHARE_OF_FILES: Final = 0.10
MIN_CLIENTS_OF_FILES: Final = 8
"""Two whole files are to tell such a difference from this N on."""

MUST_BE_FOUND: Final = {
    DECIDED: 0.95,
    LATE_P99: 0.95,
    FILES.format(SHARE_OF_FILES, MINUTES_APART): 0.80,
}
"""In how many of the trials something must be found."""

LATE_ALWAYS: Final = "late:ms=1,every=1"
KNOWN_COST_S: Final = 1e-3
"""How much `LATE_ALWAYS` adds to each redo of a single client, by the child's clock."""

COST_TOLERANCE: Final = 0.05
"""The largest accepted relative error of the measured cost."""


@dataclass(slots=True)
class Tally:
    """In how many of the trials something was found; ``wrong``: in how many in the wrong direction.

    Trials that have a direction add their measured ratio to ``ratios``, and the smallest change
    that they could have shown to ``smallest_shown``.
    """

    trials: int = 0
    found: int = 0
    wrong: int = 0
    ratios: list[float] = field(default_factory=list)
    smallest_shown: list[float] = field(default_factory=list)

    def add(self, answer: Verdict, effect: Effect) -> None:
        """Counts a trial whose truth is ``slower``."""
        self.trials += 1
        self.found += answer is Verdict.SLOWER
        self.wrong += answer is Verdict.FASTER
        self.ratios.append(effect.ratio)
        if effect.smallest_shown is not None:
            self.smallest_shown.append(effect.smallest_shown)

    def count(self, found: bool) -> None:
        """Counts a trial without a direction."""
        self.trials += 1
        self.found += found

    def interval(self) -> tuple[float, float]:
        """The confidence interval of the rate; 0 to 1 without trials."""
        if not self.trials:
            return 0.0, 1.0
        bounds = binomtest(self.found, self.trials).proportion_ci(0.95, method="exact")
        return float(bounds.low), float(bounds.high)


@dataclass(slots=True)
class Report:
    """All tallies by name, the measured costs of the floor, and the reasons of failed trials."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    floor_costs_s: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def tally(self, name: str) -> Tally:
        return self.tallies.setdefault(name, Tally())

    def add_same(self, cases: Sequence[CaseComparison], of: str = "") -> None:
        """A trial without a change: any case that differs by its verdict is a false alarm.

        Each measure is a family of verdicts of its own.
        """
        for measure in dict.fromkeys(name for case in cases for name in case.measures):
            verdicts = {c.measures[measure].verdict for c in cases if measure in c.measures}
            is_alarm = not verdicts.isdisjoint((Verdict.FASTER, Verdict.SLOWER))
            self.tally(f"false alarm: {of}{measure}").count(is_alarm)

    def add_files(self, comparison: Comparison, share: float, when: str = MINUTES_APART) -> None:
        """A trial of two whole files: without a change a false alarm is counted as in `add_same`,
        and of the line over all cases if its interval leaves out 1; with one, each case of a
        manager with enough clients. ``when``: how far apart they were measured."""
        if share:
            for case in comparison.cases:
                if case.case.clients >= MIN_CLIENTS_OF_FILES and case.case.kind is not FLOOR:
                    self.add_decided(FILES.format(share, when), case)
            return
        self.add_same(comparison.cases, f"{when}, ")
        overall = comparison.overall
        if overall is not None and overall.low is not None and overall.high is not None:
            self.tally(f"false alarm: {when}, over all of them").count(
                not overall.low <= 1 <= overall.high
            )

    def add_slower(self, name: str, ratios: Sequence[float], at: Sequence[int]) -> None:
        """A trial of a slower child: the ratio of each pair, judged after ``at`` pairs each."""
        for pairs in at:
            if len(ratios) >= pairs:
                effect = ratios_effect(ratios[:pairs])
                answer = verdict(effect, effect.p_value, MARGIN, less_is_better=True)
                self.tally(f"{name}, {pairs} pairs").add(answer, effect)

    def add_decided(self, name: str, case: CaseComparison) -> None:
        decisive = case.measures[DECISIVE]
        self.tally(name).add(decisive.verdict, decisive.effect)

    def add_late(self, case: CaseComparison) -> None:
        """A trial of a child that is sometimes late.

        The redos after a late one are a little slower too, so p50 only counts as slower if it is
        slower by more than the margin.
        """
        p99, p50 = case.measures["turn_p99_s"], case.measures["turn_p50_s"]
        self.tally(LATE_P99).add(p99.verdict, p99.effect)
        beyond = p50.effect.low is not None and p50.effect.low > 1 + MARGIN
        answer = p50.verdict if beyond or p50.verdict is Verdict.FASTER else Verdict.SAME
        self.tally(LATE_P50).add(answer, p50.effect)

    def add_floor(self, base_s: Sequence[float], changed_s: Sequence[float]) -> None:
        """The floor, with and without a child of known cost."""
        pairs = zip(base_s, changed_s, strict=True)
        self.floor_costs_s += [after_s - before_s for before_s, after_s in pairs]

    def problems(self) -> list[str]:
        """Results that contradict docs/selftest.md by more than chance explains."""
        wrong, alarms, missed, late = list[str](), list[str](), list[str](), list[str]()
        for name, tally in self.tallies.items():
            low, high = tally.interval()
            if tally.wrong:
                wrong.append(f"{name}: the wrong direction {tally.wrong} times")
            if name.startswith("false alarm") and low > MAX_ALARMS:
                alarms.append(f"{name}: significantly more than {MAX_ALARMS:.0%}")
            if high < (least := MUST_BE_FOUND.get(name, 0.0)):
                missed.append(f"{name}: found in significantly less than {least:.0%}")
            if name == LATE_P50 and low > MAX_ALARMS:
                late.append(f"{name}: said in significantly more than {MAX_ALARMS:.0%}")
        found = [*wrong, *alarms, *missed, *late]
        if self.floor_costs_s:
            median = statistics.median(self.floor_costs_s)
            if abs(median / KNOWN_COST_S - 1) > COST_TOLERANCE:
                known, measured = (f"{cost_s * 1e6:.0f} us" for cost_s in (KNOWN_COST_S, median))
                found.append(f"the floor: a cost of {known} measured as {measured}")
        return found + self.failed


_KIND: Final = "redo-selftest"
_SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """A report, the code and machine it is about, and the options of the command."""

    report: Report
    environment: Environment
    minutes: float
    only: tuple[str, ...]
    """The kinds of trials that were chosen."""
    machine: dict[str, float] = field(default_factory=dict)
    """What else the machine did meanwhile, by the keys of a run (`results.disturbance`). Empty in
    files of older versions."""


def to_json(kept: Kept) -> str:
    report, environment = kept.report, kept.environment.to_metadata()
    return json.dumps(
        {
            "kind": _KIND,
            "schema": _SCHEMA,
            "environment": {k: value for k, value in environment.items() if value is not None},
            "minutes": kept.minutes,
            "only": kept.only,
            "machine": kept.machine,
            "tallies": {
                name: {**asdict(tally), "interval": tally.interval()}
                for name, tally in report.tallies.items()
            },
            "floor_costs_s": report.floor_costs_s,
            "known_cost_s": KNOWN_COST_S,
            "failed": report.failed,
        },
        indent=2,
    )


def from_json(path: Path) -> Kept:
    """Reads what `to_json` made. Raises BenchError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise BenchError(f"{path}: not JSON; selftest --json writes what --from reads") from None
    if not isinstance(data, dict) or data.get("kind") != _KIND:
        raise BenchError(f"{path}: not of selftest, whose --json writes what --from reads")
    if data.get("schema") != _SCHEMA:
        raise BenchError(f"{path}: schema {data.get('schema')}, but this suite reads {_SCHEMA}")
    try:
        kept = _kept(data)
    except (KeyError, TypeError, ValueError, AttributeError, msgspec.ValidationError) as error:
        raise BenchError(f"{path}: damaged: {error!r}") from None
    if data.get("known_cost_s") != KNOWN_COST_S:
        raise BenchError(
            f"{path}: of a known cost of {data.get('known_cost_s')} s, but this suite's is"
            f" {KNOWN_COST_S}"
        )
    return kept


def _kept(data: Mapping[str, Any]) -> Kept:
    tallies = msgspec.convert(
        {
            name: {key: value for key, value in tally.items() if key != "interval"}
            for name, tally in data["tallies"].items()
        },
        dict[str, Tally],
    )
    for name, tally in tallies.items():
        if not 0 <= tally.found <= tally.trials or not tally.trials:
            raise ValueError(f"{name}: {tally.found} of {tally.trials} trials")
    costs_s = msgspec.convert(data["floor_costs_s"], list[float])
    return Kept(
        Report(tallies, costs_s, msgspec.convert(data["failed"], list[str])),
        Environment.from_metadata(data["environment"]),
        float(data["minutes"]),
        tuple(data["only"]),
        msgspec.convert(data.get("machine", {}), dict[str, float]),
    )
