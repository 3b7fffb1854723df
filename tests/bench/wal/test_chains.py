"""Requests by page: where a chain begins, what it holds, which are drawn."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.wal.capture import Capture, Choice, capture
from bench.wal.lsn import WalError, lsn_text
from bench.wal.sampling import Reservoir
from tests.support.wal_writer import MIB, PAGE, RELATION, Ref, WalWriter, page_of, plain_image
from walredo import BufferTag, RedoRequest, WalRecord


def tag(block: int) -> BufferTag:
    return BufferTag(0, *RELATION, block)


@dataclass(frozen=True, slots=True)
class Taken:
    """A capture whose requests are in memory."""

    found: Capture
    requests: tuple[RedoRequest, ...]
    image_only: int

    @property
    def by_block(self) -> dict[int, RedoRequest]:
        return {request.tag.block: request for request in self.requests}


def captured(writer: WalWriter, folder: Path, **options: object) -> Taken:
    writer.files(folder)
    return taken(capture(Choice(folder, **options)))  # type: ignore[arg-type]


def taken(found: Capture) -> Taken:
    requests = tuple(found.requests)
    assert len(requests) == found.count
    return Taken(
        found,
        tuple(one.request for one in requests),
        sum(one.is_image_only for one in requests),
    )


def test_a_chain_begins_with_an_image_or_with_a_new_page(tmp_path: Path) -> None:
    writer = WalWriter()
    writer.record(Ref(1))  # its base is unknown
    image = writer.record(Ref(1, image=plain_image(page_of(1))))
    made = writer.record(Ref(2, init=True))
    both = writer.record(Ref(1), Ref(2), main=b"both")
    again = writer.record(Ref(1, image=plain_image(page_of(2))), Ref(2))
    only = writer.record(Ref(3, image=plain_image(page_of(3))))
    found = captured(writer, tmp_path)

    def records(*all_: object) -> tuple[WalRecord, ...]:
        return tuple(WalRecord(one.end, one.data) for one in all_)  # type: ignore[attr-defined]

    assert found.by_block == {
        1: RedoRequest(tag(1), records(again)),
        2: RedoRequest(tag(2), records(made, both, again)),
        3: RedoRequest(tag(3), records(only)),
    }
    assert (found.found.unknown, found.image_only, found.found.records) == (1, 2, 6)
    assert image.end < found.found.end == writer.at


def test_the_image_as_the_base(tmp_path: Path) -> None:
    writer = WalWriter()
    image = writer.record(Ref(1, image=plain_image(page_of(1))), rmid=200)
    then = writer.record(Ref(1), rmid=255)
    writer.record(Ref(2, image=plain_image(page_of(2))))
    writer.record(Ref(3, init=True))
    found = captured(writer, tmp_path, images="base")
    first = found.by_block[1]
    assert first.records == (WalRecord(then.end, then.data),)
    assert first.base_image == page_of(1, lsn=image.end)
    assert found.by_block[2].records == ()
    assert found.by_block[3].base_image is None
    assert found.image_only == 1


def test_an_image_to_compare_with_is_no_base(tmp_path: Path) -> None:
    writer = WalWriter()
    writer.record(Ref(1, image=plain_image(page_of(1), apply=False)))
    made = writer.record(Ref(2, init=True, image=plain_image(page_of(1), apply=False)))
    found = captured(writer, tmp_path, images="base")
    assert found.found.unknown == 1
    assert [one.tag.block for one in found.requests] == [2]
    assert found.requests[0].records == (WalRecord(made.end, made.data),)
    assert found.image_only == 0


def test_other_forks_do_not_count(tmp_path: Path) -> None:
    """HEAP2/VISIBLE names a block of the visibility map, and its heap block without an image."""
    writer = WalWriter()
    made = writer.record(Ref(5, init=True))
    map_image = plain_image(page_of(1))
    visible = writer.record(Ref(0, fork=2, image=map_image), Ref(5), rmid=9, info=0x40)
    writer.record(Ref(0, fork=1, init=True), Ref(0, fork=3, init=True))
    found = captured(writer, tmp_path)
    assert found.by_block == {
        5: RedoRequest(tag(5), tuple(WalRecord(one.end, one.data) for one in (made, visible)))
    }
    assert found.found.unknown == 0


def test_it_begins_at_the_first_redo_lsn(tmp_path: Path) -> None:
    """Of the first checkpoint that names one in this WAL."""
    writer = WalWriter()
    writer.record(Ref(1))
    writer.checkpoint(2 * MIB)
    writer.record(Ref(2))
    redo = writer.next_lsn()
    writer.record(Ref(3, init=True))
    checkpoint = writer.checkpoint(redo)
    writer.record(Ref(4, init=True))
    found = captured(writer, tmp_path)
    assert (found.found.start, found.found.unknown) == (redo, 0)
    assert found.found.start_note == f"the redo LSN of the checkpoint at {lsn_text(checkpoint.lsn)}"
    assert found.by_block.keys() == {3, 4}


def test_what_is_before_the_redo_lsn_is_not_checked(tmp_path: Path) -> None:
    """Of records before the checkpoint only headers are read, to find it."""
    writer = WalWriter()
    broken = writer.record(Ref(1), main=bytes(100))
    redo = writer.next_lsn()
    made = writer.record(Ref(3, init=True), main=bytes(3 * PAGE))
    writer.checkpoint(redo)
    path = writer.files(tmp_path)[0]
    whole = path.read_bytes()
    for record, requests in ((broken, 1), (made, 0)):
        content = bytearray(whole)
        content[record.lsn - 3 * MIB + 60] ^= 1
        path.write_bytes(content)
        if requests:
            assert taken(capture(Choice(tmp_path))).by_block.keys() == {3}
        else:
            with pytest.raises(WalError, match=r"no request in 0 records .* wrong checksum"):
                capture(Choice(tmp_path))


def test_without_a_checkpoint_it_begins_at_the_first_record(tmp_path: Path) -> None:
    writer = WalWriter()
    writer.record(Ref(1))
    writer.record(Ref(3, init=True))
    found = captured(writer, tmp_path)
    assert found.found.start == 3 * MIB + 40
    assert "there is no checkpoint" in found.found.start_note


def test_from_and_to(tmp_path: Path) -> None:
    writer = WalWriter()
    for block in range(6):
        writer.record(Ref(block, init=True))
    one = writer.written
    exact = captured(writer, tmp_path, start=one[2].lsn, stop=one[4].end)
    assert [request.tag.block for request in exact.requests] == [2, 3, 4]
    assert (exact.found.start_note, exact.found.reason) == (
        "--from",
        f"--to {lsn_text(one[4].end)}",
    )
    inside = captured(writer, tmp_path, start=one[2].lsn + 1, stop=one[4].end - 1)
    assert [request.tag.block for request in inside.requests] == [3]
    assert inside.found.start == one[3].lsn
    assert "is inside a record: this is the next one" in inside.found.start_note
    segment = captured(writer, tmp_path, start=3 * MIB)
    assert (segment.found.start, segment.found.start_note) == (3 * MIB + 40, "--from")
    with pytest.raises(WalError, match=f"--from .*: the WAL ends at {lsn_text(writer.at)}"):
        captured(writer, tmp_path, start=writer.at + 8)
    with pytest.raises(WalError, match="no record from 0/380000 on: page 0/380000 has magic 0000"):
        captured(writer, tmp_path, start=3 * MIB + MIB // 2)
    with pytest.raises(WalError, match="--from 0/100: the segments hold 0/300000 to 0/400000"):
        captured(writer, tmp_path, start=0x100)
    with pytest.raises(WalError, match="--to 0/100: is not after the start"):
        captured(writer, tmp_path, stop=0x100)
    with pytest.raises(WalError, match=r"no request in 0 records .*: begin at a checkpoint's redo"):
        captured(writer, tmp_path, stop=one[0].end - 1)


def test_an_insert_lsn_beyond_the_disk(tmp_path: Path) -> None:
    """At a page's end PostgreSQL says the byte after the next header, where nothing is yet."""
    writer = WalWriter()
    writer.record(Ref(1, init=True))
    writer.fill_page()
    assert writer.at == 3 * MIB + PAGE
    found = captured(writer, tmp_path, stop=writer.next_lsn())
    assert found.found.end == writer.at
    with pytest.raises(WalError, match=r"--to 0/302020: the WAL ends at 0/302000: .* magic 0000"):
        captured(writer, tmp_path, stop=writer.next_lsn() + 8)


