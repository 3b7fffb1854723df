"""What a result says about waiting sync or async, in sentences that carry their uncertainty.

From the ordinary cases of a summary: from which N on a manager is better than sync, and by how much
at the greatest N that both were measured at. An experiment's own sentence is its view's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bench.cases.managers.registry import is_rival
from bench.cases.names import BASE
from bench.results.row import Measure
from bench.results.summary import Group, Summary
from bench.show import units
from bench.statistics.crossover import Crossover, crossover, leads
from bench.statistics.effects import Effect, side
from bench.statistics.rounds import ratio

_FURTHER: Final = ((Measure.CPU_TOTAL, "CPU per redo"), (Measure.LATENCY_P99, "p99 latency"))
"""What else is said at the greatest N, and what it is called."""

_NO_INTERVAL: Final = "one round shows no interval"


def sentences(summary: Summary) -> tuple[str, ...]:
    """At least one for each group of the summary's cases, in the groups' order."""
    return tuple(text for group in summary.groups() for text in of_group(group))


def compares(group: Group) -> bool:
    """Whether there is another manager to compare with sync."""
    known = _known(group)
    return BASE in known and any(map(is_rival, known))


def of_group(group: Group) -> tuple[str, ...]:
    """One for each manager that is compared with sync, or why there is none."""
    about = f"for {group.workload} requests with {_conditions(dict(group.extra))}"
    known = _known(group)
    rivals = [name for name in known if is_rival(name)]
    if not known:
        return (f"No manager has a result {about}.",)
    if not rivals and BASE not in known:
        return (f"Only yardsticks have a result {about}: there is nothing to compare.",)
    if BASE not in known:
        *others, last = rivals
        listed = f"{', '.join(others)} and {last}" if others else last
        return (f"{listed} {about}: there is no result of {BASE} to compare with.",)
    if not rivals:
        return (f"{BASE} {about}: there is no result of another manager to compare with.",)
    return tuple(_sentence(group, name, about, known) for name in rivals)


def _conditions(extra: dict[str, str | int]) -> str:
    """How heavy the child is, then the further dimensions, as ``a free child, wait=spin:20``."""
    said = []
    if (cost := extra.pop("cost", None)) is not None:
        heavy = f"as heavy as real redo ({cost})" if cost == "pg14" else f"that burns {cost}"
        said.append(f"a child {heavy}")
    elif "child" not in extra:
        said.append("a free child")
    return ", ".join((*said, *(f"{key}={value}" for key, value in extra.items())))


def _known(group: Group) -> dict[str, list[int]]:
    """The managers, and every N at which something is known of each."""
    known: dict[str, list[int]] = {}
    for manager in group.managers:
        for row in group.rows:
            if row.case.manager == manager and row.throughput_per_s is not None:
                known.setdefault(manager, []).append(row.case.clients)
    return known


def _sentence(
    group: Group,
    manager: str,
    about: str,
    known: Mapping[str, Sequence[int]],
) -> str:
    both = [n for n in known[manager] if n in known[BASE]]
    if not both:
        return f"{manager} and {BASE} {about}: they have no N in common."
    last = both[-1]
    own, base = group.row(manager, last), group.row(BASE, last)
    found = leads(group, manager, Measure.THROUGHPUT.field)
    if not found or found[-1].clients != last:
        return f"{manager} and {BASE} {about}: they have no round in common at N = {last}."
    throughput = found[-1].effect
    # As ``throughput is 4.1 times (3.8 to 4.4) that of sync, its CPU per redo 0.60 times (...)``.
    amounts = f"throughput is {_times(throughput)} that of {BASE}"
    for measure, name in _FURTHER:
        if (effect := ratio(measure.of(own), measure.of(base))) is not None:
            amounts += f", its {name} {_times(effect)}"
    if throughput.low is None:
        amounts += f" ({_NO_INTERVAL})"
    start = crossover(group, manager, BASE, Measure.THROUGHPUT.field)
    if found[-1].side == 0 and (start is not None or throughput.low is not None):
        # Whatever the means say of where the lines cross: at the end nobody is known to lead.
        said = f"{manager} and {BASE} are not told apart {about} at N = {last}"
        return f"{said}: {manager}'s {amounts}."
    # Rounds that lack an N count for `leads` and not for the crossover, so that it may differ.
    if start is None or (start.clients is None and found[-1].side > 0):
        return f"{manager} {about}, at N = {last}: its {amounts}."
    return f"{_overtakes(start, about)}; at N = {last} its {amounts}."


def _overtakes(found: Crossover, about: str) -> str:
    """As ``async overtakes sync from N = 4 (2 to 8) for short requests``."""
    first, last = found.measured[0], found.measured[-1]
    bounds = _NO_INTERVAL
    if found.known:
        low, high = ("no N" if n is None else str(n) for n in (found.low, found.high))
        bounds = f"{low} to {high}"
        if low == high:
            bounds = f"interval: {low} alone"
        elif found.clients is None:
            bounds = f"interval: {bounds}"
    if found.clients is None:
        text = f"{found.manager} overtakes {BASE} at no N from {first} to {last}"
        return f"{text} {about}" if found.is_sure else f"{text} ({bounds}) {about}"
    if found.clients > first:
        return f"{found.manager} overtakes {BASE} from N = {found.clients} ({bounds}) {about}"
    if found.is_sure:
        return f"{found.manager} is ahead of {BASE} at every N from {first} to {last} {about}"
    return f"{found.manager} is ahead of {BASE} from N = {first} on ({bounds}) {about}"


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
