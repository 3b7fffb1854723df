"""Writes WAL as PostgreSQL does: records into pages into segments. The reader's counterpart.

It shares no code with the reader: it fills pages byte by byte and counts LSNs as it goes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import google_crc32c

PAGE: Final = 8192
MIB: Final = 1 << 20
MAGICS: Final = {13: 0xD106, 14: 0xD10D, 15: 0xD110, 16: 0xD113, 17: 0xD116, 18: 0xD118}
SYSTEM: Final = 7_000_000_000_000_000_001

RELATION: Final = (1663, 5, 16384)


def image_bits(version: int, *, apply: bool, hole: bool, method: str = "") -> int:
    """bimg_info."""
    old = {"": 0, "pglz": 2}
    new = {"": 0, "pglz": 4, "lz4": 8, "zstd": 16}
    if version < 15:
        return hole | old[method] | (4 if apply else 0)
    return hole | new[method] | (2 if apply else 0)


def page_of(fill: int, lsn: int = 0x1_0000_0010, upper: int = 8000) -> bytes:
    """A page with a hole of zeros from byte 100 to 8,000."""
    head = struct.pack("<IIHHHHHHI", lsn >> 32, lsn & 0xFFFFFFFF, 0, 0, 100, upper, 8192, 0x2004, 0)
    return head + bytes([fill]) * (100 - len(head)) + bytes(7900) + bytes([fill]) * 192


@dataclass(frozen=True, slots=True)
class Image:
    """``data``: as it is in the record, without the hole, compressed or not."""

    data: bytes
    hole: tuple[int, int] | None = None
    method: str = ""
    apply: bool = True


def plain_image(page: bytes, *, apply: bool = True) -> Image:
    """With the hole of `page_of` left out."""
    return Image(page[:100] + page[8000:], (100, 7900), "", apply)


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to a block. ``same``: of the relation of the one before."""

    block: int
    relation: tuple[int, int, int] = RELATION
    fork: int = 0
    image: Image | None = None
    init: bool = False
    same: bool = False
    data: bytes = b""