def test_a_broken_record_before_to_is_an_error_and_else_the_end(tmp_path: Path) -> None:
    writer = WalWriter()
    writer.record(Ref(1, init=True))
    broken = writer.record(Ref(2, init=True))
    path = writer.files(tmp_path)[0]
    content = bytearray(path.read_bytes())
    content[broken.lsn - 3 * MIB + 30] ^= 1
    path.write_bytes(content)
    found = taken(capture(Choice(tmp_path)))
    assert len(found.requests) == 1
    assert found.found.reason == f"record {lsn_text(broken.lsn)} has a wrong checksum"
    with pytest.raises(WalError, match=r"--to .*: the WAL ends at .*: record .* wrong checksum"):
        capture(Choice(tmp_path, stop=broken.end))


def busy(pages: int, changes: int) -> WalWriter:
    writer = WalWriter()
    for block in range(pages):
        writer.record(Ref(block, init=True))
    for number in range(changes):
        writer.record(Ref(number % pages), main=number.to_bytes(4))
    return writer


def test_more_pages_than_asked_for_are_sampled(tmp_path: Path) -> None:
    writer = busy(50, 200)
    whole = captured(writer, tmp_path)
    some = captured(writer, tmp_path, most=10)
    assert (len(whole.requests), len(some.requests), some.found.offered) == (50, 10, 50)
    assert set(some.requests) < set(whole.requests)
    assert captured(writer, tmp_path, most=10).requests == some.requests
    assert captured(writer, tmp_path, most=10, seed=2).requests != some.requests


