"""The pages of a WAL, without their headers: one stream of records.

PostgreSQL's rules for a page that belongs to the WAL (XLogReaderValidatePageHeader): magic, flags,
address, timeline. The first page that breaks one ends the WAL.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import BinaryIO, Final, NamedTuple

from bench.wal.lsn import LONG_HEADER_BYTES, PAGE_BYTES, SHORT_HEADER_BYTES, WalError, lsn_text
from bench.wal.segments import Segment, Wal

_HEADER: Final = Struct("<HHIQI")
"""XLogPageHeaderData: magic, info, timeline, address, length of the rest of a continued record."""

FIRST_IS_CONTRECORD: Final = 1
LONG_HEADER: Final = 2
BKP_REMOVABLE: Final = 4
"""Says nothing about records."""
FIRST_IS_OVERWRITE_CONTRECORD: Final = 8
_ALL_FLAGS: Final = 15

_READ_BYTES: Final = 8 * PAGE_BYTES
"""Larger blocks do not stay in the CPU's cache, and the allocator returns them to the kernel."""


class Start(NamedTuple):
    """How a page begins: its flags, and how many bytes a continued record still has there."""

    info: int
    rem_len: int

    @property
    def is_continued(self) -> bool:
        return bool(self.info & FIRST_IS_CONTRECORD)

    @property
    def is_overwritten(self) -> bool:
        """The record before was never finished: after a crash another one begins here."""
        return bool(self.info & FIRST_IS_OVERWRITE_CONTRECORD)


class Pages:
    """The payload of pages in order, from that of an LSN on. For one thread.

    ``starts``: how the pages begin that were read, by LSN. ``lsn``: of the next page. ``reason``:
    why no page follows; empty as long as one may. ``on_read`` is told how many bytes were read,
    each time.
    """

    def __init__(self, wal: Wal, lsn: int, on_read: Callable[[int], object] | None = None) -> None:
        self._wal = wal
        self._layout = wal.layout
        self._on_read = on_read
        self._timeline = 0
        self._file: BinaryIO | None = None
        self._segment: Segment | None = None
        self.starts: dict[int, Start] = {}
        self.reason = ""
        self.lsn = lsn - lsn % PAGE_BYTES

    def go_to(self, lsn: int) -> None:
        """Continues with another page."""
        self.close()
        self.starts.clear()
        self.reason = ""
        self.lsn = lsn

    def forget(self, lsn: int) -> None:
        """Drops the starts of pages before that of an LSN."""
        first = lsn - lsn % PAGE_BYTES
        self.starts = {page: start for page, start in self.starts.items() if page >= first}

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._segment = None

    def more(self) -> bytes:
        """The payload of the next pages, at least one; empty at the end of the WAL.

        Raises WalError.
        """
        if self.reason:
            return b""
        segment = self._current()
        if segment is None:
            return b""
        assert self._file is not None
        left = segment.start + self._wal.segment_bytes - self.lsn
        try:
            data = self._file.read(min(left, _READ_BYTES))
        except OSError as error:
            raise WalError(f"{segment.path}: cannot be read ({error.strerror})") from error
        if self._on_read is not None:
            self._on_read(len(data))
        pieces = []
        for at in range(0, len(data) - len(data) % PAGE_BYTES, PAGE_BYTES):
            header = self._checked(data, at)
            if header == 0:
                break
            pieces.append(data[at + header : at + PAGE_BYTES])
            self.lsn += PAGE_BYTES
        if not pieces and not self.reason:
            self._too_short(segment)
        return b"".join(pieces)

    def _current(self) -> Segment | None:
        """The segment with the next page, opened; None if there is none. Raises WalError."""
        start = self.lsn - self.lsn % self._wal.segment_bytes
        if self._segment is not None and self._segment.start == start:
            return self._segment
        self.close()
        segment = self._wal.segments.get(start)
        if segment is None:
            missing = self._wal.missing(start)
            if start < self._wal.end:
                raise WalError(f"{self._wal.folder}: has a gap at {lsn_text(start)}: {missing}")
            self.reason = missing
            return None
        try:
            self._file = segment.path.open("rb")
            self._file.seek(self.lsn - start)
        except OSError as error:
            raise WalError(f"{segment.path}: cannot be read ({error.strerror})") from error
        self._segment = segment
        return segment

    def _too_short(self, segment: Segment) -> None:
        """The file ends before the segment does: that ends the WAL, or is an error before other
        segments. Raises WalError."""
        bytes_ = f"{segment.bytes} bytes instead of {self._wal.segment_bytes}"
        if segment.start + self._wal.segment_bytes < self._wal.end:
            raise WalError(f"{segment.path}: has {bytes_}, as its header says")
        self.reason = f"segment {segment.path.name} has {bytes_}"

    def _checked(self, data: bytes, at: int) -> int:
        """The bytes of the header of the page there; 0 if the page does not follow."""
        magic, info, timeline, address, rem_len = _HEADER.unpack_from(data, at)
        is_first = self.lsn % self._wal.segment_bytes == 0
        page = f"page {lsn_text(self.lsn)}"
        if magic != self._wal.magic:
            self.reason = f"{page} has magic {magic:04X}, not {self._wal.magic:04X}"
        elif address != self.lsn:
            self.reason = f"{page} holds WAL of {lsn_text(address)}"
        elif info & ~_ALL_FLAGS or bool(info & LONG_HEADER) != is_first:
            self.reason = f"{page} has flags {info:04X}"
        elif not self._timeline <= timeline <= self._wal.timeline:
            self.reason = f"{page} is of timeline {timeline}"
        else:
            self._timeline = timeline
            self.starts[address] = Start(info & ~BKP_REMOVABLE, rem_len)
            return LONG_HEADER_BYTES if is_first else SHORT_HEADER_BYTES
        return 0
