"""The benchmark of the benchmark: `ab` asked where the truth is known, and its answers counted.

A *trial* is one A/B measurement of the code against itself, with a child of its own on each side:
the same child (whatever is found then is a false alarm), or one that costs more by a known share,
or one that is late now and then. Rates come with exact binomial intervals (C. Clopper and
E. Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial",
Biometrika 26 (1934)). Nothing here measures: trials come from `laboratory`.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from scipy.stats import binomtest

from bench.statistics.comparison import DECISIVE, MARGIN, CaseComparison
from bench.statistics.effects import Effect, Verdict, ratios_effect, verdict

CONFIDENCE: Final = 0.95
MOST_ALARMS: Final = 0.05
"""The share of comparisons of the same that may say of any case that it differs."""

LATE: Final = "late:ms=1,p=0.02"
"""1 ms late in 2 % of the replies: of p99 a matter, of p50 not."""

LATE_P99: Final = f"{LATE}: latency_p99_s"
LATE_P50: Final = f"{LATE}: latency_p50_s by over {MARGIN:.0%}"

DECIDED_SHARE: Final = 0.05
DECIDED_S: Final = 60.0
DECIDED: Final = f"+{DECIDED_SHARE:.0%}, ab for {DECIDED_S:.0f} s"
"""One case slowed by so much, measured as `ab` does with a minute to spend."""

MUST_BE_FOUND: Final = (DECIDED, LATE_P99)
LEAST_FOUND: Final = 0.95

LATE_ALWAYS: Final = "late:ms=1,every=1"
KNOWN_COST_S: Final = 1e-3
"""What `LATE_ALWAYS` adds to each redo of one client, by the child's clock."""

COST_TOLERANCE: Final = 0.05
"""How far the measured cost may be from the known one."""


@dataclass(slots=True)
class Tally:
    """How often something was found, of how many trials; ``wrong``: with the wrong direction.

    ``ratios`` are the measured ones of the trials that have a direction, ``smallest_shown`` what
    each of them could have shown.
    """

    trials: int = 0
    found: int = 0
    wrong: int = 0
    ratios: list[float] = field(default_factory=list)
    smallest_shown: list[float] = field(default_factory=list)

    def add(self, said: Verdict, effect: Effect) -> None:
        """Counts a verdict of a trial whose truth is ``slower``."""
        self.trials += 1
        self.found += said is Verdict.SLOWER
        self.wrong += said is Verdict.FASTER
        self.ratios.append(effect.ratio)
        if effect.smallest_shown is not None:
            self.smallest_shown.append(effect.smallest_shown)

    def count(self, found: bool) -> None:
        """Counts a trial without a direction."""
        self.trials += 1
        self.found += found

    def interval(self) -> tuple[float, float]:
        """Of the rate, to `CONFIDENCE`. Without trials nothing is known: 0 to 1."""
        if not self.trials:
            return 0.0, 1.0
        bounds = binomtest(self.found, self.trials).proportion_ci(CONFIDENCE, method="exact")
        return float(bounds.low), float(bounds.high)


@dataclass(slots=True)
class Report:
    """All tallies, by name in the order of the table, and the measured costs of the floor."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    floor_costs_s: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def tally(self, name: str) -> Tally:
        return self.tallies.setdefault(name, Tally())

    def add_same(self, cases: Sequence[CaseComparison]) -> None:
        """A trial of the same twice: any case that is said to differ is a false alarm.

        The verdicts of time per redo are one family, those of every other measure another.
        """
        for measure in dict.fromkeys(name for one in cases for name in one.measures):
            alarms = [
                one.case
                for one in cases
                if measure in one.measures
                and one.measures[measure].verdict in (Verdict.FASTER, Verdict.SLOWER)
            ]
            self.tally(f"false alarm: {measure}").count(bool(alarms))

    def add_slower(self, name: str, ratios: Sequence[float], at: Sequence[int]) -> None:
        """A trial of a slower child, as the ratio of each pair: judged after so many pairs."""
        for pairs in at:
            if len(ratios) >= pairs:
                effect = ratios_effect(ratios[:pairs])
                said = verdict(effect, effect.p_value, MARGIN, less_is_better=True)
                self.tally(f"{name}, {pairs} pairs").add(said, effect)

    def add_decided(self, name: str, case: CaseComparison) -> None:
        """A trial of a slower child, measured as `ab` does until it is decided."""
        decisive = case.measures[DECISIVE]
        self.tally(name).add(decisive.verdict, decisive.effect)

    def add_late(self, case: CaseComparison) -> None:
        """A trial of a child that is late now and then.

        The redos after a late one are a little slower, too: p50 counts as found where it is slower
        by more than what counts as the same.
        """
        p99, p50 = case.measures["latency_p99_s"], case.measures["latency_p50_s"]
        self.tally(LATE_P99).add(p99.verdict, p99.effect)
        beyond = p50.effect.low is not None and p50.effect.low > 1 + MARGIN
        said = p50.verdict if beyond or p50.verdict is Verdict.FASTER else Verdict.SAME
        self.tally(LATE_P50).add(said, p50.effect)

    def add_floor(self, base_s: Sequence[float], changed_s: Sequence[float]) -> None:
        """The floor, with and without a child of known cost."""
        self.floor_costs_s += [
            after - before for before, after in zip(base_s, changed_s, strict=True)
        ]

    def problems(self) -> list[str]:
        """What contradicts the promises of docs/comparing.md beyond chance."""
        found = [
            f"{name}: the wrong direction {tally.wrong} times"
            for name, tally in self.tallies.items()
            if tally.wrong
        ]
        found += [
            f"{name}: more than {MOST_ALARMS:.0%} for sure"
            for name, tally in self.tallies.items()
            if name.startswith("false alarm") and tally.interval()[0] > MOST_ALARMS
        ]
        found += [
            f"{name}: found in less than {LEAST_FOUND:.0%} for sure"
            for name, tally in self.tallies.items()
            if name in MUST_BE_FOUND and tally.interval()[1] < LEAST_FOUND
        ]
        found += [
            f"{name}: said in more than {MOST_ALARMS:.0%} for sure"
            for name, tally in self.tallies.items()
            if name == LATE_P50 and tally.interval()[0] > MOST_ALARMS
        ]
        if self.floor_costs_s:
            median = statistics.median(self.floor_costs_s)
            if abs(median / KNOWN_COST_S - 1) > COST_TOLERANCE:
                found.append(
                    f"the floor: a cost of {KNOWN_COST_S * 1e6:.0f} us measured as"
                    f" {median * 1e6:.0f} us"
                )
        return found + self.failed
