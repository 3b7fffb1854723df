"""The blocks that a record names, and where its images and its main data lie (bkpblock).

PostgreSQL writes every record in this form (XLogRecordAssemble), whatever resource manager it is
of: headers of blocks, then that of the main data, then images and data of blocks, then main data.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct, error
from typing import Final, NamedTuple

from bench.wal.lsn import PAGE_BYTES
from bench.wal.records import HEADER

MAIN_FORK: Final = 0

_BLOCK: Final = Struct("<BBH")
"""Id, flags, length of the data."""
_BLOCK_AND_PAGE: Final = Struct("<BBH16s")
"""The usual form in one go: no image is between, and the relation is there."""
_NEXT_AT: Final = HEADER.size + _BLOCK_AND_PAGE.size
"""Where the next header begins if a record begins with the usual form."""
_IMAGE: Final = Struct("<HHB")
_HOLE: Final = Struct("<H")
_RELATION_BYTES: Final = 12
_NUMBER: Final = Struct("<I")

_MAX_BLOCK_ID: Final = 32
_DATA_SHORT, _DATA_LONG, _ORIGIN, _TOPLEVEL_XID = 255, 254, 253, 252

_FORK_MASK: Final = 0x0F
_HAS_IMAGE, _HAS_DATA, _WILL_INIT, _SAME_REL = 0x10, 0x20, 0x40, 0x80
_HAS_HOLE: Final = 0x01


COMPRESSIONS: Final = ("pglz", "lz4", "zstd")


class Methods(NamedTuple):
    """The bits of ``bimg_info`` that changed with version 15; 0 for what there is not."""

    apply: int
    pglz: int
    lz4: int
    zstd: int


def methods_of(version: int) -> Methods:
    """Of a major version of PostgreSQL."""
    return Methods(2, 4, 8, 16) if version >= 15 else Methods(4, 2, 0, 0)


class Image(NamedTuple):
    """A full-page image in a record. ``at``: where its bytes begin. ``apply``: whether it restores
    the page; otherwise it is there to be compared with (wal_consistency_checking)."""

    at: int
    length: int
    hole_offset: int
    hole_length: int
    method: str
    apply: bool


Page = bytes
"""A page of the main fork: tablespace, database, relation and block, as a header of a block has
them. Bytes are made, hashed and compared in less time than numbers."""

_PAGE: Final = Struct("<IIII")


def page_fields(page: Page) -> tuple[int, int, int, int]:
    """Tablespace, database, relation, block."""
    return _PAGE.unpack(page)


class Block(NamedTuple):
    """A reference to a block. ``page``: as in the main fork."""

    id: int
    flags: int
    page: Page
    image: Image | None

    @property
    def fork(self) -> int:
        return self.flags & _FORK_MASK

    @property
    def will_init(self) -> bool:
        """Whether the record makes the page anew."""
        return bool(self.flags & _WILL_INIT)

    @property
    def relation(self) -> tuple[int, int, int]:
        """Tablespace, database, relation."""
        return page_fields(self.page)[:3]

    @property
    def block(self) -> int:
        return page_fields(self.page)[3]

    @property
    def has_base(self) -> bool:
        """Whether it has an image that restores the page."""
        return self.image is not None and self.image.apply

    @property
    def restarts(self) -> bool:
        """Whether nothing that was on the page before matters."""
        return self.will_init or self.has_base


class RecordError(ValueError):
    """The bytes are not those of a record. The message completes: the record ..."""


def changed_page(data: bytes) -> Page | None:
    """The page of a record that changes one page of the main fork, which it does not make anew and
    of which it has no image. So do nine of ten records; None for all others."""
    if len(data) <= _NEXT_AT or data[_NEXT_AT] <= _MAX_BLOCK_ID:
        return None
    id_, flags, _, page = _BLOCK_AND_PAGE.unpack_from(data, HEADER.size)
    return page if id_ <= _MAX_BLOCK_ID and not flags & ~_HAS_DATA else None


def blocks_of(data: bytes, methods: Methods) -> Sequence[Block]:
    """The blocks that a record names, in its order. Raises RecordError."""
    if len(data) == HEADER.size or data[HEADER.size] > _MAX_BLOCK_ID:
        return ()
    return _parsed(data, methods)[0]


def main_data(data: bytes, methods: Methods) -> bytes:
    """The main data of a record. Raises RecordError."""
    return data[len(data) - _parsed(data, methods)[1] :]


def _parsed(data: bytes, methods: Methods) -> tuple[Sequence[Block], int]:
    """The blocks of a record, and the length of its main data."""
    try:
        return _parse(data, methods)
    except (error, IndexError) as cut:
        raise RecordError("has headers that do not fit into it") from cut


def _parse(data: bytes, methods: Methods) -> tuple[Sequence[Block], int]:
    at, payload, main, size = HEADER.size, 0, 0, len(data)
    found: list[Block] = []
    images: list[tuple[int, int, Image]] = []
    page: Page = b""
    while size - at > payload:
        id_ = data[at]
        if id_ <= _MAX_BLOCK_ID:
            if data[at + 1] & (_HAS_IMAGE | _SAME_REL):
                _, flags, length = _BLOCK.unpack_from(data, at)
                at += _BLOCK.size
                if flags & _HAS_IMAGE:
                    image, at = _image(data, at, methods)
                    images.append((len(found), payload, image))
                    payload += image.length
                if not flags & _SAME_REL:
                    page = data[at : at + _PAGE.size]
                    at += _PAGE.size
                elif page:
                    page = page[:_RELATION_BYTES] + data[at : at + _NUMBER.size]
                    at += _NUMBER.size
                else:
                    raise RecordError("names a block of the same relation as none")
            else:
                _, flags, length, page = _BLOCK_AND_PAGE.unpack_from(data, at)
                at += _BLOCK_AND_PAGE.size
            found.append(Block(id_, flags, page, None))
            payload += length
        elif id_ == _DATA_SHORT:
            main = data[at + 1]
            at += 2
            payload += main
        elif id_ == _DATA_LONG:
            main = _NUMBER.unpack_from(data, at + 1)[0]
            at += 5
            payload += main
        elif id_ == _ORIGIN:
            at += 3
        elif id_ == _TOPLEVEL_XID:
            at += 5
        else:
            raise RecordError(f"has a block with id {id_}")
    if at + payload != size:
        raise RecordError("has headers that do not fit into it")
    # What was called payload begins where the headers end.
    for index, before, image in images:
        id_, flags, page, _ = found[index]
        found[index] = Block(id_, flags, page, Image(at + before, *image[1:]))
    return found, main


def _image(data: bytes, at: int, methods: Methods) -> tuple[Image, int]:
    """An image, without where its bytes are, and where its header ends."""
    length, hole_offset, info = _IMAGE.unpack_from(data, at)
    at += _IMAGE.size
    method = ""
    if info & ~(_HAS_HOLE | methods.apply):
        method = next((name for name in COMPRESSIONS if info & getattr(methods, name)), "")
    hole_length = 0
    if info & _HAS_HOLE:
        if method:
            hole_length = _HOLE.unpack_from(data, at)[0]
            at += _HOLE.size
        else:
            hole_length = PAGE_BYTES - length
    is_whole = length + hole_length == PAGE_BYTES if not method else length < PAGE_BYTES
    if not is_whole or hole_length < 0 or hole_offset + hole_length > PAGE_BYTES:
        raise RecordError(f"has an image that is not of a page of {PAGE_BYTES} bytes")
    return Image(0, length, hole_offset, hole_length, method, bool(info & methods.apply)), at
