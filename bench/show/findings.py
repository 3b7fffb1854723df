"""What the rows of a group say, in plain words: the titles of figures, computed from the data.

Who leads at an N, and from which N on, follows from the same functions as the verdict
(``crossover.leads``, ``crossover.crossover``). This is a caption and corrected for nothing;
`compare` is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Reach:
    """At which N a manager is better than sync.

    ``start``: from which N on, up to the greatest one; None if it is not better there.
    ``is_every``: at every N, and that is sure. ``only``: where ``start`` is None, each N at which
    it is significantly better.
    """

    start: Crossover | None
    is_every: bool
    only: tuple[int, ...]


def reach(leads: Sequence[Lead], start: Crossover | None) -> Reach:
    """What tables and sentences say of these leads, which are those of all N; ``start`` is None
    where fewer than two N are known."""
    if start is not None and start.clients is not None and leads and leads[-1].side > 0:
        return Reach(start, start.is_sure and start.clients == start.measured[0], ())
    return Reach(None, False, tuple(lead.clients for lead in leads if lead.side > 0))


def better_from(leads: Sequence[Lead], start: Crossover | None) -> str:
    """From which N on a manager is better than sync, with the 95 % CI.

    As ``4 (2 to 8)`` or ``every N``; ``8 only`` where it is significantly better there and not at
    the greatest N; ``no N``. ``(?)`` stands for the CI of a single round. ``leads``, at least one,
    and ``start`` as in `reach`.
    """
    found = reach(leads, start)
    if found.is_every:
        return "every N"
    if found.start is not None:
        return f"{found.start.clients} {interval(found.start)}"
    unsure = "" if any(lead.effect.low is not None for lead in leads) else " (?)"
    return f"{only_at(found, leads) if found.only else 'no N'}{unsure}"


def only_at(found: Reach, leads: Sequence[Lead]) -> str:
    """As ``2 to 8 only``, or ``8`` if that is all that was measured."""
    at = span(found.only, [lead.clients for lead in leads])
    return at if len(leads) == 1 else f"{at} only"


def span(clients: Sequence[int], measured: Sequence[int]) -> str:
    """As ``8``, ``2 to 16`` where no measured N between them is missing, or ``2, 16``."""
    first, last = measured.index(clients[0]), measured.index(clients[-1])
    if len(clients) > 1 and last - first == len(clients) - 1:
        return f"{clients[0]} to {clients[-1]}"
    return ", ".join(map(str, clients))


def bounds(found: Crossover) -> str:
    """As ``2 to 8``, or ``2 to >128`` where the upper bound lies beyond the measured N."""
    low, high = (
        f">{found.measured[-1]}" if bound is None else str(bound)
        for bound in (found.low, found.high)
    )
    return f"{low} to {high}"


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
    """As ``(2 to 8)``, ``(1 to >128)`` or ``(?)``."""
    return f"({bounds(found)})" if found.known else "(?)"


def _times(lead: Lead) -> str:
    """By how much, whoever leads, as ``1.05x`` or ``3.1x``."""
    times = max(lead.effect.ratio, 1 / lead.effect.ratio)
    return f"{times:.2f}x" if times < 1.095 else f"{times:.1f}x"


def _verdict(group: Group, manager: str, leads: Sequence[Lead], measure: Measure) -> str:
    last = leads[-1]
    at_last = f"N = {last.clients}"
    if len(leads) > 1 and all(lead.side == 0 for lead in leads):
        return f"no significant difference between {manager} and {BASE} at any N"
    if last.side == 0:
        elsewhere = [
            f"{name} leads at N = {', '.join(led)}"
            for wanted, name in ((1, manager), (-1, BASE))
            if (led := [str(lead.clients) for lead in leads if lead.side == wanted])
        ]
        undecided = f"no significant difference between {manager} and {BASE} at {at_last}"
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
