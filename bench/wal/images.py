"""Full-page images: from the bytes in a record to the page (RestoreBlockImage)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct
from typing import Final

from bench.wal import pglz
from bench.wal.blocks import Image, RecordError
from bench.wal.libraries import library
from bench.wal.lsn import PAGE_BYTES
from walredo.wire import PAGE_HEAD_BYTES, page_head

_UPPER: Final = Struct("<H")
_UPPER_AT: Final = 14
"""Where pd_upper is in a page: 0 says that the page is new."""


def restore_block_image(record: bytes, image: Image, end_lsn: int) -> bytes:
    """The page of 8,192 bytes as redo leaves it: the image has the LSN from before the record, and
    a page that is not new gets the record's end LSN.

    Raises RecordError if the image cannot be decompressed, WalError if a library is missing.
    """
    size = PAGE_BYTES - image.hole_length
    data = _decompressed(record[image.at : image.at + image.length], image.method, size)
    page = data[: image.hole_offset] + bytes(image.hole_length) + data[image.hole_offset :]
    if _UPPER.unpack_from(page, _UPPER_AT)[0] == 0:
        return page
    return page_head(end_lsn) + page[PAGE_HEAD_BYTES:]


def _decompressed(data: bytes, method: str, size: int) -> bytes:
    """Raises RecordError, WalError."""
    try:
        page = _METHODS[method](data, size)
    except ValueError as error:
        raise RecordError(f"has an image that is no {method}: {error}") from error
    if len(page) != size:
        raise RecordError(f"has an image of {len(page)} bytes, not {size}")
    return page


def _lz4(data: bytes, size: int) -> bytes:
    lz4 = library("lz4.block")
    try:
        return bytes(lz4.decompress(data, uncompressed_size=size))
    except lz4.LZ4BlockError as error:
        raise ValueError(error) from error


def _zstd(data: bytes, size: int) -> bytes:
    zstandard = library("zstandard")
    try:
        return bytes(zstandard.ZstdDecompressor().decompress(data, max_output_size=size))
    except zstandard.ZstdError as error:
        raise ValueError(error) from error


_METHODS: Final[Mapping[str, Callable[[bytes, int], bytes]]] = {
    "": lambda data, _: data,
    "pglz": pglz.decompress,
    "lz4": _lz4,
    "zstd": _zstd,
}
