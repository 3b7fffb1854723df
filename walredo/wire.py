"""The messages of the wire protocol as bytes. Every struct format of the library is here.

Pure functions on integers and bytes: no I/O, no clock, no state. ``request`` defines what a request
is. ``fake_redo_child/PROTOCOL.md`` describes the protocol: a message is a type byte, a big-endian
u32 length (which counts itself and the payload, but not the type) and the payload.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from struct import Struct

PAGE_SIZE = 8192
"""The size of a page in bytes. Every answer of the child is a page."""

MAX_U8, MAX_U32, MAX_U64 = 0xFF, 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF

TAG = Struct(">BIIII")
"""Fork, tablespace, database, relation, block: 17 bytes."""

_HEADER = Struct(">cI")
_TAGGED = Struct(">cIBIIII")
_APPLY = Struct(">cIQ")
_PAGE_LSN = Struct("<II")

_LENGTH_BYTES = 4
_TAGGED_LENGTH = _LENGTH_BYTES + TAG.size
_PUSH_LENGTH = _TAGGED_LENGTH + PAGE_SIZE
_APPLY_LENGTH = _LENGTH_BYTES + 8

MAX_RECORD_BYTES = 16 * 1024 * 1024
"""The longest record that a child accepts. WalRecord refuses a longer one."""

PAGE_HEAD_BYTES = 8
"""How many bytes at the start of a page its request predicts: the LSN."""

PING = _HEADER.pack(b"H", _LENGTH_BYTES)
"""The ping message. The child answers it with a page of zeros."""

ZERO_PAGE = bytes(PAGE_SIZE)

PING_HEAD = ZERO_PAGE[:PAGE_HEAD_BYTES]
"""The first bytes of the answer to a ping."""


def apply_record(end_lsn: int, record: bytes) -> bytes:
    """The ``A`` message of a record: the record and 13 bytes before it."""
    return _APPLY.pack(b"A", _APPLY_LENGTH + len(record), end_lsn) + record


def redo_messages(
    tag: tuple[int, int, int, int, int], base_image: bytes | None, record_messages: Iterable[bytes]
) -> tuple[bytes, ...]:
    """The messages of one redo: ``B``, ``P`` if there is a base image, the given ``A``, ``G``."""
    begin = _TAGGED.pack(b"B", _TAGGED_LENGTH, *tag)
    get = b"G" + begin[1:]
    if base_image is None:
        return (begin, *record_messages, get)
    push = _TAGGED.pack(b"P", _PUSH_LENGTH, *tag) + base_image
    return (begin, push, *record_messages, get)


def page_head(lsn: int) -> bytes:
    """The first bytes of a page with this LSN, as PostgreSQL stores it: high half, low half."""
    return _PAGE_LSN.pack(lsn >> 32, lsn & MAX_U32)


@cache
def page_struct(count: int) -> Struct:
    """A struct that splits a buffer into ``count`` pages, in half the time of slicing each page."""
    return Struct(f"{PAGE_SIZE}s" * count)


def messages(stream: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The messages in a byte string, as (type byte, payload).

    Raises ValueError if it ends inside a message or a length is impossible.
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
    """The end LSN and the record in the payload of an ``A`` message. Raises ValueError."""
    if len(payload) < 8:
        raise ValueError(f"an apply message of {len(payload)} payload bytes holds no LSN")
    return int.from_bytes(payload[:8], "big"), payload[8:]
