"""Managers of the user's: a program (docs/peer.md), or a class in Python (docs/extending.md).

A class is chosen as ``package.module:factory``, which is also its name in cases and result files.
Chosen with a label, as ``LABEL=package.module:factory``, its name is ``own:LABEL``.
"""

import re
from typing import NamedTuple

from bench.cases.managers.kind import Kind

PEER_PREFIX = "peer:"
"""Begins the name of a manager that is a program; the rest is the KIND it is called with."""

_OWN_PREFIX = "own:"
"""Begins the name of a class of the user's that has a label."""

_LABEL = r"[A-Za-z0-9][A-Za-z0-9_+-]*"
_FACTORY = r"[A-Za-z]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*"
_WITHOUT_LABEL = rf"(?!{PEER_PREFIX}|{_OWN_PREFIX}){_FACTORY}"

PEER = Kind(
    name="peer:KIND",
    pattern=re.compile(r"peer:[A-Za-z0-9][A-Za-z0-9_.+-]*"),
    is_python=False,
    has_worker=False,  # the program is run in the place of a worker
)
OWN = Kind(
    name="[LABEL=]package.module:factory",
    pattern=re.compile(rf"{_OWN_PREFIX}{_LABEL}|{_WITHOUT_LABEL}", re.ASCII),
    subject="bench.worker.subjects.manager:own_subject",
    is_async=None,
)
_CHOICE = re.compile(rf"(?P<label>{_LABEL})=(?P<factory>{_FACTORY})|{_WITHOUT_LABEL}", re.ASCII)


class OwnChoice(NamedTuple):
    """``name``: what cases call the manager. ``factory``: ``package.module:factory``."""

    name: str
    factory: str


def own_choice(choice: str) -> OwnChoice | None:
    """What a choice of a manager says, if it is a class of the user's; else None."""
    match = _CHOICE.fullmatch(choice)
    if match is None:
        return None
    if match["label"] is None:
        return OwnChoice(choice, choice)
    return OwnChoice(_OWN_PREFIX + match["label"], match["factory"])


def is_peer(manager: str) -> bool:
    """Whether that manager is a program of the user's."""
    return PEER.matches(manager)
