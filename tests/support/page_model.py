"""The messages and the page, naively: written from fake_redo_child/PROTOCOL.md and nothing else.

Byte by byte and slow on purpose, and without a line in common with the children, so that an error
would have to be made twice to go unseen.
"""

from __future__ import annotations

Tag = tuple[int, int, int, int, int]
Record = tuple[int, bytes]

PAGE = 8192
BODY = 8176
MAX_RECORD = 16 * 1024 * 1024


def message(kind: str, payload: bytes, length: int | None = None) -> bytes:
    """A message; with a length that need not be right."""
    counted = 4 + len(payload) if length is None else length
    return kind.encode() + counted.to_bytes(4, "big") + payload


def tag_bytes(tag: Tag) -> bytes:
    return tag[0].to_bytes(1, "big") + b"".join(field.to_bytes(4, "big") for field in tag[1:])


def begin(tag: Tag) -> bytes:
    return message("B", tag_bytes(tag))


def push(tag: Tag, image: bytes) -> bytes:
    return message("P", tag_bytes(tag) + image)


def apply(lsn: int, record: bytes) -> bytes:
    return message("A", lsn.to_bytes(8, "big") + record)


def get(tag: Tag) -> bytes:
    return message("G", tag_bytes(tag))


PING = message("H", b"")


def redo(tag: Tag, image: bytes | None, records: list[Record]) -> bytes:
    """The messages of a whole redo."""
    pushed = b"" if image is None else push(tag, image)
    return begin(tag) + pushed + b"".join(apply(*record) for record in records) + get(tag)


def page(tag: Tag, image: bytes | None, records: list[Record]) -> bytes:
    """The page that a child must answer."""
    made = bytearray(PAGE)

    if image is not None:
        for i in range(8):
            made[i] = image[i]
    for lsn, _ in records:
        for i in range(4):
            made[i] = (lsn >> (32 + 8 * i)) % 256
            made[4 + i] = (lsn >> (8 * i)) % 256

    image0 = image8 = 0
    if image is not None:
        for i in range(8):
            image0 += image[i] * 256**i
            image8 += image[8 + i] * 256**i
    chain = 0x9E3779B97F4A7C15
    steps = [(field, 0) for field in tag]
    steps += [(0 if image is None else 1, 0), (image0, 0), (image8, 0)]
    steps += [(lsn, len(record)) for lsn, record in records]
    for v, n in steps:
        x = ((chain ^ v) * 0xD6E8FEB86659FD93 + n) % 2**64
        chain = x ^ (x // 2**32)
    for i in range(8):
        made[8 + i] = (chain >> (8 * i)) % 256

    if image is not None:
        for i in range(BODY):
            made[16 + i] = image[16 + i]
    at = 0
    for _, record in records:
        for byte in record:
            made[16 + at] ^= byte
            at += 1
            if at == BODY:
                at = 0
    return bytes(made)
