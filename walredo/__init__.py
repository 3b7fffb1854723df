"""Redo managers: ask a sandboxed child process for database pages, waiting synchronously or not.

    config = ManagerConfig(child_command=("/path/to/child",), kind="async")
    async with create_manager(config) as manager:
        page = await manager.request_redo(RedoRequest(tag, records))

Standard library only. The managers log to the logger ``walredo``, and the stderr of their children
to ``walredo.child``. Both are silent unless the program configures logging.
"""

import logging

from walredo.async_manager import AsyncRedoManager
from walredo.config import ManagerConfig, ManagerKind, TransportKind
from walredo.errors import (
    Cause,
    ChildError,
    ChildExitedError,
    ChildIOError,
    FailedAttempt,
    InvalidRequest,
    LaunchError,
    QuiescedError,
    RedoInterrupted,
    RedoTimeoutError,
    ShutDownError,
    StreamsPoisonedError,
    UnexpectedOutputError,
    WalredoError,
)
from walredo.factory import create_manager
from walredo.request import BufferTag, RedoAttempt, RedoRequest, WalRecord, parse_requests
from walredo.status import ManagerStatus
from walredo.sync_manager import SyncRedoManager
from walredo.wire import PAGE_SIZE

logging.getLogger(__name__).addHandler(logging.NullHandler())

READ_PAGE = RedoAttempt.READ_PAGE
LEGACY_COMPACTION = RedoAttempt.LEGACY_COMPACTION
GC_COMPACTION = RedoAttempt.GC_COMPACTION

__all__ = [
    "GC_COMPACTION",
    "LEGACY_COMPACTION",
    "PAGE_SIZE",
    "READ_PAGE",
    "AsyncRedoManager",
    "BufferTag",
    "Cause",
    "ChildError",
    "ChildExitedError",
    "ChildIOError",
    "FailedAttempt",
    "InvalidRequest",
    "LaunchError",
    "ManagerConfig",
    "ManagerKind",
    "ManagerStatus",
    "QuiescedError",
    "RedoAttempt",
    "RedoInterrupted",
    "RedoRequest",
    "RedoTimeoutError",
    "ShutDownError",
    "StreamsPoisonedError",
    "SyncRedoManager",
    "TransportKind",
    "UnexpectedOutputError",
    "WalRecord",
    "WalredoError",
    "create_manager",
    "parse_requests",
]
