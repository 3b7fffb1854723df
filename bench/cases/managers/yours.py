"""Managers of the user's: a program (docs/peer.md), or a class in Python (docs/extending.md)."""

import re

from bench.cases.managers.kind import Kind

PEER_PREFIX = "peer:"
"""Begins the name of a manager that is a program; the rest is the KIND it is called with."""

PEER = Kind(
    name="peer:KIND",
    pattern=re.compile(r"peer:[A-Za-z0-9][A-Za-z0-9_.+-]*"),
    is_python=False,
    has_worker=False,  # the program is run in the place of a worker
)
OWN = Kind(
    name="package.module:factory",
    pattern=re.compile(r"(?!peer:)[A-Za-z]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII),
    subject="bench.worker.subjects.manager:own_subject",
    is_async=None,
)


def is_peer(manager: str) -> bool:
    """Whether that manager is a program of the user's."""
    return PEER.matches(manager)


def is_own_manager(manager: str) -> bool:
    """Whether that manager is a class of the user's."""
    return OWN.matches(manager)
