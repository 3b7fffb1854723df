"""The floor as the control of a comparison of two files: what the machine did, not the code.

A machine is faster in one hour than in another, and that changes all cases of a file alike. The
floor is a program that is the same on both sides, so its change is the machine's. Each value of a
case is divided by the geometric mean of the floor in the same round: of all floor cases, since one
alone scatters as much as what it is to correct. The uncertainty of this divisor is in the scatter
of the quotients.

Cases also differ between files in ways of their own, which rounds cannot show, as all rounds of a
file have them. How much is estimated from the floor cases, which should all change by the same
factor: the variance between them beyond that of their rounds (R. DerSimonian and N. Laird,
"Meta-Analysis in Clinical Trials", Controlled Clinical Trials 7 (1986)). It is added to the
variance of every case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.cases.case import Case
from bench.statistics import effects
from bench.statistics.effects import Effect, Floats

MIN_CASES: Final = 3
"""Floor cases that a control needs: fewer do not show how much cases differ by themselves."""

Rounds = Mapping[int, float]
"""The value of each round; all above 0."""


@dataclass(frozen=True, slots=True)
class Control:
    """The floor of both files in one measure. ``cases``: (base, changed) of each floor case;
    ``means``: likewise, over all of them.

    ``drift`` is the ratio of changed to base of the floor, over all its cases. ``scatter`` is the
    variance of the logarithm of a case's ratio that rounds do not show.
    """

    cases: Mapping[Case, tuple[Rounds, Rounds]]
    means: tuple[Rounds, Rounds]
    drift: Effect
    scatter: float

    def effect(self, case: Case, base: Rounds, changed: Rounds) -> Effect | None:
        """The ratio of changed to base without the drift. A floor case is compared with the others.

        None if a side has no round in common with the floor.
        """
        floor = self.means
        if case in self.cases:
            floor = _means([sides for other, sides in self.cases.items() if other != case])
        return self._effect((base, changed), floor, self.scatter)

    def overall(self, cases: Sequence[tuple[Rounds, Rounds]]) -> Effect | None:
        """The ratio over all these cases, none of the floor. A round is the unit."""
        # Managers have more in common with each other than with the floor (the interpreter), so
        # what they drift by themselves does not cancel out in their mean.
        scatter = self.scatter * (1 + 1 / len(self.cases))
        return self._effect(_means(cases), self.means, scatter)

    def _effect(
        self, sides: tuple[Rounds, Rounds], floor: tuple[Rounds, Rounds], scatter: float
    ) -> Effect | None:
        """That of both sides over the floor, of the rounds that have both."""
        divided = [
            [value / means[number] for number, value in side.items() if number in means]
            for side, means in zip(sides, floor, strict=True)
        ]
        if not all(divided):
            return None
        freedom = len(self.cases) - 1.0
        return effects.unpaired_effect(*divided, scatter=scatter, scatter_freedom=freedom)


def control_of(values: Mapping[Case, tuple[Rounds, Rounds]]) -> Control | None:
    """The control from the values of the floor's cases that two files have in common; None if these
    are too few."""
    cases = {case: sides for case, sides in values.items() if min(map(len, sides)) > 1}
    if len(cases) < MIN_CASES:
        return None
    means = _means(list(cases.values()))
    if not all(means):
        return None
    drift = effects.unpaired_effect(*(list(side.values()) for side in means))
    return Control(cases, means, drift, _scatter(list(cases.values())))


def round_means(cases: Sequence[Rounds]) -> dict[int, float]:
    """The geometric mean over all cases of each round that has them all."""
    numbers = sorted(set.intersection(*(set(values) for values in cases)))
    return {
        number: float(np.exp(np.mean([np.log(values[number]) for values in cases])))
        for number in numbers
    }


def _means(cases: Sequence[tuple[Rounds, Rounds]]) -> tuple[Rounds, Rounds]:
    """`round_means` of both sides."""
    before, after = zip(*cases, strict=True)
    return round_means(before), round_means(after)


def _scatter(cases: Sequence[tuple[Rounds, Rounds]]) -> float:
    """The variance between the changes of these cases beyond that of their rounds."""
    logs: list[list[Floats]] = [[np.log(list(side.values())) for side in sides] for sides in cases]
    changes = np.array([after.mean() - before.mean() for before, after in logs])
    variances = np.array([sum(side.var(ddof=1) / side.size for side in sides) for sides in logs])
    weights = 1 / np.maximum(variances, np.finfo(np.float64).eps)
    total = weights.sum()
    mean = (weights * changes).sum() / total
    beyond = (weights * (changes - mean) ** 2).sum() - (len(cases) - 1)
    return max(0.0, float(beyond / (total - (weights**2).sum() / total)))
