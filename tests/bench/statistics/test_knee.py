"""The knee: on made-up closed systems whose saturation point is known."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import pytest

from bench.cases.case import Case
from bench.results.summary import MEASURES, CaseRow, Estimate, Group
from bench.show.findings import knee_text as text
from bench.statistics.knee import Knee, knees

CLIENTS = (1, 2, 4, 8, 16, 32, 64)

Curve = Callable[[int], tuple[float, float]]
"""Throughput and latency at N."""


def closed(service_s: float, latency_s: float, think_s: float = 0.0) -> Curve:
    """The asymptotic bounds of a closed system: no queue up to N* = (latency + think) / service."""

    def at(clients: int) -> tuple[float, float]:
        throughput = min(clients / (latency_s + think_s), 1 / service_s)
        return throughput, clients / throughput - think_s

    return at


def group(
    curves: Mapping[str, Curve],
    *,
    rounds: int = 5,
    scatter: float = 0.0,
    missing: Collection[tuple[str, int, int]] = (),
    clients: tuple[int, ...] = CLIENTS,
) -> Group:
    """Managers with these curves; each round is disturbed as a whole, and each run by itself.

    ``missing``: manager, N and round of runs that there are none of.
    """
    random = np.random.default_rng(3)
    pace = random.uniform(1, 2, rounds)
    rows = []
    for manager, curve in curves.items():
        for n in clients:
            throughput, latency = curve(n)
            of = [(r, pace[r] * random.normal(1, scatter)) for r in range(rounds)]
            kept = [(r, slower) for r, slower in of if (manager, n, r) not in missing]
            rows.append(
                row(
                    Case(manager, "short", n),
                    Estimate.of((r, throughput / slower) for r, slower in kept),
                    Estimate.of((r, latency * slower) for r, slower in kept),
                )
            )
    return Group("short", (), tuple(rows))


def row(case: Case, throughput: Estimate | None, latency: Estimate | None) -> CaseRow:
    known: dict[str, Any] = dict.fromkeys(MEASURES)
    known |= {"throughput_per_s": throughput, "time_per_redo_s": latency}
    return CaseRow(case=case, rounds=(), **known)


def only(found: list[Knee]) -> Knee:
    (one,) = found
    return one


@pytest.mark.parametrize("think_s", [0.0, 40e-6])
@pytest.mark.parametrize("saturation", [2, 8, 32])
def test_the_knee_is_where_a_closed_system_saturates(saturation: int, think_s: float) -> None:
    service_s = 50e-6
    curve = closed(service_s, saturation * service_s - think_s + 1e-9, think_s)
    one = only(knees(group({"sync": curve})))
    assert (one.clients, one.low, one.high, one.known) == (saturation,) * 3 + (True,)
    assert one.measured == CLIENTS
    assert text(one) == str(saturation)


def test_a_flat_curve_has_its_knee_at_the_least_n_or_below() -> None:
    one = only(knees(group({"sync": closed(50e-6, 50e-6)})))
    assert (one.clients, text(one)) == (1, "<=1")


def test_a_curve_that_rises_all_the_way_does_not_reach_it() -> None:
    one = only(knees(group({"sync": closed(1e-9, 50e-6)})))
    assert (one.clients, one.low, one.high, text(one)) == (None, None, None, ">=64")


def test_of_equal_powers_the_least_n_counts() -> None:
    """Throughput that grows with the square root of N is as much worth at every N."""
    one = only(knees(group({"sync": lambda n: (n**0.5, n**0.5)})))
    assert one.clients == 1


def test_scatter_widens_the_interval() -> None:
    # N* = 11.3: the powers at 8 and at 16 are alike.
    one = only(knees(group({"sync": closed(50e-6, 50e-6 * 128**0.5)}, rounds=5, scatter=0.05)))
    assert (one.low, one.high) == (8, 16)
    assert one.clients in (8, 16)
    assert text(one) == f"{one.clients} (8 to 16)"


def test_the_interval_holds_the_truth() -> None:
    """Of many suites of a system that saturates at 8: how often 8 is in the interval."""
    held, curve = 0, closed(50e-6, 400e-6)
    for number in range(40):
        random = np.random.default_rng(number)

        def noisy(n: int, random: np.random.Generator = random) -> tuple[float, float]:
            throughput, latency = curve(n)
            slower = random.normal(1, 0.02)
            return throughput / slower, latency * slower

        one = only(knees(group({"sync": noisy}, scatter=0.1)))
        held += (one.low or 99) <= 8 <= (one.high or 99)
    assert held >= 38


def test_one_round_has_no_interval() -> None:
    one = only(knees(group({"sync": closed(50e-6, 400e-6)}, rounds=1)))
    assert (one.clients, one.known, text(one)) == (8, False, "8 (?)")


def test_rounds_that_a_case_lacks_do_not_count() -> None:
    whole = closed(50e-6, 400e-6)
    one = only(knees(group({"sync": whole}, missing={("sync", 8, 0), ("sync", 16, 1)})))
    assert one.clients == 8
    in_no_round = {("sync", CLIENTS[number], number) for number in range(5)}
    assert knees(group({"sync": whole}, missing=in_no_round)) == []


def test_an_n_that_only_failed_is_left_out() -> None:
    lost = {("sync", 64, number) for number in range(5)}
    one = only(knees(group({"sync": closed(50e-6, 400e-6)}, missing=lost)))
    assert one.measured == CLIENTS[:-1]
    assert one.clients == 8


def test_two_n_have_no_knee() -> None:
    assert knees(group({"sync": closed(50e-6, 400e-6)}, clients=(1, 8))) == []


def test_each_manager_has_its_own() -> None:
    curves = {"async": closed(50e-6, 400e-6), "sync": closed(50e-6, 100e-6)}
    found = {one.manager: one.clients for one in knees(group(curves))}
    assert found == {"sync": 2, "async": 8}
