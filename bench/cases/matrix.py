"""Which cases a configuration asks for: the cartesian product of the dimensions of each matrix.

What a case is, and its name, is in `bench.cases.case`; `bench.running.schedule` orders them.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from bench.cases.case import DEFAULTS, DIMENSIONS, Case, without
from bench.cases.config import Config
from bench.cases.managers.registry import kind_of
from bench.cases.notations import WITHOUT_MANAGER, WITHOUT_PAGES


def cases_of(config: Config) -> tuple[Case, ...]:
    """Every case of the configuration, each once: those of its main matrix, then of the others."""
    cases = itertools.chain.from_iterable(map(_of_matrix, config.matrices()))
    return tuple(dict.fromkeys(cases))


def _of_matrix(config: Config) -> Iterator[Case]:
    """The cases of one matrix, in an order that follows the profile's lists.

    Child first, manager and clients last, the last changing fastest: consecutive cases are the
    points of one curve, and consecutive curves are the ones to be compared. A dimension that makes
    no difference to a case (the interpreter to the floor) has its default there. A scenario that
    takes no notice of workload or manager is measured with the first of them alone.
    """
    points = itertools.product(*map(config.labels, _SLOWEST_FIRST))
    cases = (Case(**dict(zip(_SLOWEST_FIRST, point, strict=True))) for point in points)
    return (_once(_without_the_meaningless(case), config) for case in cases)


def without_meaning(config: Config) -> Iterator[str]:
    """A line per dimension that was asked for and makes no difference to any case."""
    cases = cases_of(config)
    for name in _CAN_BE_MEANINGLESS:
        asked = [value for value in config.values(name) if value != DEFAULTS[name]]
        if asked and all(getattr(case, name) == DEFAULTS[name] for case in cases):
            said = f"{name.replace('_', '-')} {','.join(map(str, asked))}"
            yield f"{said} makes no difference to any of these cases: left out"


_SLOWEST_FIRST: Final = tuple(sorted(DIMENSIONS, key=lambda name: DIMENSIONS[name].nesting))
_CAN_BE_MEANINGLESS: Final[Mapping[str, Callable[[Case], bool]]] = {
    name: dimension.means_something
    for name, dimension in DIMENSIONS.items()
    if dimension.means_something is not None
}


def _without_the_meaningless(case: Case) -> Case:
    """The case with the default of every dimension that makes no difference to it."""
    return without(case, [name for name, means in _CAN_BE_MEANINGLESS.items() if not means(case)])


def _once(case: Case, config: Config) -> Case:
    """The case with one value of each dimension that its scenario ignores."""
    if case.scenario in WITHOUT_PAGES:
        case = replace(case, clients=1, workload=config.workload[0])
    if case.scenario in WITHOUT_MANAGER:
        first = next(name for name in config.labels("manager") if kind_of(name).is_walredo)
        case = replace(case, manager=first)
    return case
