"""What the rows of a group say, in plain words: the titles of figures, computed from the data.

Who leads at an N, and from which N on, follows from the same functions as the verdict
(``crossover.leads``, ``crossover.crossover``). This is a caption and corrected for nothing;
`compare` is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bench.cases.managers.registry import is_rival
from bench.cases.names import BASE, CHALLENGER, FLOOR
from bench.results.row import MEASURES
from bench.results.row import Measure as Measure  # for those who title their figures here
from bench.results.summary import Group
from bench.show import units
from bench.statistics.crossover import Crossover, Lead, crossover, leads
from bench.statistics.knee import Knee, knees

HEADINGS: Final[Mapping[str, str]] = {
    measure.field: measure.heading for measure in MEASURES.values() if measure.heading is not None
}
"""Field of a row -> what tables call it."""


def title(group: Group, measure: Measure) -> str:
    """One line on what to see in the group's panel, as ``short: async is ahead of sync ...``."""
    by_manager = {
        manager: found
        for manager in group.managers
        if is_rival(manager) and (found := leads(group, manager, measure.field))
    }
    if not by_manager:
        return f"{group.title}: {_alone(group, measure)}"

    def rank(manager: str) -> tuple[bool, int, float]:
        """The manager that the suite is about, else the one that does best at the greatest N."""
        last = by_manager[manager][-1]
        return manager == CHALLENGER, last.clients, last.effect.ratio

    manager = max(by_manager, key=rank)
    return f"{group.title}: {_verdict(group, manager, by_manager[manager], measure)}"


def knee_title(group: Group) -> str:
    """One line on the group's curve of throughput against latency, as ``short: async is ahead
    of sync ...; knee: sync 2, async 4``."""
    at = ", ".join(
        f"{knee.manager} {_knee_at(knee, knee.clients)}"
        for knee in knees(group)
        if knee.manager != FLOOR
    )
    said = title(group, Measure.THROUGHPUT)
    return f"{said}; knee: {at}" if at else said


def crossover_text(found: Crossover) -> str:
    """As ``4 (2-8)``, ``all``, ``none`` or ``32 (16-none)``."""

    def named(clients: int | None) -> str:
        if clients is None:
            return "none"
        return "all" if clients == found.measured[0] else str(clients)

    return units.threshold(found, named, separator="-")


def knee_text(knee: Knee) -> str:
    """As ``4 (2 to 8)``, ``<=1``, ``>=256`` or ``32 (16 to >=256)``."""
    return units.threshold(knee, lambda clients: _knee_at(knee, clients))


def _knee_at(knee: Knee, clients: int | None) -> str:
    if clients is None:
        return f">={knee.measured[-1]}"
    return f"<={clients}" if clients == knee.measured[0] else str(clients)


def ahead_from(found: Crossover) -> str:
    """As ``at every N`` or ``from N = 4 on (2 to 8)``: the interval if that has a width."""
    if found.known and not found.is_sure:
        return f"from N = {found.clients} on {interval(found)}"
    every = found.clients == found.measured[0]
    return "at every N" if every else f"from N = {found.clients} on"


def interval(found: Crossover) -> str:
    """As ``(2 to 8)``, ``(1 to none)`` or ``(?)``."""
    low, high = ("none" if n is None else str(n) for n in (found.low, found.high))
    return f"({low} to {high})" if found.known else "(?)"


def _times(lead: Lead) -> str:
    """By how much, whoever leads, as ``1.05x`` or ``3.1x``."""
    times = max(lead.effect.ratio, 1 / lead.effect.ratio)
    return f"{times:.2f}x" if times < 1.095 else f"{times:.1f}x"


def _verdict(group: Group, manager: str, leads: Sequence[Lead], measure: Measure) -> str:
    last = leads[-1]
    at_last = f"N = {last.clients}"
    if len(leads) > 1 and all(lead.side == 0 for lead in leads):
        return f"{manager} and {BASE} are not told apart at any N"
    if last.side == 0:
        elsewhere = [
            f"{name} leads at N = {', '.join(led)}"
            for wanted, name in ((1, manager), (-1, BASE))
            if (led := [str(lead.clients) for lead in leads if lead.side == wanted])
        ]
        undecided = f"{manager} and {BASE} are not told apart at {at_last}"
        return "; ".join(filter(None, (undecided, ", ".join(elsewhere))))
    winner, loser = (manager, BASE) if last.side > 0 else (BASE, manager)
    better_by = f"{winner} {measure.times_better.format(times=_times(last))} {loser} at {at_last}"
    found = crossover(group, winner, loser, measure.field)
    # Rounds that lack an N count for `leads` and not for the crossover, so that it may differ.
    if found is None or found.clients is None:
        return better_by
    wide = found.known and not found.is_sure
    if found.clients == last.clients and not wide and sum(x.side == last.side for x in leads) == 1:
        return f"{better_by} only"
    return f"{winner} {measure.better} {loser} {ahead_from(found)}, {_times(last)} at {at_last}"


def _alone(group: Group, measure: Measure) -> str:
    """Without a pair to compare: what each manager reaches at its greatest N."""
    parts = []
    for manager in group.managers:
        known = [
            (clients, estimate)
            for clients in group.clients
            if (estimate := measure.of(group.row(manager, clients))) is not None
        ]
        if known and (manager != FLOOR or len(group.managers) == 1):
            clients, estimate = known[-1]
            value = units.formatted(measure.key, estimate.median)
            parts.append(f"{manager} has {value} at N = {clients}")
    return ", ".join(parts) or "no result"
