"""Which cases a configuration asks for: the cartesian product of its dimensions.

What a case is and what it is called is in `bench.cases`; the order they run in is the schedule's.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from bench.cases.case import DEFAULTS, Case
from bench.cases.config import Config
from bench.cases.dimensions import HEARTBEAT_ON_LOOP, OWN, REDO, WITHOUT_MANAGER, WITHOUT_PAGES
from bench.cases.names import (
    ASYNC_MANAGERS,
    MANAGERS_THAT_SPIN,
    NOOPS,
    SYNC,
    is_ours,
    is_own_manager,
    is_peer,
    python_label,
    runs_on_python,
)
from bench.cases.own import child_label, workload_label


def cases_of(config: Config) -> tuple[Case, ...]:
    """Every case of the configuration, each once, in an order that follows the profile's lists.

    Child first, manager and clients last, the last changing fastest: consecutive cases are the
    points of one curve, and consecutive curves are the ones to be compared. Where a dimension means
    nothing to a manager (an interpreter to the floor), the manager has its default, once, whatever
    else is asked for; and so for scenarios, with the first workload where that means nothing, and
    the first manager.
    """
    cases = map(_without_what_means_nothing, _product(config))
    return tuple(dict.fromkeys(_once(case, config) for case in cases))


def without_meaning(config: Config) -> Iterator[str]:
    """A line for each dimension that was asked for and makes no difference to any case."""
    cases = cases_of(config)
    for name in _MEANS_SOMETHING:
        asked = [value for value in getattr(config, name) if value != DEFAULTS[name]]
        if asked and all(getattr(case, name) == DEFAULTS[name] for case in cases):
            said = f"{name.replace('_', '-')} {','.join(map(str, asked))}"
            yield f"{said} makes no difference to any of these cases: left out"


_SLOWEST_FIRST: Final = (
    *("workload", "placement", "background_load", "python", "topology", "scenario", "admission"),
    *("load", "heartbeat", "caller", "executor", "pause", "wait", "manager", "clients"),
)


def _product(config: Config) -> Iterator[Case]:
    lists = (getattr(config, name) for name in _SLOWEST_FIRST)
    for child, *point in itertools.product(config.child.kind, *lists):
        values = dict(zip(_SLOWEST_FIRST, point, strict=True))
        values["python"] = python_label(values["python"])
        values["workload"] = workload_label(values["workload"])
        yield Case(
            child=child_label(child), cost=config.child.cost, fault=config.child.fault, **values
        )


def _without_what_means_nothing(case: Case) -> Case:
    """The case with the default of every dimension that its manager has not."""
    meaningless = {name for name, means in _MEANS_SOMETHING.items() if not means(case)}
    defaults = {name: DEFAULTS[name] for name in meaningless}
    return replace(case, **defaults)  # type: ignore[arg-type]


def _once(case: Case, config: Config) -> Case:
    """The case with one of what its scenario takes no notice of."""
    if case.scenario in WITHOUT_PAGES:
        case = replace(case, clients=1, workload=config.workload[0])
    if case.scenario in WITHOUT_MANAGER:
        first = next(name for name in config.manager if name in MANAGERS_THAT_SPIN)
        case = replace(case, manager=first)
    return case


def _redoes(case: Case) -> bool:
    """Whether its clients have one redo after another."""
    return case.scenario == REDO or case.manager not in MANAGERS_THAT_SPIN


def _has_clients_of_ours(case: Case) -> bool:
    """Whether its clients are threads or tasks of the worker."""
    return _redoes_in_worker(case) or case.manager in NOOPS


def _redoes_in_worker(case: Case) -> bool:
    """Whether it is a manager in the worker, ours or the user's, with a child."""
    return is_ours(case.manager) or is_own_manager(case.manager)


def _has_loop(case: Case) -> bool:
    return case.manager in ASYNC_MANAGERS or (case.manager == SYNC and case.caller != OWN)


_MEANS_SOMETHING: Final[Mapping[str, Callable[[Case], bool]]] = {
    "wait": lambda case: (
        case.manager in MANAGERS_THAT_SPIN and case.scenario not in WITHOUT_MANAGER
    ),
    "python": lambda case: runs_on_python(case.manager),
    "topology": lambda case: is_ours(case.manager),
    "executor": lambda case: case.manager == SYNC,
    "load": _has_clients_of_ours,
    "admission": _redoes_in_worker,
    "pause": lambda case: _has_clients_of_ours(case) and _redoes(case),
    "caller": lambda case: case.manager == SYNC,
    "heartbeat": lambda case: (
        _has_clients_of_ours(case)
        and _redoes(case)
        and (case.heartbeat != HEARTBEAT_ON_LOOP or _has_loop(case))
    ),
    "background_load": lambda case: not is_peer(case.manager),  # it belongs to a worker
    "scenario": lambda case: case.manager in MANAGERS_THAT_SPIN,
}
"""Dimension -> whether it makes a difference to that case. The others do to all."""
