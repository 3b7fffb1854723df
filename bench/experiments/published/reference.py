"""The published figures: the file in results/reference/, read and checked.

How they compare with a result is in `shapes`. Times are microseconds, as they were published.
Unknown keys are ignored, so that a later file may have more.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from bench.errors import BenchError
from bench.places import RESULTS

REFERENCE: Final = RESULTS / "reference" / "neon_bench_walredo.json"

VERSION: Final = 1
"""A file of a later version is refused."""

_Us = Annotated[float, Meta(gt=0)]
_Clients = Annotated[int, Meta(ge=1)]


class PublishedError(BenchError):
    """The published figures cannot be read; the message names the file and says why."""


class Time(msgspec.Struct, frozen=True):
    """Mean time per redo with criterion's confidence interval (95 %)."""

    low_us: _Us
    estimate_us: _Us
    high_us: _Us

    def __post_init__(self) -> None:
        if not self.low_us <= self.estimate_us <= self.high_us:
            raise ValueError(f"{self.estimate_us} us does not lie in its interval")


class Table(msgspec.Struct, frozen=True):
    """What was published of one machine. ``series`` is by ``MANAGER-WORKLOAD`` and then by N."""

    id: str
    date: str
    machine: str
    source: str
    executor: str
    child: str
    series: Mapping[str, Mapping[_Clients, Time]]

    @property
    def label(self) -> str:
        """What legends call it."""
        return f"{self.machine}, {self.date}"

    def times(self, manager: str, workload: str) -> Mapping[int, Time]:
        """By N; empty where none was published."""
        return self.series.get(f"{manager}-{workload}", {})


class Published(msgspec.Struct, frozen=True):
    """All tables of a file."""

    tables: tuple[Table, ...]
    version: int = VERSION


def load(path: Path = REFERENCE) -> Published:
    """The figures of a file. Raises PublishedError."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Published)
    except OSError as error:
        raise PublishedError(f"{path}: {error.strerror or error}: git has it") from error
    except msgspec.MsgspecError as error:
        said = f"not published figures as this version reads them ({error})"
        raise PublishedError(f"{path}: {said}") from error
    if found.version > VERSION:
        said = f"of version {found.version}, this walredo-bench reads {VERSION}"
        raise PublishedError(f"{path}: {said}")
    return found
