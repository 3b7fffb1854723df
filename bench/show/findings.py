"""What the rows of a group say, in plain words: the titles of figures, computed from the data.

Ratios are geometric means over the rounds, as in the verdict (``rounds.ratio``). A difference
counts only if the 95 % interval lies on one side of 1 and the mean is 2 % away from it; of one
round, which has no interval, the ratio decides alone. This is a caption and corrected for nothing;
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
from bench.statistics.crossover import Crossover
from bench.statistics.effects import Effect, side
from bench.statistics.knee import Knee, knees
from bench.statistics.rounds import ratio

HEADINGS: Final[Mapping[str, str]] = {
    measure.field: measure.heading for measure in MEASURES.values() if measure.heading is not None
}
"""Field of a row -> what tables call it."""


@dataclass(frozen=True, slots=True)
class Lead:
    """How far one manager leads another at N clients: a ratio above 1 is a lead.

    ``side`` is 1 if it leads, -1 if the other does, 0 if the runs do not tell them apart.
    """

    clients: int
    effect: Effect
    side: int

    @property
    def times(self) -> str:
        """By how much, whoever leads, as ``1.05x`` or ``3.1x``."""
        times = max(self.effect.ratio, 1 / self.effect.ratio)
        return f"{times:.2f}x" if times < 1.095 else f"{times:.1f}x"


def title(group: Group, measure: Measure) -> str:
    """One line on what to see in the group's panel, as ``short: async is ahead of sync ...``."""
    by_manager = {
        manager: found
        for manager in group.managers
        if is_rival(manager) and (found := _leads(group, measure, manager))
    }
    if not by_manager:
        return f"{group.title}: {_alone(group, measure)}"

    def rank(manager: str) -> tuple[bool, int, float]:
        """The manager that the suite is about, else the one that does best at the greatest N."""
        last = by_manager[manager][-1]
        return manager == CHALLENGER, last.clients, last.effect.ratio

    manager = max(by_manager, key=rank)
    return f"{group.title}: {_verdict(manager, by_manager[manager], measure)}"


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


def _leads(group: Group, measure: Measure, manager: str) -> list[Lead]:
    """The lead of a manager over sync at every N where both were measured."""
    found = []
    for clients in group.clients:
        pair = [measure.of(group.row(name, clients)) for name in (manager, BASE)]
        effect = ratio(*reversed(pair)) if measure.less_is_better else ratio(*pair)
        if effect is not None:
            found.append(Lead(clients, effect, side(effect)))
    return found


def _verdict(manager: str, leads: Sequence[Lead], measure: Measure) -> str:
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
    better_by = f"{winner} {measure.times_better.format(times=last.times)} {loser} at {at_last}"
    start = len(leads) - 1
    while start > 0 and leads[start - 1].side == last.side:
        start -= 1
    if len(leads) == 1:
        return better_by
    if start == len(leads) - 1:
        return f"{better_by} only"
    where = "at every N" if start == 0 else f"from N = {leads[start].clients} on"
    return f"{winner} {measure.better} {loser} {where}, {last.times} at {at_last}"


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
