"""What a result says about waiting sync or async, in sentences that carry their uncertainty.

From the ordinary cases of a summary: from which N on a manager is better than sync, and by how much
at the greatest N that both were measured at. An experiment's own sentence is its view's business.
Pure: numbers of ``crossover`` and ``rounds`` in, texts out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bench.cases.managers.registry import is_rival
from bench.cases.names import BASE
from bench.results.summary import Group, Summary, measure_of
from bench.show import units
from bench.statistics.crossover import Crossover, crossovers
from bench.statistics.effects import Effect, side
from bench.statistics.rounds import ratio

_MEASURE: Final = "throughput_per_s"
"""Whose crossover is the verdict."""

_FURTHER: Final = (("cpu_total_s", "CPU per redo"), ("latency_p99_s", "p99 latency"))
"""What else is said at the greatest N: field of a row, and what it is called."""

_NO_INTERVAL: Final = "one round shows no interval"


def sentences(summary: Summary) -> tuple[str, ...]:
    """At least one for each group of the summary's cases, in the groups' order."""
    return tuple(text for group in summary.groups() for text in of_group(group))


def compares(group: Group) -> bool:
    """Whether there is another manager to compare with sync."""
    known = _known(group)
    return BASE in known and bool(_rivals(known))


def of_group(group: Group) -> tuple[str, ...]:
    """One for each manager that is compared with sync, or why there is none."""
    about, known = _about(group), _known(group)
    rivals = _rivals(known)
    if BASE not in known:
        if not rivals:
            if known:
                return (f"Only yardsticks have a result {about}: there is nothing to compare.",)
            return (f"No manager has a result {about}.",)
        return (f"{_listed(rivals)} {about}: there is no result of {BASE} to compare with.",)
    if not rivals:
        return (f"{BASE} {about}: there is no result of another manager to compare with.",)
    by_manager = {one.manager: one for one in crossovers(group) if one.measure == _MEASURE}
    return tuple(_sentence(group, name, by_manager.get(name)) for name in rivals)


def _known(group: Group) -> list[str]:
    return [name for name in group.managers if _clients(group, name)]


def _rivals(known: Sequence[str]) -> list[str]:
    return [name for name in known if is_rival(name)]


def _sentence(group: Group, manager: str, crossover: Crossover | None) -> str:
    about = _about(group)
    both = [n for n in _clients(group, manager) if n in _clients(group, BASE)]
    if not both:
        return f"{manager} and {BASE} {about}: they have no N in common."
    throughput = _ratio(group, manager, both[-1], _MEASURE)
    if throughput is None:
        return f"{manager} and {BASE} {about}: they have no round in common at N = {both[-1]}."
    amounts = _amounts(group, manager, both[-1], throughput)
    if throughput.low is not None and side(throughput) == 0:
        # Whatever the means say of where the lines cross: at the end nobody is known to lead.
        said = f"{manager} and {BASE} are not told apart {about} at N = {both[-1]}"
        return f"{said}: {manager}'s {amounts.removeprefix('its ')}."
    if crossover is None:
        return f"{manager} {about}, at N = {both[-1]}: {amounts}."
    return f"{_overtakes(crossover, about)}; at N = {both[-1]} {amounts}."


def _overtakes(one: Crossover, about: str) -> str:
    """As ``async overtakes sync from N = 4 (2 to 8) for short requests``."""
    first, last = one.measured[0], one.measured[-1]
    sure = one.known and one.clients == one.low == one.high
    if one.clients is None:
        text = f"{one.manager} overtakes {BASE} at no N from {first} to {last}"
        return f"{text} {about}" if sure else f"{text} ({_bounds(one)}) {about}"
    if one.clients > first:
        return f"{one.manager} overtakes {BASE} from N = {one.clients} ({_bounds(one)}) {about}"
    if sure:
        return f"{one.manager} is ahead of {BASE} at every N from {first} to {last} {about}"
    return f"{one.manager} is ahead of {BASE} from N = {first} on ({_bounds(one)}) {about}"


def _bounds(one: Crossover) -> str:
    if not one.known:
        return _NO_INTERVAL
    low, high = ("no N" if n is None else str(n) for n in (one.low, one.high))
    if low == high:
        return f"interval: {low} alone"
    return f"interval: {low} to {high}" if one.clients is None else f"{low} to {high}"


def _amounts(group: Group, manager: str, clients: int, throughput: Effect) -> str:
    """As ``its throughput is 4.1 times (3.8 to 4.4) that of sync, its CPU per redo 0.60 times (0.55
    to 0.66)``."""
    parts = [f"its throughput is {_times(throughput)} that of {BASE}"]
    parts += [
        f"its {name} {_times(effect)}"
        for measure, name in _FURTHER
        if (effect := _ratio(group, manager, clients, measure)) is not None
    ]
    said = ", ".join(parts)
    return f"{said} ({_NO_INTERVAL})" if throughput.low is None else said


def _times(effect: Effect) -> str:
    """As ``4.1 times (3.8 to 4.4)``. An interval on both sides of 1 decides nothing."""
    text = f"{_number(effect.ratio)} times"
    if effect.low is None or effect.high is None:
        return text
    undecided = ": undecided" if side(effect) == 0 else ""
    return f"{text} {units.bracket(_number(effect.low), _number(effect.high) + undecided, ' to ')}"


def _number(value: float) -> str:
    """Two digits, but hundredths around 1, where 0.98 and 1.02 are two answers."""
    if 0.1 <= value < 2:
        return f"{value:.2f}"
    return f"{value:.1f}" if 2 <= value < 10 else f"{float(f'{value:.2g}'):.15g}"


def _ratio(group: Group, manager: str, clients: int, measure: str) -> Effect | None:
    own, base = group.row(manager, clients), group.row(BASE, clients)
    if own is None or base is None:
        return None
    return ratio(measure_of(own, measure), measure_of(base, measure))


def _clients(group: Group, manager: str) -> tuple[int, ...]:
    """Every N at which something is known of the manager."""
    return tuple(
        row.case.clients
        for row in group.rows
        if row.case.manager == manager and row.throughput_per_s is not None
    )


def _about(group: Group) -> str:
    extra = ", ".join(f"{key}={value}" for key, value in group.extra)
    return f"for {group.workload} requests" + (f" with {extra}" if extra else "")


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
