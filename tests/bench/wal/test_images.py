"""Images: the page that they restore, in every compression."""

from __future__ import annotations

import random
import struct
import sys

import lz4.block
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from bench.wal import pglz
from bench.wal.blocks import RecordError, blocks_of, methods_of
from bench.wal.images import restore_block_image
from bench.wal.libraries import library
from bench.wal.lsn import WalError
from tests.support.pglz import compress
from tests.support.wal_writer import Image, Ref, WalWriter, page_of

END = 0x2_0000_1234


def restored(image: Image, version: int = 15) -> bytes:
    record = WalWriter(version).record(Ref(1, image=image, data=b"data")).data
    found = blocks_of(record, methods_of(version))[0].image
    assert found is not None
    return restore_block_image(record, found, END)


def packed(data: bytes, method: str) -> bytes:
    if method == "pglz":
        return compress(data)
    if method == "lz4":
        return bytes(lz4.block.compress(data, store_size=False))
    return zstandard.compress(data) if method == "zstd" else data


def with_lsn(page: bytes, lsn: int) -> bytes:
    return struct.pack("<II", lsn >> 32, lsn & 0xFFFFFFFF) + page[8:]


@pytest.mark.parametrize("hole", [None, (100, 7900)])
@pytest.mark.parametrize(
    ("version", "method"),
    [
        *((version, method) for version in (13, 14, 15, 18) for method in ("", "pglz")),
        *((version, method) for version in (15, 18) for method in ("lz4", "zstd")),
    ],
)
def test_the_page_of_an_image(method: str, hole: tuple[int, int] | None, version: int) -> None:
    """It gets the end LSN of its record: in the image is the one from before."""
    page = page_of(7)
    data = page if hole is None else page[:100] + page[8000:]
    assert restored(Image(packed(data, method), hole, method), version) == with_lsn(page, END)


def test_a_new_page_keeps_its_lsn() -> None:
    page = page_of(7, lsn=0, upper=0)
    assert restored(Image(page)) == page


@pytest.mark.parametrize("method", ["pglz", "lz4", "zstd"])
def test_an_image_that_is_none(method: str) -> None:
    with pytest.raises(RecordError, match=f"has an image that is no {method}"):
        restored(Image(b"\xff" * 50, None, method))


@pytest.mark.parametrize("method", ["lz4", "zstd"])
def test_an_image_of_another_size(method: str) -> None:
    with pytest.raises(RecordError, match="image of 5000 bytes, not 8192"):
        restored(Image(packed(bytes(5000), method), None, method))


@pytest.mark.parametrize("module", ["google_crc32c", "lz4.block", "zstandard"])
def test_a_library_that_is_missing_is_named(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    name = module.removesuffix(".block").replace("_", "-")
    with pytest.raises(WalError, match=f"needs the package {name}: install the extra wal"):
        library(module)


# --- pglz -----------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=9), st.integers(1, 60)), max_size=30))
def test_pglz_is_undone(parts: list[tuple[bytes, int]]) -> None:
    data = b"".join(piece * times for piece, times in parts)
    assert pglz.decompress(compress(data), len(data)) == data


def test_pglz_copies_far_long_and_into_itself() -> None:
    noise = random.Random(1).randbytes(4095)
    for data in (noise + noise[:300], b"a" * 273, b"ab" * 500, noise + b"x" + noise[1:400]):
        assert pglz.decompress(compress(data), len(data)) == data


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"\x01", 1),
        (b"\x01\x00\x01", 3),  # a copy of what is not there yet
        (b"\x02a\x00\x00", 4),  # from no distance
        (b"\x02a\x0f\x01", 20),  # its length is cut off
        (b"\x00abc", 2),  # more than was asked for
        (b"\x00abc", 4),
    ],
)
def test_pglz_that_is_none(data: bytes, size: int) -> None:
    with pytest.raises(ValueError, match=r"a copy from|end inside|bytes of"):
        pglz.decompress(data, size)
