"""The transports between a session and its child, and the table that registers them.

``base`` holds the interface; each other module holds one implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from walredo.config import ManagerConfig, TransportKind
from walredo.transport.base import Launcher
from walredo.transport.pipes import PipeLauncher
from walredo.transport.shared_memory import SharedMemoryLauncher

TRANSPORTS: Mapping[TransportKind, Callable[[ManagerConfig], Launcher]] = {
    TransportKind.PIPE: PipeLauncher,
    TransportKind.SHM: SharedMemoryLauncher,
}
"""Makes the launcher of one manager."""
