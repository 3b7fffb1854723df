"""Which cases a configuration asks for: the cartesian product of its dimensions.

What a case is and what it is called is in `bench.cases`; the order they run in is the schedule's.
"""

import itertools

from bench.cases import Case
from bench.config import Config
from bench.names import MANAGERS_THAT_SPIN, PARK, THIS_PYTHON, python_label, runs_on_python


def cases_of(config: Config) -> tuple[Case, ...]:
    """Every case of the configuration, each once, in an order that follows the profile's lists.

    Child, then workload, placement, interpreter, wait, manager and clients, the last changing
    fastest: consecutive cases are the points of one curve, and consecutive curves are the ones to
    be compared. A manager that has only one way to wait, or needs no interpreter, has it once,
    whatever else is asked for.
    """
    return tuple(
        Case(
            manager=manager,
            workload=workload,
            clients=clients,
            child=child,
            cost=config.child.cost,
            fault=config.child.fault,
            wait=wait if manager in MANAGERS_THAT_SPIN else PARK,
            placement=placement,
            python=python_label(python) if runs_on_python(manager) else THIS_PYTHON,
        )
        for child, workload, placement, python, wait, manager, clients in itertools.product(
            config.child.kind,
            config.workload,
            config.placement,
            config.python,
            config.wait,
            config.manager,
            config.clients,
        )
        if (wait == config.wait[0] or manager in MANAGERS_THAT_SPIN)
        and (python == config.python[0] or runs_on_python(manager))
    )
