"""The transports between a session and its child, and the table that registers them.

``base`` holds the interface; each other module holds one implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from walredo.config import TransportKind
from walredo.transport.base import Transport
from walredo.transport.pipes import PipeTransport

TRANSPORTS: Mapping[TransportKind, Callable[[tuple[str, ...], int], Transport]] = {
    TransportKind.PIPES: PipeTransport,
}
"""Launches a child on the transport of that kind: child command, pipe size in bytes."""
