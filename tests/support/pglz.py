"""Compresses as pg_lzcompress.c can: greedily, with the longest copy that there is."""

from __future__ import annotations

from typing import Final

_MAX_DISTANCE: Final = 4095
_MIN_COPY, _MAX_COPY = 3, 273


def compress(data: bytes) -> bytes:
    out = bytearray()
    at = 0
    last: dict[bytes, int] = {}
    while at < len(data):
        control_at = len(out)
        out.append(0)
        for bit in range(8):
            if at >= len(data):
                break
            length, distance = _copy(data, at, last)
            if length:
                out[control_at] |= 1 << bit
                out += _tag(length, distance)
            else:
                out.append(data[at])
                length = 1
            for start in range(at, at + length):
                last[data[start : start + _MIN_COPY]] = start
            at += length
    return bytes(out)


def _copy(data: bytes, at: int, last: dict[bytes, int]) -> tuple[int, int]:
    """How long a copy may be made, and from how far back; 0 if none."""
    start = last.get(data[at : at + _MIN_COPY])
    if start is None or at - start > _MAX_DISTANCE or at + _MIN_COPY > len(data):
        return 0, 0
    length = 0
    while length < min(_MAX_COPY, len(data) - at) and data[start + length] == data[at + length]:
        length += 1
    return length, at - start


def _tag(length: int, distance: int) -> bytes:
    if length > 17:
        return bytes([distance >> 4 & 0xF0 | 0x0F, distance & 0xFF, length - 18])
    return bytes([distance >> 4 & 0xF0 | length - 3, distance & 0xFF])
