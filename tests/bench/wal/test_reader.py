"""Pages, records and their blocks, as a writer of WAL made them: each trap is one test."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.wal.blocks import RecordError, blocks_of, main_data, methods_of
from bench.wal.lsn import Layout, WalError, lsn_text, parse_lsn
from bench.wal.records import Records
from bench.wal.segments import find_wal
from bench.wal.start import first_record
from tests.support.wal_writer import (
    MAGICS,
    MIB,
    PAGE,
    Image,
    Ref,
    WalWriter,
    Written,
    page_of,
    plain_image,
)


def read(folder: Path, start: int | None = None) -> tuple[list[Written], Records]:
    """All records from the first one on, and the reader with why it ended."""
    wal = find_wal(folder)
    records = Records(wal, first_record(wal, wal.start) if start is None else start)
    return [Written(one.lsn, one.end_lsn, one.data) for one in records], records


def changed(path: Path, at: int, data: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[at : at + len(data)] = data
    path.write_bytes(content)


# --- LSNs -----------------------------------------------------------------------------------------


def test_an_lsn_is_written_as_postgres_does() -> None:
    assert lsn_text(0x1_016B3748) == "1/16B3748"
    assert parse_lsn("1/016b3748") == 0x1_016B3748
    for text in ("16B3748", "1/123456789", "/1", "1/x", ""):
        with pytest.raises(ValueError, match="expected an LSN"):
            parse_lsn(text)


@pytest.mark.parametrize("size", [MIB, 16 * MIB, 64 * MIB])
def test_positions_leave_out_the_headers(size: int) -> None:
    layout = Layout(size)
    base = layout.position(5 * size)
    assert layout.position(5 * size + 40) == base
    assert layout.position(5 * size + PAGE) == base + PAGE - 40
    assert layout.position(5 * size + PAGE + 24) == base + PAGE - 40
    assert layout.position(5 * size + PAGE + 32) == base + PAGE - 32
    assert layout.position(6 * size) == base + size - 24 * (size // PAGE) - 16
    # An end at a page's end is the boundary, not the byte after the next header.
    for lsn in (5 * size, 5 * size + PAGE, 5 * size + 2 * PAGE, 5 * size + 48, 6 * size - 8):
        assert layout.end_lsn(layout.position(lsn)) == lsn
    assert layout.segment_end(5 * size) == 5 * size
    assert layout.segment_end(5 * size + 1) == 6 * size


# --- Pages and records ----------------------------------------------------------------------------


@pytest.mark.parametrize("version", MAGICS)
@pytest.mark.parametrize("size", [MIB, 16 * MIB, 64 * MIB])
def test_what_is_written_is_read(version: int, size: int, tmp_path: Path) -> None:
    writer = WalWriter(version, size, at=size)
    for length in (28, 27, 300, 8168, 20_000, 31, 2 * MIB if size == MIB else 100_000, 40):
        writer.sized(length)
    writer.files(tmp_path)
    found, records = read(tmp_path)
    assert found == writer.written
    assert records.end == writer.at
    assert records.reason == f"record {lsn_text(writer.next_lsn())} has length 0"
    assert find_wal(tmp_path).version == version


def test_a_record_that_ends_with_its_page_ends_at_the_boundary(tmp_path: Path) -> None:
    writer = WalWriter()
    writer.fill_page()
    assert writer.written[-1].end == 3 * MIB + PAGE
    second = writer.sized(64)
    assert second.lsn == 3 * MIB + PAGE + 24
    writer.files(tmp_path)
    assert read(tmp_path)[0] == writer.written


def test_a_record_over_three_pages_that_ends_with_the_third(tmp_path: Path) -> None:
    writer = WalWriter()
    writer.fill_page(left=8)
    long = writer.sized(8 + 2 * (PAGE - 24))
    assert long.end == 3 * MIB + 3 * PAGE
    writer.sized(64)
    writer.files(tmp_path)
    assert read(tmp_path)[0] == writer.written


def test_a_record_that_ends_with_its_segment(tmp_path: Path) -> None:
    writer = WalWriter()
    usable = MIB - 24 * (MIB // PAGE) - 16
    assert writer.sized(usable).end == 4 * MIB
    assert writer.sized(64).lsn == 4 * MIB + 40
    writer.files(tmp_path)
    assert read(tmp_path)[0] == writer.written


def test_after_a_switch_comes_the_next_segment(tmp_path: Path) -> None:
    writer = WalWriter()
    writer.sized(64)
    assert writer.switch().end == 4 * MIB
    writer.sized(64)
    first, _ = writer.files(tmp_path)
    assert read(tmp_path)[0] == writer.written
    # What lies in the rest of the segment does not matter.
    changed(first, 40 * PAGE, b"\xff" * PAGE)
    assert read(tmp_path)[0] == writer.written


def test_a_switch_at_the_end_of_a_segment(tmp_path: Path) -> None:
    writer = WalWriter()
    writer.sized(MIB - 24 * (MIB // PAGE) - 16 - 24)
    assert writer.switch().end == 4 * MIB
    writer.sized(64)
    writer.files(tmp_path)
    assert read(tmp_path)[0] == writer.written


@pytest.mark.parametrize("left", [8, 24, 48])
def test_an_overwritten_record_is_left_out(left: int, tmp_path: Path) -> None:
    writer = WalWriter()
    writer.fill_page(left=left)
    writer.broken_off(bytes(3 * PAGE))
    writer.sized(64)
    writer.files(tmp_path)
    assert read(tmp_path)[0] == writer.written


@pytest.mark.parametrize("field", ["flag", "length"])
def test_a_page_that_does_not_continue_the_record_ends_the_wal(field: str, tmp_path: Path) -> None:
    """Also where its bytes would do."""
    writer = WalWriter()
    whole = writer.sized(64)
    long = writer.sized(3 * PAGE)
    path = writer.files(tmp_path)[0]
    at, data = (PAGE + 2, b"\0\0") if field == "flag" else (2 * PAGE + 16, struct.pack("<I", 9))
    changed(path, at, data)
    found, records = read(tmp_path)
    assert found == [whole]
    page = lsn_text(3 * MIB + (PAGE if field == "flag" else 2 * PAGE))
    cut = f"record {lsn_text(long.lsn)} is cut: page {page} does not continue it"
    assert records.reason == cut


def test_a_page_that_continues_a_record_that_has_ended(tmp_path: Path) -> None:
    writer = WalWriter()
    writer.fill_page()
    before = list(writer.written)
    writer.sized(64)
    changed(writer.files(tmp_path)[0], PAGE + 2, b"\1\0")
    found, records = read(tmp_path)
    assert found == before
    assert "continues a record that has ended" in records.reason


@pytest.mark.parametrize("over", [0, 8, 16, PAGE])
def test_reading_begins_behind_a_continued_record(over: int, tmp_path: Path) -> None:
    """Where it ends with its page, the next record is on the page after that."""
    writer = WalWriter(at=3 * MIB)
    usable = MIB - 24 * (MIB // PAGE) - 16
    writer.sized(usable + 2 * (PAGE - 24) - 16 + over)
    after = writer.sized(64)
    writer.sized(4096)
    _, second = writer.files(tmp_path)
    assert second.name == writer.name(4 * MIB)
    for page in range(4 * MIB, after.lsn, PAGE):
        assert first_record(find_wal(tmp_path), page) == after.lsn
    (tmp_path / writer.name(3 * MIB)).unlink()
    assert read(tmp_path)[0] == writer.written[1:]


@pytest.mark.parametrize("at", [0, 10, 24, 30, 63])
def test_a_flipped_bit_is_noticed(at: int, tmp_path: Path) -> None:
    """The checksum covers byte 24 to the end, then 0 to 20."""
    writer = WalWriter()
    first, second = writer.sized(64), writer.sized(64)
    writer.sized(64)
    path = writer.files(tmp_path)[0]
    position = second.lsn - 3 * MIB + at
    changed(path, position, bytes([path.read_bytes()[position] ^ 4]))
    found, records = read(tmp_path)
    assert found == [first]
    assert records.reason.startswith(f"record {lsn_text(second.lsn)} ")


def test_what_ends_the_wal(tmp_path: Path) -> None:
    writer = WalWriter()
    writer.sized(64)
    writer.sized(3 * PAGE)
    writer.sized(64)
    path = writer.files(tmp_path)[0]
    whole = path.read_bytes()
    long = lsn_text(writer.written[1].lsn)
    for at, data, why in (
        (PAGE, b"\0\0", f"record {long} is cut: page 0/302000 has magic 0000, not D110"),
        (PAGE + 8, struct.pack("<Q", MIB), "page 0/302000 holds WAL of 0/100000"),
        (PAGE + 2, b"\x11", "page 0/302000 has flags 0011"),
        (PAGE + 2, b"\x03", "page 0/302000 has flags 0003"),
        (PAGE + 4, b"\x02", "page 0/302000 is of timeline 2"),
        (writer.written[1].lsn - 3 * MIB, b"\0\0\0\0", f"record {long} has length 0"),
        (writer.written[1].lsn - 3 * MIB + 8, b"\x01", f"record {long} follows 0/"),
    ):
        path.write_bytes(whole)
        changed(path, at, data)
        found, records = read(tmp_path)
        assert found == writer.written[:1]
        assert why in records.reason


def test_a_length_that_cannot_be_is_noticed_at_the_next_page(tmp_path: Path) -> None:
    """Not after all of the WAL has been collected for it."""
    writer = WalWriter()
    one = writer.sized(64)
    writer.sized(PAGE)
    writer.sized(5 * MIB)
    path = writer.files(tmp_path)[0]
    changed(path, one.lsn - 3 * MIB, b"\xf0\xff\xff\xff")
    read_bytes: list[int] = []
    wal = find_wal(tmp_path)
    records = Records(wal, one.lsn, read_bytes.append)
    assert list(records) == []
    assert "does not continue it" in records.reason
    assert sum(read_bytes) <= MIB


# --- Segments -------------------------------------------------------------------------------------


def test_a_recycled_segment_ends_the_wal(tmp_path: Path) -> None:
    """It has its new name and its old content."""
    writer = WalWriter()
    writer.sized(2 * MIB)
    writer.sized(64)
    paths = writer.files(tmp_path)
    (tmp_path / writer.name(6 * MIB)).write_bytes(paths[0].read_bytes())
    (tmp_path / writer.name(7 * MIB)).write_bytes(bytes(MIB))
    found, records = read(tmp_path)
    assert found == writer.written
    assert "has length 0" in records.reason

    other = tmp_path / "full"
    other.mkdir()
    writer = WalWriter()
    writer.sized(MIB - 24 * (MIB // PAGE) - 16)
    path = writer.files(other)[0]
    (other / writer.name(4 * MIB)).write_bytes(path.read_bytes())
    found, records = read(other)
    assert found == writer.written
    name = writer.name(4 * MIB)
    assert records.reason == f"segment {name} holds WAL of 0/300000, not of 0/400000"


def test_a_partial_segment_counts_where_there_is_no_whole_one(tmp_path: Path) -> None:
    writer = WalWriter()
    writer.sized(MIB)
    writer.sized(64)
    last = writer.files(tmp_path)[-1]
    last.rename(last.with_name(last.name + ".partial"))
    assert read(tmp_path)[0] == writer.written
    whole = last.with_name(last.name + ".partial").read_bytes()
    last.write_bytes(whole)
    last.with_name(last.name + ".partial").write_bytes(b"")
    assert read(tmp_path)[0] == writer.written


def test_a_short_last_segment_ends_the_wal(tmp_path: Path) -> None:
    writer = WalWriter()
    writer.fill_page()
    writer.sized(64)
    path = writer.files(tmp_path)[0]
    path.write_bytes(path.read_bytes()[: PAGE + 100])
    found, records = read(tmp_path)
    assert found == writer.written[:-1]
    assert records.reason == f"segment {path.name} has 8292 bytes instead of 1048576"


def test_a_short_segment_before_others_is_an_error(tmp_path: Path) -> None:
    writer = WalWriter()
    writer.sized(2 * MIB)
    path = writer.files(tmp_path)[0]
    path.write_bytes(path.read_bytes()[: 5 * PAGE])
    with pytest.raises(WalError, match="has 40960 bytes instead of 1048576, as its header says"):
        read(tmp_path)


def test_a_gap_is_an_error(tmp_path: Path) -> None:
    writer = WalWriter()
    writer.sized(3 * MIB)
    _, middle, *_ = writer.files(tmp_path)
    middle.unlink()
    with pytest.raises(WalError, match=f"has a gap at 0/400000: there is no segment {middle.name}"):
        read(tmp_path)
    middle.write_bytes(bytes(MIB))
    with pytest.raises(WalError, match=f"segment {middle.name} begins with magic 0000, not D110"):
        read(tmp_path)


def test_a_new_timeline_begins_with_pages_of_the_old_one(tmp_path: Path) -> None:
    """A promoted standby copies the segment that it was in. Pages of the old one come first."""
    writer = WalWriter(timeline=2)
    writer.sized(3 * PAGE)
    path = writer.files(tmp_path)[0]
    changed(path, 4, b"\1")
    assert read(tmp_path)[0] == writer.written
    changed(path, 4, b"\2")
    changed(path, PAGE + 4, b"\1")
    found, records = read(tmp_path)
    assert found == []
    assert records.reason.endswith("is cut: page 0/302000 is of timeline 1")


# --- Blocks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [14, 15])
def test_blocks_of_every_form(version: int, tmp_path: Path) -> None:
    writer = WalWriter(version)
    extra = b"\xfd\x01\x00" + b"\xfc\x09\x00\x00\x00"  # origin, top-level transaction
    kept = plain_image(page_of(1))
    compared = plain_image(page_of(2), apply=False)
    refs = (
        Ref(7, image=kept, data=b"abc"),
        Ref(8, same=True, data=b"de", image=compared),
        Ref(9, relation=(1, 2, 3), fork=2),
        Ref(10, relation=(1, 2, 3), init=True),
    )
    record = writer.record(*refs, main=b"main" * 100, extra=extra, rmid=200)
    writer.files(tmp_path)
    methods = methods_of(version)
    found = blocks_of(read(tmp_path)[0][0].data, methods)
    assert [(one.id, one.fork, one.block, one.relation[2]) for one in found] == [
        (0, 0, 7, 16384),
        (1, 0, 8, 16384),
        (2, 2, 9, 3),
        (3, 0, 10, 3),
    ]
    assert [one.restarts for one in found] == [True, False, False, True]
    images = [one.image for one in found if one.image]
    assert [record.data[one.at : one.at + one.length] for one in images] == [
        kept.data,
        compared.data,
    ]
    assert [(one.hole_offset, one.hole_length, one.apply) for one in images] == [
        (100, 7900, True),
        (100, 7900, False),
    ]
    assert main_data(record.data, methods) == b"main" * 100


def test_records_without_blocks(tmp_path: Path) -> None:
    writer = WalWriter()
    records = [writer.append(b""), writer.record(main=b"x"), writer.record(extra=b"\xfd\0\0")]
    assert [list(blocks_of(one.data, methods_of(15))) for one in records] == [[], [], []]


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        (b"\x00", "do not fit"),
        (b"\x00\x00\x09\x00" + bytes(16), "do not fit"),
        (b"\x00\x80\x00\x00" + bytes(4), "same relation as none"),
        (b"\x00\x00\x00\x00" + bytes(16) + b"\x64", "block with id 100"),
        (b"\xff\x09abc", "do not fit"),
        (b"\x00\x10\x00\x00" + struct.pack("<HHB", 8000, 0, 2) + bytes(8016), "a page of 8192"),
        (b"\x00\x10\x00\x00" + struct.pack("<HHB", 9000, 0, 3) + bytes(9016), "a page of 8192"),
    ],
)
def test_a_record_that_is_none(rest: bytes, problem: str) -> None:
    data = bytes(24) + rest
    with pytest.raises(RecordError, match=problem):
        main_data(data, methods_of(15))


# --- All together ---------------------------------------------------------------------------------

IMAGES = st.builds(
    lambda fill, apply, whole: (
        Image(page_of(fill), apply=apply) if whole else plain_image(page_of(fill), apply=apply)
    ),
    st.integers(0, 255),
    st.booleans(),
    st.booleans(),
)
REFS = st.builds(
    Ref,
    block=st.integers(0, 2**32 - 1),
    relation=st.tuples(*[st.integers(0, 2**32 - 1)] * 3),
    fork=st.integers(0, 3),
    image=st.none() | IMAGES,
    init=st.booleans(),
    data=st.binary(max_size=40),
)
STEPS: st.SearchStrategy[Any] = st.one_of(
    st.builds(dict, refs=st.lists(REFS, max_size=5), main=st.binary(max_size=300)),
    st.builds(dict, size=st.integers(27, 30_000)),
    st.sampled_from(["switch", "broken", "fill"]),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(version=st.sampled_from(list(MAGICS)), steps=st.lists(STEPS, min_size=1, max_size=25))
def test_any_wal(version: int, steps: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    writer = WalWriter(version)
    for step in steps:
        if step == "switch":
            writer.switch()
        elif step == "broken":
            writer.broken_off(bytes(9000))
        elif step == "fill":
            writer.sized(28)
            room = writer._room()
            if room >= 32:
                writer.fill_page()
        elif "size" in step:
            writer.sized(step["size"])
        else:
            record = writer.record(*step["refs"], main=step["main"])
            blocks = blocks_of(record.data, methods_of(version))
            assert [(one.relation, one.fork, one.block, one.will_init) for one in blocks] == [
                (ref.relation, ref.fork, ref.block, ref.init) for ref in step["refs"]
            ]
            assert main_data(record.data, methods_of(version)) == step["main"]
    folder = tmp_path_factory.mktemp("wal")
    writer.files(folder)
    found, records = read(folder)
    assert found == writer.written
    assert (records.count, records.end) == (len(found), writer.written[-1].end)
    # What looks for checkpoints.
    walked = Records(find_wal(folder), found[0].lsn, only_xlog=True)
    assert [one.data for one in walked] == [one.data for one in found if one.data[17] == 0]
    assert (walked.end, walked.reason) == (records.end, records.reason)
    # Up to any end, and no further.
    for one in found[:: max(1, len(found) // 4)]:
        for stop in (one.end, one.end + 7):
            limited = Records(find_wal(folder), found[0].lsn, stop=stop)
            assert max(record.end_lsn for record in limited) == one.end
            assert limited.was_stopped == (one.end != found[-1].end)
