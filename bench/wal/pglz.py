"""PostgreSQL's own compression (pg_lzcompress.c): control bits, literals, and copies of what came
before."""

from __future__ import annotations


def decompress(data: bytes, size: int) -> bytes:
    """The ``size`` bytes that were compressed. Raises ValueError."""
    out = bytearray()
    at = 0
    try:
        while at < len(data) and len(out) < size:
            control = data[at]
            at += 1
            for bit in range(8):
                if at >= len(data) or len(out) >= size:
                    break
                if not control >> bit & 1:
                    out.append(data[at])
                    at += 1
                    continue
                length = (data[at] & 0x0F) + 3
                distance = (data[at] & 0xF0) << 4 | data[at + 1]
                at += 2
                if length == 18:
                    length += data[at]
                    at += 1
                if not 0 < distance <= len(out):
                    raise ValueError(f"a copy from {distance} bytes before byte {len(out)}")
                length = min(length, size - len(out))
                # A copy may reach into itself: it repeats what it has copied.
                source = bytes(out[-distance:])
                out += (source * (length // distance + 1))[:length]
    except IndexError:
        raise ValueError("the compressed bytes end inside a copy") from None
    if at != len(data) or len(out) != size:
        raise ValueError(f"{len(out)} bytes of {size}, from {at} bytes of {len(data)}")
    return bytes(out)
