"""The records of a WAL: cut from the stream of its pages, and checked as PostgreSQL does.

This is the loop that reads gigabytes: a record costs one unpacking, one checksum and one slice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import Struct
from typing import Final, NamedTuple

from bench.wal.libraries import library
from bench.wal.lsn import (
    LONG_HEADER_BYTES,
    PAGE_BYTES,
    SHORT_HEADER_BYTES,
    aligned,
    lsn_text,
)
from bench.wal.pages import FIRST_IS_CONTRECORD, Pages
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
"""The checksum covers what is behind the header, then the header up to here."""

_MAX_LSN: Final = (1 << 64) - 1


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
    """The records from ``start`` on, which must be where one begins, to ``stop``. Iterate once, in
    one thread.

    ``only_xlog``: records of other resource managers are passed over by their length, unchecked.

    Once the iteration is over, ``count``: of records; ``end``: the end LSN of the last one;
    ``next``: where the next would begin; ``reason``: why none follows. ``was_stopped``: whether
    that is ``stop``.
    """

    def __init__(
        self,
        wal: Wal,
        start: int,
        on_read: Callable[[int], object] | None = None,
        *,
        stop: int | None = None,
        only_xlog: bool = False,
    ) -> None:
        self._layout = wal.layout
        self._pages = Pages(wal, start, on_read)
        self._checksum = library("google_crc32c").value
        self._stop = _MAX_LSN if stop is None else stop
        self._only_xlog = only_xlog
        self._data = b""
        self._at = 0
        self._before: int | None = None
        self.count = 0
        self.end = self.next = start
        self.reason = ""
        self.was_stopped = False

    def __iter__(self) -> Iterator[Record]:
        """Raises WalError."""
        try:
            self._data = self._pages.more()
            self._at = self._layout.payload_offset(self.next)
            while (record := self._next()) is not None:
                if not self._only_xlog or record.rmid == RM_XLOG:
                    self.count += 1
                    yield record
                if self.next % PAGE_BYTES > LONG_HEADER_BYTES:
                    yield from self._usual()
        finally:
            self._pages.close()

    def _usual(self) -> Iterator[Record]:
        """The records up to one that is odd in any way: that is left to `_next`, which also says
        what is wrong with it. This loop is what reading gigabytes takes.

        Usual is a record that ends inside its page or inside the next one, and is not of the
        resource manager XLOG.
        """
        data, at, lsn, before, count = self._data, self._at, self.next, self._before, 0
        header_of, checksum, only_xlog = HEADER.unpack_from, self._checksum, self._only_xlog
        starts = self._pages.starts
        next_page = lsn - lsn % PAGE_BYTES + PAGE_BYTES
        # What a place in the data is less than its LSN.
        to_lsn = lsn - at
        end_of_page = next_page - to_lsn
        while at + HEADER.size <= len(data):
            length, _, prev, _, rmid, crc = header_of(data, at)
            if prev != before or rmid == RM_XLOG or length < HEADER.size:
                break
            end_at = at + ((length + 7) & ~7)
            if end_at >= end_of_page:
                left = at + length - end_of_page
                is_continued = starts.get(next_page) == (FIRST_IS_CONTRECORD, left) and left > 0
                end_of_page += PAGE_BYTES - SHORT_HEADER_BYTES
                if not is_continued or end_at >= end_of_page:
                    break
                next_page += PAGE_BYTES
                to_lsn += SHORT_HEADER_BYTES
            end = end_at + to_lsn
            if end > self._stop:
                break
            if not only_xlog:
                record = data[at : at + length]
                if checksum(record[HEADER.size :] + record[:_CRC_AT]) != crc:
                    break
                count += 1
                yield Record(lsn, end, record)
            before, at, lsn = lsn, end_at, end
        self._at, self._before, self.next = at, before, lsn
        self.end = lsn
        self.count += count

    def _next(self) -> Record | None:
        """The next record, whatever it is; None if none follows: then there is a reason."""
        needed = HEADER.size
        while self._read(needed):
            lsn = self.next
            length, _, prev, info, rmid, crc = HEADER.unpack_from(self._data, self._at)
            if length < HEADER.size:
                self.reason = f"record {lsn_text(lsn)} has length {length}"
                break
            # Before the rest of the header is trusted: it may be on a page that is not its own.
            page = self._broken_at(lsn, length)
            if self.reason:
                break
            if page:
                self._at += self._layout.position(page) - self._layout.position(lsn)
                self.next = self._layout.start_lsn(page)
                needed = HEADER.size
                continue
            if prev != self._before and self._before is not None:
                follows = f"{lsn_text(prev)}, not {lsn_text(self._before)}"
                self.reason = f"record {lsn_text(lsn)} follows {follows}"
                break
            if self._at + length > len(self._data):
                needed = length
                continue
            record = self._data[self._at : self._at + length]
            is_checked = not self._only_xlog or rmid == RM_XLOG
            if is_checked and self._checksum(record[HEADER.size :] + record[:_CRC_AT]) != crc:
                self.reason = f"record {lsn_text(lsn)} has a wrong checksum"
                break
            return self._taken(record, is_switch=rmid == RM_XLOG and info & INFO_MASK == SWITCH)
        return None

    def _read(self, needed: int) -> bool:
        """Reads on unless so many bytes of the next record are there; False if nothing follows."""
        if self._at + needed <= len(self._data):
            return True
        rest = self._data[self._at :]
        piece = self._pages.more()
        if not piece:
            cut = f"record {lsn_text(self.next)} is cut: " if any(rest[:4]) else ""
            self.reason = cut + self._pages.reason
            return False
        self._data, self._at = rest + piece, 0
        self._pages.forget(self.next)
        return True

    def _taken(self, data: bytes, *, is_switch: bool) -> Record | None:
        """Goes on to the next record; None if this one ends after ``stop``."""
        layout, lsn, size = self._layout, self.next, aligned(len(data))
        end = layout.end_lsn(layout.position(lsn) + size)
        if is_switch:
            end = layout.segment_end(end)
        if end > self._stop:
            self.reason = f"--to {lsn_text(self._stop)}"
            self.was_stopped = True
            return None
        self._at += size
        if is_switch:
            self._pages.go_to(end)
            self._data, self._at = b"", 0
        self._before, self.end, self.next = lsn, end, layout.start_lsn(end)
        return Record(lsn, end, data)

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
