"""The one place that chooses a manager."""

from __future__ import annotations

from walredo.async_manager import AsyncRedoManager
from walredo.config import ManagerConfig, ManagerKind
from walredo.sync_manager import SyncRedoManager


def create_manager(config: ManagerConfig) -> SyncRedoManager | AsyncRedoManager:
    """The manager of ``config.kind``. No child is launched before its first redo."""
    if config.kind is ManagerKind.ASYNC:
        return AsyncRedoManager(config)
    return SyncRedoManager(config)
