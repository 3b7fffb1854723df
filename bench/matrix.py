"""Which cases a configuration asks for: the cartesian product of its dimensions.

What a case is and what it is called is in `bench.cases`; the order they run in is the schedule's.
"""

import itertools

from bench.cases import Case
from bench.config import Config


def cases_of(config: Config) -> tuple[Case, ...]:
    """Every case of the configuration, each once, in an order that follows the profile's lists.

    Child, then workload, then manager, then clients, the last changing fastest: consecutive cases
    are the points of one curve, and consecutive curves are the ones to be compared.
    """
    return tuple(
        Case(
            manager=manager,
            workload=workload,
            clients=clients,
            child=child,
            cost=config.child.cost,
            fault=config.child.fault,
        )
        for child, workload, manager, clients in itertools.product(
            config.child.kind, config.workload, config.manager, config.clients
        )
    )
