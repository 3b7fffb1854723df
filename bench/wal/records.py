"""The records of a WAL: cut from the stream of its pages, and checked as PostgreSQL does.

This is the loop that reads gigabytes: a record costs one unpacking, one checksum and one slice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import Struct
from typing import Final, NamedTuple

from bench.wal.libraries import library
from bench.wal.lsn import LONG_HEADER_BYTES, PAGE_BYTES, aligned, lsn_text
from bench.wal.pages import Pages
from bench.wal.segments import Wal

HEADER: Final = Struct("<IIQBBxxI")
"""XLogRecord: total length, transaction, LSN of the record before, info, resource manager, CRC."""

RM_XLOG: Final = 0
INFO_MASK: Final = 0xF0
"""The bits of ``info`` that belong to the resource manager."""

CHECKPOINT_SHUTDOWN: Final = 0x00
CHECKPOINT_ONLINE: Final = 0x10
SWITCH: Final = 0x40

_CRC_AT: Final = 20


class Record(NamedTuple):
    """A whole record as it is in the WAL. ``lsn``: of its first byte. ``end_lsn``: of its end, the
    LSN that its pages get."""

    lsn: int
    end_lsn: int
    data: bytes

    @property
    def xid(self) -> int:
        return int(HEADER.unpack_from(self.data)[1])

    @property
    def prev(self) -> int:
        return int(HEADER.unpack_from(self.data)[2])

    @property
    def info(self) -> int:
        return self.data[16]

    @property
    def rmid(self) -> int:
        return self.data[17]

    def is_of_xlog(self, *infos: int) -> bool:
        """Whether it is one of these records of the resource manager XLOG."""
        return self.rmid == RM_XLOG and self.info & INFO_MASK in infos


class Records:
    """The records from that LSN on, which must be where one begins. Iterate once, in one thread.

    ``end``: the end LSN of the last one, ``next``: where the next would begin, ``reason``: why none
    follows, once the iteration is over.
    """

    def __init__(self, wal: Wal, lsn: int, on_read: Callable[[int], object] | None = None) -> None:
        self._layout = wal.layout
        self._pages = Pages(wal, lsn, on_read)
        self._crc = library("google_crc32c")
        self.end = self.next = lsn
        self.reason = ""

    def __iter__(self) -> Iterator[Record]:
        """Raises WalError."""
        try:
            yield from self._records()
        finally:
            self._pages.close()

    def _records(self) -> Iterator[Record]:
        layout, pages = self._layout, self._pages
        header_of, checksum, extend = HEADER.unpack_from, self._crc.value, self._crc.extend
        lsn, before = self.next, None
        data = pages.more()
        at = layout.position(lsn) - layout.position(lsn - lsn % PAGE_BYTES)
        needed = HEADER.size
        while True:
            if at + needed > len(data):
                piece = pages.more()
                if not piece:
                    cut = f"record {lsn_text(lsn)} is cut: " if any(data[at : at + 4]) else ""
                    self.reason = cut + pages.reason
                    return
                data, at = data[at:] + piece, 0
                pages.forget(lsn)
                continue
            length, _, prev, info, rmid, crc = header_of(data, at)
            if length < HEADER.size:
                self.reason = f"record {lsn_text(lsn)} has length {length}"
                return
            # Before the rest of the header is trusted: it may be on a page that is not its own.
            if lsn % PAGE_BYTES + length > PAGE_BYTES or lsn % PAGE_BYTES <= LONG_HEADER_BYTES:
                page = self._broken_at(lsn, length)
                if self.reason:
                    return
                if page:
                    at += layout.position(page) - layout.position(lsn)
                    lsn = self.next = layout.start_lsn(page)
                    needed = HEADER.size
                    continue
            if before is not None and prev != before:
                self.reason = (
                    f"record {lsn_text(lsn)} follows {lsn_text(prev)}, not {lsn_text(before)}"
                )
                return
            end_at = at + length
            if end_at > len(data):
                needed = length
                continue
            record = data[at:end_at]
            if extend(checksum(record[24:]), record[:_CRC_AT]) != crc:
                self.reason = f"record {lsn_text(lsn)} has a wrong checksum"
                return
            size = aligned(length)
            if lsn % PAGE_BYTES + size <= PAGE_BYTES:
                end = lsn + size
            else:
                end = layout.end_lsn(layout.position(lsn) + size)
            at += size
            needed = HEADER.size
            if rmid == RM_XLOG and info & INFO_MASK == SWITCH:
                end = layout.segment_end(end)
                pages.go_to(end)
                data, at = b"", 0
            before = lsn
            found = Record(lsn, end, record)
            self.end = end
            lsn = self.next = end if end % PAGE_BYTES else layout.start_lsn(end)
            yield found

    def _broken_at(self, lsn: int, length: int) -> int:
        """The page with which another record overwrites the rest of this one; 0 if none does.

        Sets the reason if a page that was read does not say what it must about this record.
        """
        layout, starts = self._layout, self._pages.starts
        page = lsn - lsn % PAGE_BYTES
        if lsn == page + layout.header_bytes(page) and starts[page].is_continued:
            self.reason = f"page {lsn_text(page)} continues a record that has ended"
            return 0
        left = length - (PAGE_BYTES - lsn % PAGE_BYTES)
        while left > 0:
            page += PAGE_BYTES
            start = starts.get(page)
            if start is None:
                break
            if start.is_overwritten:
                return page
            if not start.is_continued or start.rem_len != left:
                cut = f"page {lsn_text(page)} does not continue it"
                self.reason = f"record {lsn_text(lsn)} is cut: {cut}"
                break
            left -= PAGE_BYTES - layout.header_bytes(page)
        return 0
