"""Ratios over rounds, the unit of resampling: all cases of a round were disturbed alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bench.cases.managers.registry import competes
from bench.results.row import CaseRow, Estimate, less_is_better, measure_of
from bench.results.summary import Group
from bench.statistics import effects
from bench.statistics.effects import SMALLEST_LEAD, Effect, Floats


def over_clients(group: Group, *curves: tuple[str, str]) -> dict[int, list[Estimate]]:
    """N -> the estimate of each (manager, measure), for every N at which all of them have one.

    Ascending. A measure is a field of a row.
    """
    found = {}
    for clients in group.clients:
        rows = ((group.row(manager, clients), measure) for manager, measure in curves)
        estimates = [measure_of(row, measure) for row, measure in rows if row is not None]
        known = [estimate for estimate in estimates if estimate is not None]
        if len(known) == len(curves):
            found[clients] = known
    return found


def in_common(estimates: Sequence[Estimate]) -> Floats:
    """Values of the rounds that all estimates have, ascending: (rounds, estimates)."""
    columns = [dict(estimate.by_round) for estimate in estimates]
    rounds = sorted(set.intersection(*(set(column) for column in columns)))
    values = [[column[number] for column in columns] for number in rounds]
    return np.array(values, dtype=np.float64).reshape(len(rounds), len(columns))


def threshold(
    named: Sequence[int | None],
    values: Floats,
    index_of: Callable[[Floats], NDArray[np.int64]],
    *,
    stretched: bool,
) -> tuple[int | None, bool, int | None, int | None]:
    """``named`` at the index of the mean of the rounds, and at those that bound the indices of 95 %
    of the resamples; in between, whether there are enough rounds for these bounds (two).

    ``values``: (rounds, N). ``index_of`` gives an index for each row. ``stretched``: as in
    ``effects``.
    """
    size, mean = len(values), values.mean(axis=0)
    draws = values[effects.drawn(size)].mean(axis=1)
    if stretched and size > 1:
        draws = mean + (draws - mean) * effects.stretch(size - 1)
    low, high = np.quantile(index_of(draws), effects.TAILS, method="nearest")
    return named[int(index_of(mean[None])[0])], size >= 2, named[int(low)], named[int(high)]


def log_ratios(pairs: Iterable[Sequence[Estimate]]) -> Floats | None:
    """log(first / second) of each pair in each round that all pairs have: (rounds, pairs).

    None without such a round, or where a value is not above 0.
    """
    values = in_common([estimate for pair in pairs for estimate in pair])
    if not values.size or values.min() <= 0:
        return None
    ratios: Floats = np.log(values[:, 0::2] / values[:, 1::2])
    return ratios


@lru_cache(maxsize=4096)  # tables, titles and data ask for the same ratios
def ratio(above: Estimate | None, below: Estimate | None) -> Effect | None:
    """``above`` / ``below`` over the rounds that both have: geometric mean and interval.

    None without such a round, or where a value is not above 0.
    """
    ratios = _ratios(above, below)
    return effects.ratios_effect(ratios) if ratios else None


def point_ratio(above: Estimate | None, below: Estimate | None) -> float | None:
    """The geometric mean of `ratio`, which needs no bootstrap."""
    ratios = _ratios(above, below)
    return effects.mean_ratio(ratios) if ratios else None


def _ratios(above: Estimate | None, below: Estimate | None) -> list[float]:
    if above is None or below is None:
        return []
    divisors = dict(below.by_round)
    pairs = [(value, divisors[at]) for at, value in above.by_round if at in divisors]
    positive = all(min(pair) > 0 for pair in pairs)
    return [value / divisor for value, divisor in pairs] if positive else []


def winner(rows: Sequence[CaseRow], measure: str) -> CaseRow | None:
    """The row that the rounds show to be better than each other one (`side`), if there is any.

    A single round does not show it. The floor and the no-ops do not compete. ``measure``: a field
    of a row.
    """
    rivals = [
        (row, estimate)
        for row in rows
        if competes(row.case.manager) and (estimate := measure_of(row, measure)) is not None
    ]
    if len(rivals) < 2:
        return None
    for row, own in rivals:
        others = [estimate for rival, estimate in rivals if rival is not row]
        # Ratios that are below 1 where the row is better.
        pairs = [(own, other) if less_is_better(measure) else (other, own) for other in others]
        # The means first: they rule out most rows, and the bootstrap is the costly part.
        means = [point_ratio(*pair) for pair in pairs]
        if all(mean is not None and mean <= 1 / (1 + SMALLEST_LEAD) for mean in means):
            ratios = (ratio(*pair) for pair in pairs)
            shown = all(r and r.low is not None and effects.side(r) < 0 for r in ratios)
            return row if shown else None
    return None
