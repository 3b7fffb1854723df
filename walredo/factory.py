"""Creates the manager that a config asks for."""

from __future__ import annotations

from walredo.async_manager import AsyncRedoManager
from walredo.config import ManagerConfig, ManagerKind
from walredo.sync_manager import SyncRedoManager


def create_manager(config: ManagerConfig) -> SyncRedoManager | AsyncRedoManager:
    """A new manager of ``config.kind``. It launches no child before its first redo."""
    if config.kind is ManagerKind.ASYNC:
        return AsyncRedoManager(config)
    return SyncRedoManager(config)
