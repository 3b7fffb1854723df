"""Requests to bytes: the wire protocol's messages, and every struct format there is.

Pure functions over integers and bytes: no I/O, no clock, no state. What a request *is* stands in
``request``; what its bytes are stands here. The protocol is described in
``fake_redo_child/PROTOCOL.md``: a message is a type byte, a big-endian u32 length (which counts
itself and the payload, not the type) and the payload.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct

PAGE_SIZE = 8192
"""Bytes of a page, and of every answer of the child."""

MAX_U8, MAX_U32, MAX_U64 = 0xFF, 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF

TAG = Struct(">BIIII")
"""fork, tablespace, database, relation, block: 17 bytes."""

_HEADER = Struct(">cI")
_TAGGED = Struct(">cIBIIII")
_APPLY = Struct(">cIQ")
_PAGE_LSN = Struct("<II")

_LENGTH_BYTES = 4
_TAGGED_LENGTH = _LENGTH_BYTES + TAG.size
_PUSH_LENGTH = _TAGGED_LENGTH + PAGE_SIZE
_APPLY_LENGTH = _LENGTH_BYTES + 8

MAX_RECORD_BYTES = 16 * 1024 * 1024
"""The longest record a child takes (PROTOCOL.md); a longer one is refused before it is sent."""

PAGE_HEAD_BYTES = 8
"""How many bytes of a page are known before it comes: its LSN."""

PING = _HEADER.pack(b"H", _LENGTH_BYTES)
"""The ping message; the child answers it with a page of zeros."""

ZERO_PAGE = bytes(PAGE_SIZE)

PING_HEAD = ZERO_PAGE[:PAGE_HEAD_BYTES]
"""How the answer to a ping begins."""


def apply_record(end_lsn: int, record: bytes) -> bytes:
    """The ``A`` message of one record: 13 bytes more than the record."""
    return _APPLY.pack(b"A", _APPLY_LENGTH + len(record), end_lsn) + record


def redo_messages(
    tag: tuple[int, int, int, int, int], base_image: bytes | None, record_messages: Iterable[bytes]
) -> tuple[bytes, ...]:
    """The messages of one whole redo: ``B``, perhaps ``P``, the given ``A`` messages, ``G``."""
    begin = _TAGGED.pack(b"B", _TAGGED_LENGTH, *tag)
    get = b"G" + begin[1:]
    if base_image is None:
        return (begin, *record_messages, get)
    push = _TAGGED.pack(b"P", _PUSH_LENGTH, *tag) + base_image
    return (begin, push, *record_messages, get)


def page_head(lsn: int) -> bytes:
    """The first bytes of a page with that LSN, as PostgreSQL stores it: high half, low half."""
    return _PAGE_LSN.pack(lsn >> 32, lsn & MAX_U32)


def messages(stream: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The messages of a byte string in wire format, as (type byte, payload).

    Raises ValueError where it ends inside a message or a length is impossible.
    """
    at = 0
    while at < len(stream):
        if len(stream) - at < _HEADER.size:
            raise ValueError(f"ends inside a message header at byte {at}")
        kind, length = _HEADER.unpack_from(stream, at)
        end = at + 1 + length
        if length < _LENGTH_BYTES or end > len(stream):
            raise ValueError(f"message {kind!r} at byte {at} has the impossible length {length}")
        yield kind, stream[at + _HEADER.size : end]
        at = end


def apply_fields(payload: bytes) -> tuple[int, bytes]:
    """End LSN and record bytes of an ``A`` message's payload."""
    if len(payload) < 8:
        raise ValueError(f"an apply message of {len(payload)} payload bytes holds no LSN")
    return int.from_bytes(payload[:8], "big"), payload[8:]
