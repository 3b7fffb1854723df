"""How throughput grows with N: the Universal Scalability Law, fitted to one manager in one group.

    X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1))

lambda is the throughput of one client, sigma the share of a redo for which clients queue
(contention), kappa what each pair of clients costs (coherency). For kappa > 0 throughput peaks at
N = sqrt((1 - sigma) / kappa). N. J. Gunther, "Guerrilla Capacity Planning", 2007, chapters 4 to 6.

The fit. Least squares on the logarithm of throughput, so that each N counts alike by its relative
error; the value at an N is the geometric mean over the rounds that all N have. It is not weighted
by the scatter at an N: that of a few rounds is itself mostly chance.

Whether the law explains the data. It needs at least `MIN_N` different N: three parameters pass
through any three points, and nearly through four. No N may be further from the curve than
`TOLERANCE`, or, if that is more, than its mean over the rounds may be from the truth by chance
(95 % for all N together, after Bonferroni, from the scatter that is left when each round's own pace
is taken out); and never further than `MAX_EXCUSED`. R^2 would not do: where throughput is level, as
with sync, a perfect fit has an R^2 of 0.

A fit names those of sigma and kappa whose interval is so wide that it says nothing (`MAX_UNSURE`).

The intervals. Rounds are drawn with replacement (bootstrap of the whole fit), and the distances
from the fit of all rounds are stretched for their number as in ``effects``. The resamples are
fitted by the law's linear form, some 50 times as fast: N / X is linear in 1 / lambda,
sigma / lambda and kappa / lambda, and its relative errors are to first order those of log X. It
knows no bounds, so a parameter at its bound keeps an interval, which ends there. On made-up rounds
with 5 % noise the intervals of the parameters and the peak held the truth in 91 to 99 % of 400
attempts, with 2, 3 and 5 rounds alike (tests/bench/statistics/test_scalability.py tries it).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from bench.results.row import Estimate
from bench.results.summary import Group
from bench.statistics.bounded import Bounded, Threshold
from bench.statistics.effects import CONFIDENCE, TAILS, Floats, drawn, stretch
from bench.statistics.rounds import in_common, over_clients

MIN_N: Final = 5
"""Fewer different N are not fitted."""

TOLERANCE: Final = 0.10
"""A throughput within a factor of 1.1 of the curve does not speak against it."""

MAX_EXCUSED: Final = 0.25
"""A throughput beyond a factor of 1.25 does, however much the rounds scatter."""

MAX_UNSURE: Final = 1.0
"""The bounds of a sigma or kappa that the data determine differ by less than this share of the
time that the curve predicts for a redo at the greatest N: what lies between them is not everything
from no effect to a doubled time."""

_NOTHING: Final = 1e-4
"""A sigma or kappa that adds a smaller share to a redo at the greatest N counts as 0."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The parameters of the law. ``lambda_per_s`` in redos per second; sigma 0.05 is 5 %.

    ``peak`` is the N of the greatest throughput within the measured N: None if the curve still
    rises at the greatest of them, the smallest of them if throughput falls from there on.
    ``undetermined``: the names of the shares whose interval says nothing (`MAX_UNSURE`).
    ``worst`` is the greatest distance of a throughput from the curve, as a share of the curve
    (-0.08: 8 % below), at N = ``worst_clients``.
    """

    lambda_per_s: Bounded[float]
    sigma: Bounded[float]
    kappa: Bounded[float]
    peak: Threshold[float | None]
    worst: float
    worst_clients: int
    undetermined: tuple[str, ...]


class _UnexplainedError(Exception):
    """The law does not explain the data, for the reason in the message."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """How one manager scales over the N that it was ``measured`` at. Either ``fit`` is None or
    ``why_not``, the reason why the law does not explain it."""

    manager: str
    measured: tuple[int, ...]
    fit: Fit | None
    why_not: str | None


@lru_cache(maxsize=64)
def scalings(group: Group) -> list[Scaling]:
    """One per manager that was measured at two N or more."""
    found = []
    for manager in group.managers:
        by_clients = over_clients(group, (manager, "throughput_per_s"))
        if len(by_clients) < 2:
            continue
        measured, fit, why_not = tuple(by_clients), None, None
        try:
            fit = _fit(measured, [estimate for (estimate,) in by_clients.values()])
        except _UnexplainedError as error:
            why_not = str(error)
        found.append(Scaling(manager, measured, fit, why_not))
    return found


def _fit(measured: tuple[int, ...], estimates: Sequence[Estimate]) -> Fit:
    """Raises _UnexplainedError."""
    if len(measured) < MIN_N:
        raise _UnexplainedError(f"measured at {len(measured)} N, {MIN_N} are needed")
    values = in_common(estimates)
    if not values.size:
        raise _UnexplainedError("no round has all N")
    if values.min() <= 0:
        raise _UnexplainedError("a throughput is 0")
    clients, logs = np.array(measured, dtype=np.float64), np.log(values)
    means = logs.mean(axis=0)
    (linear,) = _linear_fits(clients, means[None])
    curve = _curve_fit(clients, means, linear)
    residuals = means - _log_throughput(clients, *curve)
    worst = int(np.abs(residuals).argmax())
    off = math.expm1(residuals[worst])
    passes = float(np.clip(_chance(logs), *np.log1p((TOLERANCE, MAX_EXCUSED))))
    if abs(residuals[worst]) > passes:
        side = "above" if off > 0 else "below"
        up_to = math.expm1(math.copysign(passes, off))
        raise _UnexplainedError(
            f"at N = {measured[worst]} throughput is {abs(off):.0%} {side} the nearest curve"
            f" (tolerance {abs(up_to):.0%})"
        )
    draws = _resampled(clients, logs, curve, linear)
    lambda_per_s, sigma, kappa = (
        Bounded(float(value), *_bounds(column))
        for value, column in zip(curve, draws.T, strict=True)
    )
    peak = _peak(measured, curve, draws)
    return Fit(
        *(lambda_per_s, sigma, kappa, peak),
        worst=off,
        worst_clients=measured[worst],
        undetermined=_undetermined(measured[-1], sigma, kappa),
    )


def _log_throughput(clients: Floats, lambda_per_s: float, sigma: float, kappa: float) -> Floats:
    waits = sigma * (clients - 1) + kappa * clients * (clients - 1)
    logs: Floats = np.log(lambda_per_s * clients) - np.log1p(waits)
    return logs


def _linear_fits(clients: Floats, logs: Floats) -> Floats:
    """lambda, sigma and kappa with the least relative errors of N / X, sigma and kappa of any
    sign, for each row of log X: (rows, 3)."""
    times = clients / np.exp(logs)
    ones = np.ones_like(clients)
    parts = np.stack([ones, clients - 1, clients * (clients - 1)], axis=1)
    scaled = parts / times[:, :, None]
    found = np.array([np.linalg.lstsq(matrix, ones, rcond=None)[0] for matrix in scaled])
    alone = found[:, 0]
    if (alone <= 0).any():
        raise _UnexplainedError("the data do not determine the throughput of one client")
    return np.column_stack([1 / alone, found[:, 1] / alone, found[:, 2] / alone])


def _curve_fit(clients: Floats, logs: Floats, start: Floats) -> Floats:
    """lambda, sigma and kappa with the least errors of log X; sigma and kappa at least 0."""
    from scipy.optimize import curve_fit

    start = np.maximum(start, 0)
    try:
        found: Floats = curve_fit(
            _log_throughput, clients, logs, p0=start, bounds=(0, np.inf), x_scale="jac"
        )[0]
    except RuntimeError as error:
        raise _UnexplainedError("the search for the nearest curve does not end") from error
    # The search stops just short of a bound.
    shares = found[1:]
    shares[shares * clients[-1] ** np.array([1, 2]) < _NOTHING] = 0
    return found


def _chance(logs: Floats) -> float:
    """How far from the truth a mean over the rounds may be by chance; 0 for a single round, which
    shows no scatter. A disturbance of a whole round does not bend the curve, so it is left out."""
    from scipy.special import stdtrit

    rounds, columns = logs.shape
    if rounds < 2:
        return 0.0
    own = logs - logs.mean(axis=1, keepdims=True)
    own -= own.mean(axis=0)
    freedom = (rounds - 1) * (columns - 1)
    error = math.sqrt(float((own**2).sum()) / freedom / rounds)
    return error * -float(stdtrit(freedom, (1 - CONFIDENCE) / 2 / columns))


def _resampled(clients: Floats, logs: Floats, curve: Floats, linear: Floats) -> Floats:
    """Stretched lambda, sigma and kappa of each resample: (resamples, 3); none for one round."""
    size = len(logs)
    if size < 2:
        return np.empty((0, 3))
    # Few rounds have few different resamples: each is fitted once.
    draws, which = np.unique(np.sort(drawn(size), axis=1), axis=0, return_inverse=True)
    fits = _linear_fits(clients, logs[draws].mean(axis=1))[which.reshape(-1)]
    factor = stretch(size - 1)
    rates = curve[0] * (fits[:, 0] / linear[0]) ** factor
    shares = np.maximum(0, curve[1:] + factor * (fits[:, 1:] - linear[1:]))
    return np.column_stack([rates, shares])


def _undetermined(last: int, sigma: Bounded[float], kappa: Bounded[float]) -> tuple[str, ...]:
    weighted = (("sigma", sigma, last - 1), ("kappa", kappa, last * (last - 1)))
    predicted = 1 + sum(share.value * weight for _, share, weight in weighted)
    return tuple(
        name
        for name, share, weight in weighted
        if share.low is not None
        and share.high is not None
        and (share.high - share.low) * weight > MAX_UNSURE * predicted
    )


def _bounds(draws: Floats) -> tuple[float | None, float | None]:
    if not draws.size:
        return None, None
    low, high = np.quantile(draws, TAILS, method="nearest")
    return float(low), float(high)


def _peak(measured: tuple[int, ...], curve: Floats, draws: Floats) -> Threshold[float | None]:
    def within(clients: float | None) -> float | None:
        if clients is None or clients >= measured[-1]:
            return None
        return max(clients, float(measured[0]))

    low, high = _bounds(_peaks(draws))
    point = float(_peaks(curve[None])[0])
    return Threshold(within(point), bool(draws.size), within(low), within(high))


def _peaks(curves: Floats) -> Floats:
    """The N of the peak of each (lambda, sigma, kappa): 0 where throughput falls from N = 1 on,
    infinite where it never falls."""
    sigma, kappa = curves[:, 1], curves[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        peaks = np.sqrt((1 - sigma) / kappa)
    return np.where(sigma < 1, peaks, 0.0)
