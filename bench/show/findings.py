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
from bench.results.row import MEASURES, Measure
from bench.results.summary import Group
from bench.show import units
from bench.statistics.crossover import Crossover
from bench.statistics.effects import Effect, side
from bench.statistics.knee import Knee, knees
from bench.statistics.rounds import ratio

__all__ = [
    "HEADINGS",
    "Lead",
    "Measure",
    "crossover_text",
    "knee_point",
    "knee_text",
    "knee_title",
    "leads",
    "title",
]


@dataclass(frozen=True, slots=True)
class Lead:
    """How far one manager leads another at N clients: a ratio above 1 is a lead."""

    clients: int
    effect: Effect

    @property
    def ratio(self) -> float:
        return self.effect.ratio

    @property
    def side(self) -> int:
        """1 if it leads, -1 if the other does, 0 if the runs do not tell them apart."""
        return side(self.effect)


def leads(group: Group, measure: Measure, manager: str, base: str) -> list[Lead]:
    """The lead of ``manager`` over ``base`` at every N where both were measured."""
    found = []
    for clients in group.clients:
        own = measure.of(group.row(manager, clients))
        other = measure.of(group.row(base, clients))
        if measure.less_is_better:
            own, other = other, own
        effect = ratio(own, other)
        if effect is not None:
            found.append(Lead(clients, effect))
    return found


def title(group: Group, measure: Measure) -> str:
    """One line on what to see in the group's panel, as ``short: async is ahead of sync ...``."""
    challenger = _challenger(group, measure)
    if challenger is not None:
        return f"{group.title}: {_verdict(challenger, BASE, measure)}"
    return f"{group.title}: {_alone(group, measure)}"


def knee_title(group: Group) -> str:
    """One line on the group's curve of throughput against latency, as ``short: async is ahead
    of sync ...; knee: sync 2, async 4``."""
    at = ", ".join(
        f"{one.manager} {knee_point(one)}" for one in knees(group) if one.manager != FLOOR
    )
    said = title(group, Measure.THROUGHPUT)
    return f"{said}; knee: {at}" if at else said


@dataclass(frozen=True, slots=True)
class _Challenger:
    manager: str
    leads: Sequence[Lead]


def _challenger(group: Group, measure: Measure) -> _Challenger | None:
    """The manager that the suite is about, else the one that does best at the greatest N."""
    found = []
    for manager in group.managers:
        if not is_rival(manager):
            continue
        of_manager = leads(group, measure, manager, BASE)
        if of_manager:
            found.append(_Challenger(manager, of_manager))

    def rank(one: _Challenger) -> tuple[bool, int, float]:
        last = one.leads[-1]
        return one.manager == CHALLENGER, last.clients, last.ratio

    return max(found, key=rank, default=None)


def _verdict(challenger: _Challenger, base: str, measure: Measure) -> str:
    manager, all_leads = challenger.manager, challenger.leads
    last = all_leads[-1]
    at_last = f"N = {last.clients}"
    better_by = measure.times_better.format(times=_times(last))
    if len(all_leads) == 1:
        if last.side == 0:
            return f"{manager} and {base} are not told apart at {at_last}"
        winner, loser = (manager, base) if last.side > 0 else (base, manager)
        return f"{winner} {better_by} {loser} at {at_last}"
    if all(lead.side == 0 for lead in all_leads):
        return f"{manager} and {base} are not told apart at any N"
    if last.side == 0:
        return (
            f"{manager} and {base} are not told apart at {at_last}; {_elsewhere(challenger, base)}"
        )
    winner, loser = (manager, base) if last.side > 0 else (base, manager)
    start = _start_of_last_streak(all_leads)
    if start == 0:
        where = "at every N"
    elif start == len(all_leads) - 1:
        return f"{winner} {better_by} {loser} at {at_last} only"
    else:
        where = f"from N = {all_leads[start].clients} on"
    return f"{winner} {measure.better} {loser} {where}, {_times(last)} at {at_last}"


def _elsewhere(challenger: _Challenger, base: str) -> str:
    """Who leads at the N where the two can be told apart."""
    parts = []
    for wanted, name in ((1, challenger.manager), (-1, base)):
        led = [str(lead.clients) for lead in challenger.leads if lead.side == wanted]
        if led:
            parts.append(f"{name} leads at N = {', '.join(led)}")
    return ", ".join(parts)


def _start_of_last_streak(all_leads: Sequence[Lead]) -> int:
    start = len(all_leads) - 1
    while start > 0 and all_leads[start - 1].side == all_leads[-1].side:
        start -= 1
    return start


def _times(lead: Lead) -> str:
    times = max(lead.ratio, 1 / lead.ratio)
    return f"{times:.2f}x" if times < 1.095 else f"{times:.1f}x"


def _alone(group: Group, measure: Measure) -> str:
    """Without a pair to compare: what each manager reaches at its greatest N."""
    parts = []
    for manager in group.managers:
        known = [n for n in group.clients if measure.of(group.row(manager, n)) is not None]
        if manager == FLOOR and len(group.managers) > 1:
            continue
        if not known:
            continue
        estimate = measure.of(group.row(manager, known[-1]))
        if estimate is not None:
            value = units.formatted(measure.key, estimate.median)
            parts.append(f"{manager} has {value} at N = {known[-1]}")
    return ", ".join(parts) or "no result"


HEADINGS: Final[Mapping[str, str]] = {
    measure.field: measure.heading for measure in MEASURES.values() if measure.heading is not None
}
"""Field of a row -> what tables call it."""


def crossover_text(one: Crossover) -> str:
    """As ``4 (2-8)``, ``all``, ``none`` or ``32 (16-none)``."""

    def named(clients: int | None) -> str:
        if clients is None:
            return "none"
        return "all" if clients == one.measured[0] else str(clients)

    point, low, high = (named(n) for n in (one.clients, one.low, one.high))
    return units.threshold(point, low, high, known=one.known, separator="-")


def knee_text(one: Knee) -> str:
    """As ``4 (2 to 8)``, ``<=1``, ``>=256`` or ``32 (16 to >=256)``."""
    point, low, high = (_knee_at(one, n) for n in (one.clients, one.low, one.high))
    return units.threshold(point, low, high, known=one.known)


def knee_point(one: Knee) -> str:
    """The same without the interval."""
    return _knee_at(one, one.clients)


def _knee_at(one: Knee, clients: int | None) -> str:
    if clients is None:
        return f">={one.measured[-1]}"
    return f"<={clients}" if clients == one.measured[0] else str(clients)
