"""What the suite must know of a kind of manager."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

ASYNCIO: Final = "asyncio"
UVLOOP: Final = "uvloop"


@dataclass(frozen=True, slots=True)
class Look:
    """The curve of a kind in figures: a colour, and matplotlib's letter of a marker."""

    color: str
    marker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of manager.

    ``subject`` names, as ``module:callable``, what a worker makes of a case. It is a name and no
    reference, so that a worker imports only what it runs. Empty: no worker runs this kind.
    """

    name: str
    """How a case and an option call it; of a kind of the user's, how its names are written."""
    pattern: re.Pattern[str] | None = None
    """What matches its names, for a kind that has many; None: its only name is ``name``."""
    subject: str = ""
    has_tenants: bool = False
    """Whether there are cases with a manager for each client."""
    is_async: bool | None = False
    """Whether clients are tasks on an event loop and not threads; None: known once imported."""
    loop: str = ASYNCIO
    """Which event loop its clients run on, if they are tasks."""
    is_python: bool = True
    """Whether manager and clients run on the worker's interpreter."""
    has_worker: bool = True
    """Whether a worker of the suite runs it."""
    has_child: bool = True
    """Whether its redos are answered by a redo child of the suite or of the user."""
    is_walredo: bool = False
    """Whether it is a manager of walredo: it can spin before it waits, and live the scenarios."""
    is_manager: bool = True
    """False: it stands beside the managers to measure them by, and does not compete with them."""
    look: Look | None = None
    """None: a look is chosen by its name."""
    per_tenant: tuple[int, int] = (3, 1)
    """Descriptors and tasks (processes or threads) that one of many managers holds. All hold the
    ends of the child's pipes, and the child."""

    def matches(self, manager: str) -> bool:
        """Whether that manager is of this kind."""
        pattern = self.pattern
        return manager == self.name if pattern is None else bool(pattern.fullmatch(manager))
