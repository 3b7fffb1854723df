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
_BLOCK_WITHOUT_IMAGE: Final = Struct("<BBHIIII")
"""In one go: the usual form, with the relation and the number of the block."""
_WHOLE_BLOCK: Final = Struct("<BBHIIII")
"""The header of a block without an image: id, flags, length of the data, relation, number."""
_IMAGE: Final = Struct("<HHB")
_HOLE: Final = Struct("<H")
_RELATION: Final = Struct("<III")
_NUMBER: Final = Struct("<I")

_MAX_BLOCK_ID: Final = 32
_DATA_SHORT, _DATA_LONG, _ORIGIN, _TOPLEVEL_XID = 255, 254, 253, 252

_FORK_MASK: Final = 0x0F
_HAS_IMAGE, _HAS_DATA, _WILL_INIT, _SAME_REL = 0x10, 0x20, 0x40, 0x80
_HAS_HOLE: Final = 0x01


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


class Block(NamedTuple):
    """A reference to a block. ``relation``: tablespace, database, relation. ``will_init``: the
    record makes the page anew."""

    id: int
    fork: int
    relation: tuple[int, int, int]
    block: int
    will_init: bool
    image: Image | None

    @property
    def restarts(self) -> bool:
        """Whether nothing that was on the page before matters."""
        return self.will_init or (self.image is not None and self.image.apply)


class RecordError(ValueError):
    """The bytes are not those of a record. The message completes: the record ..."""


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
    at, payload, main = HEADER.size, 0, 0
    found = []
    before_image = []
    relation: tuple[int, int, int] | None = None
    while len(data) - at > payload:
        id_ = data[at]
        if id_ <= _MAX_BLOCK_ID:
            image = None
            if data[at + 1] & (_HAS_IMAGE | _SAME_REL):
                _, flags, length = _BLOCK.unpack_from(data, at)
                at += _BLOCK.size
                if flags & _HAS_IMAGE:
                    image, at = _image(data, at, methods)
                    before_image.append(payload)
                    payload += image.length
                if not flags & _SAME_REL:
                    relation = _RELATION.unpack_from(data, at)
                    at += _RELATION.size
                elif relation is None:
                    raise RecordError("names a block of the same relation as none")
                (number,) = _NUMBER.unpack_from(data, at)
                at += _NUMBER.size
            else:
                _, flags, length, a, b, c, number = _BLOCK_WITHOUT_IMAGE.unpack_from(data, at)
                relation = (a, b, c)
                at += _BLOCK_WITHOUT_IMAGE.size
            payload += length
            found.append(
                Block(id_, flags & _FORK_MASK, relation, number, bool(flags & _WILL_INIT), image)
            )
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
    if at + payload != len(data):
        raise RecordError("has headers that do not fit into it")
    if before_image:
        starts = iter(before_image)
        found = [
            one
            if one.image is None
            else one._replace(image=one.image._replace(at=at + next(starts)))
            for one in found
        ]
    return found, main


def _image(data: bytes, at: int, methods: Methods) -> tuple[Image, int]:
    """An image, without where its bytes are, and where its header ends."""
    length, hole_offset, info = _IMAGE.unpack_from(data, at)
    at += _IMAGE.size
    method = next((n for n in ("pglz", "lz4", "zstd") if info & getattr(methods, n)), "")
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
