"""Log sequence numbers, and how the bytes of records lie in pages and segments.

An LSN counts all bytes of WAL; a *position* counts those of records only, without page headers. In
positions the WAL is one stream: records are contiguous and begin at multiples of eight.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bench.errors import BenchError

PAGE_BYTES: Final = 8192
"""XLOG_BLCKSZ, and BLCKSZ as well."""

SHORT_HEADER_BYTES: Final = 24
LONG_HEADER_BYTES: Final = 40
"""Of a page, and of the first page of a segment."""

_PAYLOAD: Final = PAGE_BYTES - SHORT_HEADER_BYTES
_FIRST_PAYLOAD: Final = PAGE_BYTES - LONG_HEADER_BYTES

_LSN: Final = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


class WalError(BenchError):
    """The WAL cannot be read as asked. One line, which names the place and what would be right."""


def lsn_text(lsn: int) -> str:
    """As PostgreSQL prints it: ``0/16B3748``."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def parse_lsn(text: str) -> int:
    """Raises ValueError."""
    found = _LSN.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r}: expected an LSN as 0/16B3748")
    return int(found[1], 16) << 32 | int(found[2], 16)


def aligned(length: int) -> int:
    """MAXALIGN: the next multiple of eight."""
    return (length + 7) & ~7


@dataclass(frozen=True, slots=True)
class Layout:
    """Where positions lie in segments of that size."""

    segment_bytes: int

    @property
    def _usable(self) -> int:
        """The bytes of records in a segment."""
        return self.segment_bytes // PAGE_BYTES * _PAYLOAD - (_PAYLOAD - _FIRST_PAYLOAD)

    def header_bytes(self, page_lsn: int) -> int:
        return SHORT_HEADER_BYTES if page_lsn % self.segment_bytes else LONG_HEADER_BYTES

    def start_lsn(self, lsn: int) -> int:
        """Where a record begins that follows one which ended there: behind the header of a page."""
        return lsn if lsn % PAGE_BYTES else lsn + self.header_bytes(lsn)

    def payload_offset(self, lsn: int) -> int:
        """How many bytes of records are before that LSN on its page."""
        return self.position(lsn) - self.position(lsn - lsn % PAGE_BYTES)

    def segment_end(self, lsn: int) -> int:
        """The first start of a segment that is not before that LSN."""
        return -(-lsn // self.segment_bytes) * self.segment_bytes

    def position(self, lsn: int) -> int:
        """XLogRecPtrToBytePos: of a byte of a record, or of a page's boundary."""
        segment, offset = divmod(lsn, self.segment_bytes)
        page, in_page = divmod(offset, PAGE_BYTES)
        header = SHORT_HEADER_BYTES if page else LONG_HEADER_BYTES
        before = _FIRST_PAYLOAD + (page - 1) * _PAYLOAD if page else 0
        return segment * self._usable + before + max(0, in_page - header)

    def end_lsn(self, position: int) -> int:
        """XLogBytePosToEndRecPtr: of what ends there. At the end of a page it is the boundary, not
        the byte after the header of the next one."""
        segment, rest = divmod(position, self._usable)
        start = segment * self.segment_bytes
        if rest == 0:
            return start
        if rest <= _FIRST_PAYLOAD:
            return start + LONG_HEADER_BYTES + rest
        pages, in_page = divmod(rest - _FIRST_PAYLOAD, _PAYLOAD)
        end = start + PAGE_BYTES * (1 + pages)
        return end + SHORT_HEADER_BYTES + in_page if in_page else end
