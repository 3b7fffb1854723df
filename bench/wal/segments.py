"""The segments in a folder of WAL: which there are, and which follow each other.

Here is what is refused before a record is read. A later segment whose first page does not belong to
its name is no error: PostgreSQL renames old segments for later use, with their content.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Final

from bench.wal.lsn import LONG_HEADER_BYTES, PAGE_BYTES, Layout, WalError, lsn_text

LONG_HEADER: Final = Struct("<HHIQIxxxxQII")
"""XLogLongPageHeaderData: magic, info, timeline, address, length of the rest of a continued record;
system identifier, bytes of a segment, bytes of a page."""

VERSIONS: Final[Mapping[int, int]] = {
    0xD106: 13,
    0xD10D: 14,
    0xD110: 15,
    0xD113: 16,
    0xD116: 17,
    0xD118: 18,
}
"""XLOG_PAGE_MAGIC -> the major version of PostgreSQL."""

_NAME: Final = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(\.partial)?")
_PARTIAL: Final = ".partial"
_LOG_BYTES: Final = 1 << 32
_MIN_SEGMENT_BYTES: Final = 1 << 20
_MAX_SEGMENT_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of WAL. ``start``: the LSN of its first byte. ``bytes``: how many the file has, which
    may be fewer than a segment has."""

    path: Path
    start: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Wal:
    """The segments of one timeline by their start: those whose first page belongs to their name."""

    folder: Path
    magic: int
    timeline: int
    system: int
    segment_bytes: int
    segments: Mapping[int, Segment]

    @property
    def version(self) -> int:
        """The major version of PostgreSQL."""
        return VERSIONS[self.magic]

    @property
    def layout(self) -> Layout:
        return Layout(self.segment_bytes)

    @property
    def start(self) -> int:
        return min(self.segments)

    @property
    def end(self) -> int:
        """The end of the last segment: the WAL may end before."""
        return max(self.segments) + self.segment_bytes

    def missing(self, start: int) -> str:
        """Why there is no segment with that start: its file is missing, or holds other WAL."""
        per_log = _LOG_BYTES // self.segment_bytes
        log, number = divmod(start // self.segment_bytes, per_log)
        name = f"{self.timeline:08X}{log:08X}{number:08X}"
        if not (self.folder / name).exists():
            return f"there is no segment {name}"
        magic, _, _, address, *_ = _header(self.folder / name)
        if magic != self.magic:
            return f"segment {name} begins with magic {magic:04X}, not {self.magic:04X}"
        return f"segment {name} holds WAL of {lsn_text(address)}, not of {lsn_text(start)}"


def find_wal(folder: Path, timeline: int | None = None) -> Wal:
    """The WAL in a folder; of its only timeline unless one is asked for. Raises WalError."""
    paths = _paths(folder, timeline)
    number = int(paths[0].name[:8], 16)
    magic, system, segment_bytes = _checked(paths[0])
    segments = {}
    for path in paths:
        start = _start(path, segment_bytes)
        found, _, _, address, _, of_system, *_ = _header(path)
        if (found, address, of_system) == (magic, start, system):
            segments[start] = Segment(path, start, path.stat().st_size)
        elif path == paths[0]:
            held = f"holds WAL of {lsn_text(address)}, not of {lsn_text(start)}"
            raise WalError(f"{path}: {held}, as its name says")
    return Wal(folder, magic, number, system, segment_bytes, segments)


def _paths(folder: Path, timeline: int | None) -> Sequence[Path]:
    """The files of segments of one timeline, by name. Raises WalError."""
    if not folder.is_dir():
        problem = "is no folder" if folder.exists() else "there is no such folder"
        raise WalError(f"{folder}: {problem}: name the folder pg_wal of a cluster")
    try:
        names = {path.name for path in folder.iterdir() if _NAME.fullmatch(path.name)}
    except OSError as error:
        raise WalError(f"{folder}: cannot be read ({error.strerror})") from error
    by_timeline = defaultdict[int, list[Path]](list)
    for name in sorted(names):
        # What a standby has received of a segment when it was promoted.
        if not name.endswith(_PARTIAL) or name.removesuffix(_PARTIAL) not in names:
            by_timeline[int(name[:8], 16)].append(folder / name)
    if not by_timeline:
        near = folder / "pg_wal"
        hint = f": did you mean {near}?" if near.is_dir() else " (24 hexadecimal digits)"
        raise WalError(f"{folder}: has no segment of WAL{hint}")
    known = ", ".join(map(str, by_timeline))
    if timeline is None and len(by_timeline) > 1:
        raise WalError(f"{folder}: has timelines {known}: say which (--timeline)")
    if timeline is not None and timeline not in by_timeline:
        raise WalError(f"{folder}: has no timeline {timeline}: choose from {known}")
    return by_timeline[next(iter(by_timeline)) if timeline is None else timeline]


def _start(path: Path, segment_bytes: int) -> int:
    log, number = (int(path.name[at : at + 8], 16) for at in (8, 16))
    return log * _LOG_BYTES + number * segment_bytes


def _header(path: Path) -> tuple[int, int, int, int, int, int, int, int]:
    """That of the first page; zeros where the file ends. Raises WalError."""
    try:
        with path.open("rb") as file:
            return LONG_HEADER.unpack(file.read(LONG_HEADER_BYTES).ljust(LONG_HEADER_BYTES, b"\0"))
    except OSError as error:
        raise WalError(f"{path}: cannot be read ({error.strerror})") from error


def _checked(path: Path) -> tuple[int, int, int]:
    """Magic, system identifier and bytes of a segment, of the first segment. Raises WalError."""
    magic, _, _, _, _, system, segment_bytes, page_bytes = _header(path)
    if magic not in VERSIONS:
        known = ", ".join(f"{known:04X} ({version})" for known, version in VERSIONS.items())
        raise WalError(f"{path}: has magic {magic:04X}: WAL of PostgreSQL begins with {known}")
    if page_bytes != PAGE_BYTES:
        raise WalError(
            f"{path}: has pages of {page_bytes} bytes: only those of {PAGE_BYTES} are read"
        )
    is_power = segment_bytes & (segment_bytes - 1) == 0
    if not (is_power and _MIN_SEGMENT_BYTES <= segment_bytes <= _MAX_SEGMENT_BYTES):
        raise WalError(f"{path}: says that a segment has {segment_bytes} bytes: 1 MiB to 1 GiB")
    return magic, system, segment_bytes
