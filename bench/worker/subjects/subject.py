"""The interface of everything that a worker measures, and the parts that all kinds share.

Standard library and walredo only. A subject is opened once, measures slices, reports, and is
closed. After ``close`` no process is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from bench.worker.clients.slice import SliceOutcome
from bench.worker.meters import Meter
from bench.worker.protocol import BY_LENGTH, WorkerSpec
from walredo import PAGE_SIZE, RedoRequest, parse_requests

Fact = str | int | float

TENANT_PIPE_BYTES: Final = 64 * 1024
"""For managers that have one client each: the kernel's default, and enough for the one redo that is
in flight. With PIPE_BYTES an ordinary user would reach the limit of all of a user's pipes
(/proc/sys/fs/pipe-user-pages-soft, 64 MiB) at some 30 managers, and the knee would be that of the
pipes."""


class SubjectError(Exception):
    """The subject is not of the kind that was asked for, or does not work as it must."""


class Subject(Protocol):
    """Something that a worker measures.

    ``meters``: of the manager, and of its children if it has any. ``child_pids``: of the first
    child of each manager. Both are valid once the subject is open.
    """

    @property
    def child_pids(self) -> tuple[int, ...]: ...

    @property
    def meters(self) -> tuple[Meter, ...]: ...

    def run_slice(self, seconds: float) -> SliceOutcome: ...

    def counters(self) -> Mapping[str, int]:
        """The manager's counters since it was opened; empty if it has none."""

    def facts(self) -> Mapping[str, Fact]:
        """Facts for the metadata of the result."""

    def close(self) -> None: ...


def requests_of(spec: WorkerSpec) -> list[RedoRequest]:
    """The requests of the case; none if its clients ping."""
    return [] if spec.ping else list(parse_requests(Path(spec.requests).read_bytes()))


def pages_of(spec: WorkerSpec) -> list[bytes]:
    pages = Path(spec.pages).read_bytes()
    found = [pages[at : at + PAGE_SIZE] for at in range(0, len(pages), PAGE_SIZE)]
    if spec.page_check == BY_LENGTH:
        return [AnyPage(page) for page in found]
    return found[:1] if spec.ping else found


class AnyPage(bytes):
    """Equal to any bytes of its length: the page of a child whose pages are not known.

    The loops compare it like any other page. In ``page != pages[index]`` Python calls the method of
    this class first, since it is a subclass of the other operand's class.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, bytes) and len(other) == len(self)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]