def test_points_are_reads_after_any_change(tmp_path: Path) -> None:
    writer = busy(5, 20)
    every = captured(writer, tmp_path, points=100)
    assert (len(every.requests), every.found.offered) == (25, 25)
    assert len(set(every.requests)) == 25
    assert Counter(len(request.records) for request in every.requests) == dict.fromkeys(
        range(1, 6), 5
    )
    some = captured(writer, tmp_path, points=7)
    assert set(some.requests) < set(every.requests)
    assert (len(some.requests), some.found.offered) == (7, 25)
    assert len(captured(writer, tmp_path, points=7, most=3).requests) == 3


def test_what_is_too_large_is_sampled(tmp_path: Path) -> None:
    """By halves, until it fits; what was dropped does not count any more."""
    writer = busy(64, 640)
    whole = captured(writer, tmp_path)
    size = sum(len(request.serialise()) - 44 for request in whole.requests)
    assert not whole.found.is_cut
    assert not captured(writer, tmp_path, most_bytes=size).found.is_cut
    some = captured(writer, tmp_path, most_bytes=size - 1)
    assert (some.found.is_cut, some.found.offered, len(some.requests)) == (True, 64, 32)
    assert set(some.requests) < set(whole.requests)
    one = whole.requests[0]
    least = captured(writer, tmp_path, most_bytes=len(one.serialise()) - 44)
    assert len(least.requests) == 1
    with pytest.raises(WalError, match=r"a request has more than 0 MiB: end before \(--to\)"):
        captured(writer, tmp_path, most_bytes=500)


def test_page_reads_that_are_too_large_are_sampled(tmp_path: Path) -> None:
    writer = busy(5, 20)
    every = captured(writer, tmp_path, points=100)
    some = captured(writer, tmp_path, points=100, most_bytes=1000)
    assert (some.found.is_cut, some.found.offered) == (True, 25)
    assert set(some.requests) < set(every.requests)
    assert sum(len(request.serialise()) - 44 for request in some.requests) <= 1000
    with pytest.raises(WalError, match="a request has more than 0 MiB"):
        captured(writer, tmp_path, points=100, most_bytes=10)


def test_a_base_image_counts_as_it_is_sent(tmp_path: Path) -> None:
    writer = WalWriter()
    for block in range(4):
        writer.record(Ref(block, image=plain_image(page_of(1))))
    sizes = {"images": "base", "most_bytes": 4 * PAGE}
    assert len(captured(writer, tmp_path, **sizes).requests) == 2
    assert len(captured(writer, tmp_path, most_bytes=4 * PAGE).requests) == 4


def test_wal_that_changes_between_its_two_passes(tmp_path: Path) -> None:
    """A server writes on, or uses the segment again."""
    writer = busy(3, 20)
    path = writer.files(tmp_path)[0]
    found = capture(Choice(tmp_path, points=100))
    writer.record(Ref(1))
    writer.files(tmp_path)
    assert len(list(found.requests)) == found.count == 23
    found = capture(Choice(tmp_path, points=100))
    path.write_bytes(path.read_bytes()[:200].ljust(MIB, b"\0"))
    with pytest.raises(WalError, match=r"has changed while it was read \(.*\): read a copy of it"):
        list(found.requests)


def test_points_of_a_page_that_begins_anew(tmp_path: Path) -> None:
    """A request has what came since the last image, also where points of older ones are drawn."""
    writer = WalWriter()
    for _ in range(3):
        writer.record(Ref(1, image=plain_image(page_of(1))), Ref(2, init=True))
        writer.record(Ref(1), Ref(2, same=True))
        writer.record(Ref(1))
    found = captured(writer, tmp_path, points=100)
    assert [(one.tag.block, len(one.records)) for one in found.requests] == [
        *((1, 1), (2, 1), (1, 2), (2, 2), (1, 3)) * 3
    ]
    assert found.image_only == 3


def test_half_of_a_sample_is_one() -> None:
    counts = Counter[int]()
    for seed in range(4000):
        sample = Reservoir[int](6, seed)
        for thing in range(12):
            sample.offer(thing)
        kept = set(sample.kept)
        assert kept == set(sample.shrink()) | set(sample.kept)
        for thing in range(12, 24):
            sample.offer(thing)
        assert (len(sample.kept), sample.offered) == (3, 24)
        counts.update(sample.kept)
    # Each 500 times, with a standard deviation of 21.
    assert all(390 < counts[thing] < 610 for thing in range(24)), counts


def test_a_sample_has_every_thing_equally_often() -> None:
    counts = Counter[int]()
    for seed in range(4000):
        sample = Reservoir[int](3, seed)
        kept = set[int]()
        for thing in range(12):
            is_kept, replaced = sample.offer(thing)
            if is_kept:
                kept.add(thing)
            if replaced is not None:
                kept.remove(replaced)
        assert kept == set(sample.kept)
        assert (len(kept), sample.offered) == (3, 12)
        counts.update(kept)
    # Each 1,000 times, with a standard deviation of 27.
    assert all(860 < counts[thing] < 1140 for thing in range(12)), counts