def body(refs: Sequence[Ref], main: bytes, version: int, extra: bytes = b"") -> bytes:
    """A record behind its header. ``extra``: headers of origin and top-level transaction."""
    head = payload = b""
    for id_, ref in enumerate(refs):
        flags = ref.fork | (0x20 if ref.data else 0) | (0x40 if ref.init else 0)
        flags |= (0x10 if ref.image else 0) | (0x80 if ref.same else 0)
        head += struct.pack("<BBH", id_, flags, len(ref.data))
        if ref.image:
            one = ref.image
            bits = image_bits(version, apply=one.apply, hole=bool(one.hole), method=one.method)
            head += struct.pack("<HHB", len(one.data), one.hole[0] if one.hole else 0, bits)
            if one.hole and one.method:
                head += struct.pack("<H", one.hole[1])
            payload += one.data
        if not ref.same:
            head += struct.pack("<III", *ref.relation)
        head += struct.pack("<I", ref.block)
        payload += ref.data
    head += extra
    if len(main) > 255:
        head += struct.pack("<BI", 254, len(main))
    elif main:
        head += struct.pack("<BB", 255, len(main))
    return head + payload + main


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: where it begins and ends, and all its bytes."""

    lsn: int
    end: int
    data: bytes


@dataclass(slots=True)
class WalWriter:
    """Appends records. ``at``: the LSN of the next byte; it is a page's boundary where one ends."""

    version: int = 15
    segment_bytes: int = MIB
    at: int = 3 * MIB
    timeline: int = 1
    written: list[Written] = field(default_factory=list)
    _pages: dict[int, bytearray] = field(default_factory=dict)
    _prev: int = 0

    def __post_init__(self) -> None:
        self.at = self.at // self.segment_bytes * self.segment_bytes

    def record(
        self,
        *refs: Ref,
        main: bytes = b"",
        info: int = 0,
        rmid: int = 10,
        extra: bytes = b"",
        xid: int = 700,
    ) -> Written:
        """Appends a record."""
        return self.append(body(refs, main, self.version, extra), info, rmid, xid)

    def append(self, rest: bytes, info: int = 0, rmid: int = 10, xid: int = 700) -> Written:
        """Appends a record of these bytes behind its header."""
        start, data = self._sealed(rest, info, rmid, xid)
        self._put(data)
        self._put(bytes(-len(data) % 8))
        self._prev = start
        self.written.append(Written(start, self.at, data))
        return self.written[-1]

    def sized(self, length: int, **options: int) -> Written:
        """Appends a record of that total length."""
        main = length - 24 - 2
        assert main != 0
        rest = body((), b"\x5a" * main, self.version) if main <= 255 else b""
        return self.append(rest or body((), b"\x5a" * (length - 24 - 5), self.version), **options)

    def fill_page(self, left: int = 0) -> None:
        """Appends records until so many bytes are left in the page."""
        room = self._room()
        while room != left:
            gap = room - left
            assert gap >= 32 and gap % 8 == 0
            size = gap if gap <= 256 else 128
            self.sized(size if gap - size == 0 or gap - size >= 32 else size - 32)
            room -= len(self.written[-1].data)

    def switch(self) -> Written:
        """XLOG_SWITCH: the rest of the segment stays empty."""
        found = self.append(b"", info=0x40, rmid=0)
        end = -(-self.at // self.segment_bytes) * self.segment_bytes
        while self.at % self.segment_bytes:
            self.at += PAGE - self.at % PAGE
            if self.at % self.segment_bytes:
                self._page(self.at)
        self.written[-1] = Written(found.lsn, end, found.data)
        return self.written[-1]

    def checkpoint(self, redo: int, *, online: bool = True) -> Written:
        main = struct.pack("<Q", redo) + bytes(80)
        return self.record(main=main, info=0x10 if online else 0, rmid=0)

    def broken_off(self, rest: bytes) -> None:
        """The beginning of a record up to the end of the page; then OVERWRITE_CONTRECORD."""
        _, data = self._sealed(rest, 0, 10, 700)
        room = self._room()
        assert len(data) > room
        self._put(data[:room])
        self._page(self.at, info=8)
        self.append(body((), bytes(16), self.version), info=0xD0, rmid=0)

    def next_lsn(self) -> int:
        """Where the next record begins."""
        if self.at % PAGE:
            return self.at
        return self.at + (24 if self.at % self.segment_bytes else 40)

    def files(self, folder: Path, names: Mapping[int, str] | None = None) -> list[Path]:
        """Writes all segments, the last one filled with zeros."""
        starts = sorted({page // self.segment_bytes * self.segment_bytes for page in self._pages})
        found = []
        for start in starts:
            content = bytearray(self.segment_bytes)
            for page, data in self._pages.items():
                if start <= page < start + self.segment_bytes:
                    content[page - start : page - start + len(data)] = data
            path = folder / (names or {}).get(start, self.name(start))
            path.write_bytes(content)
            found.append(path)
        return found

    def name(self, start: int) -> str:
        number = start // self.segment_bytes
        per_log = (1 << 32) // self.segment_bytes
        return f"{self.timeline:08X}{number // per_log:08X}{number % per_log:08X}"

    def _sealed(self, rest: bytes, info: int, rmid: int, xid: int) -> tuple[int, bytes]:
        """Where the record begins, and the record with its header and checksum."""
        head = struct.pack("<IIQBBxx", 24 + len(rest), xid, self._prev, info, rmid)
        crc = google_crc32c.extend(google_crc32c.value(rest), head)
        return self.next_lsn(), head + struct.pack("<I", crc) + rest

    def _room(self) -> int:
        if self.at % PAGE:
            return PAGE - self.at % PAGE
        return PAGE - (24 if self.at % self.segment_bytes else 40)

    def _put(self, data: bytes) -> None:
        done = 0
        while done < len(data):
            if self.at % PAGE == 0:
                if self.at not in self._pages:
                    self._page(
                        self.at, info=1 if done else 0, rem_len=len(data) - done if done else 0
                    )
                self.at = self.next_lsn()
            page = self.at // PAGE * PAGE
            piece = data[done : done + PAGE - self.at % PAGE]
            self._pages[page] += piece
            self.at += len(piece)
            done += len(piece)

    def _page(self, lsn: int, info: int = 0, rem_len: int = 0) -> None:
        first = lsn % self.segment_bytes == 0
        magic = MAGICS[self.version]
        info |= 2 if first else 0
        # BKP_REMOVABLE: on most pages, and of no meaning here.
        info |= 4 if lsn // PAGE % 3 else 0
        head = struct.pack("<HHIQI4x", magic, info, self.timeline, lsn, rem_len)
        if first:
            head += struct.pack("<QII", SYSTEM, self.segment_bytes, PAGE)
        self._pages[lsn] = bytearray(head)
