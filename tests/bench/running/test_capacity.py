"""Percentages of capacity: whose capacity, of which round, and in what order."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from bench.cases.case import Case
from bench.results.record import RunRecord
from bench.running.processes import RunFailedError
from bench.running.schedule import Plan, WithCapacity, closed_first, closed_of, order_of_round
from tests.support.synthetic import steady_record

CLOSED = Case("sync", "short", 4)
HALF = Case("sync", "short", 4, load="open:50%")
TWICE = Case("sync", "short", 4, load="open:200%")
FIXED = Case("sync", "short", 4, load="open:500")
OTHER = Case("async", "short", 4)
OTHER_HALF = Case("async", "short", 4, load="open:50%")
CASES = (CLOSED, HALF, TWICE, FIXED, OTHER, OTHER_HALF)


@dataclass
class Machine:
    """Whose closed loop takes that long for a redo in each round; notes the loads it is given."""

    latency_ns: dict[int, int]
    fails: frozenset[tuple[Case, int]] = frozenset()
    loads: list[tuple[Case, int, str | None]] = field(default_factory=list)

    def __call__(self, case: Case, round_number: int, *, load: str | None = None) -> RunRecord:
        self.loads.append((case, round_number, load))
        if (case, round_number) in self.fails:
            raise RunFailedError("a wrong page")
        return steady_record(case, round_number, latency_ns=self.latency_ns[round_number])


def test_a_percentage_is_of_the_closed_loop_of_the_same_round() -> None:
    machine = Machine({1: 100_000, 2: 400_000})  # 4 clients: 40,000 and 10,000 redos per second
    measure = WithCapacity(machine)
    for number in (1, 2):
        for case in (CLOSED, TWICE, HALF):
            assert measure(case, number).case == case
    assert machine.loads == [
        (CLOSED, 1, None),
        (TWICE, 1, "open:80000.000"),
        (HALF, 1, "open:20000.000"),
        (CLOSED, 2, None),
        (TWICE, 2, "open:20000.000"),
        (HALF, 2, "open:5000.000"),
    ]


def test_other_loads_are_measured_as_they_are() -> None:
    machine = Machine({1: 100_000})
    WithCapacity(machine)(FIXED, 1)
    assert machine.loads == [(FIXED, 1, None)]


def test_without_a_closed_loop_in_the_round_there_is_no_capacity() -> None:
    machine = Machine({1: 100_000, 2: 100_000}, frozenset({(CLOSED, 2)}))
    measure = WithCapacity(machine)
    measure(CLOSED, 1)
    with pytest.raises(RunFailedError, match="a wrong page"):
        measure(CLOSED, 2)
    expected = r"sync/short/n=4 has no result in this round, whose throughput open:50% is of"
    with pytest.raises(RunFailedError, match=expected):
        measure(HALF, 2)
    with pytest.raises(RunFailedError, match=r"async/short/n=4 has no result"):
        measure(OTHER_HALF, 1)
    assert (HALF, 2) not in [(case, number) for case, number, _ in machine.loads]


@pytest.mark.parametrize("latency_ns", [10**13, 100])  # of 4 clients
def test_a_rate_that_nobody_can_offer_fails_the_run(latency_ns: int) -> None:
    measure = WithCapacity(Machine({1: latency_ns}))
    measure(CLOSED, 1)
    case = Case("sync", "short", 4, load="open:0.1%" if latency_ns > 100 else "open:900%")
    with pytest.raises(RunFailedError, match="redos per second cannot be offered"):
        measure(case, 1)


def test_what_a_percentage_is_of() -> None:
    assert closed_of(HALF) == CLOSED
    pinned = Case("sync", "short", 4, placement="same-cpu", load="open:80%")
    assert closed_of(pinned) == Case("sync", "short", 4, placement="same-cpu")
    assert closed_of(CLOSED) is closed_of(FIXED) is None
    assert closed_first(CASES) == {HALF: CLOSED, TWICE: CLOSED, OTHER_HALF: OTHER}


def test_the_closed_loop_comes_first_and_the_rest_stays_in_random_order() -> None:
    plain, first = Plan(CASES, 50, 1), Plan(CASES, 50, 1, first=closed_first(CASES))
    orders = set()
    for number in range(1, 51):
        order = order_of_round(first, number)
        assert sorted(order) == sorted(CASES)
        for case, needed in closed_first(CASES).items():
            assert order.index(needed) < order.index(case)
        others = [case for case in order if case not in (CLOSED, OTHER)]
        assert others == [case for case in order_of_round(plain, number) if case in others]
        orders.add(tuple(order))
    assert len(orders) > 30
    # No place is a habit where nothing forces it.
    assert {order_of_round(first, number)[0] for number in range(1, 51)} == {CLOSED, OTHER, FIXED}
