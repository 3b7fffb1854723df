"""A redo child of one's own: it applies nothing, and answers with the base image and the last LSN.

    python -m bench run --child "cmd:mine=python3 examples/redo_child.py" ...

The messages are those of fake_redo_child/PROTOCOL.md.
"""

import struct
import sys

PAGE_BYTES = 8192
TAG_BYTES = 17


def main() -> None:
    messages, pages = sys.stdin.buffer, sys.stdout.buffer
    page = bytearray(PAGE_BYTES)
    while header := messages.read(5):
        kind, length = struct.unpack(">cI", header)
        payload = messages.read(length - 4)
        if kind == b"B":
            page = bytearray(PAGE_BYTES)
        elif kind == b"P":
            page[:] = payload[TAG_BYTES:]
        elif kind == b"A":
            (lsn,) = struct.unpack_from(">Q", payload)
            struct.pack_into("<II", page, 0, lsn >> 32, lsn & 0xFFFFFFFF)
        else:  # G asks for the page, H for one of zeros
            pages.write(page if kind == b"G" else bytes(PAGE_BYTES))
            pages.flush()


if __name__ == "__main__":
    main()
