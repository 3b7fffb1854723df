"""The WAL of a real cluster: every record as PostgreSQL's own tools read it."""

from __future__ import annotations

import os
import re
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from bench.wal.blocks import Block, blocks_of, methods_of
from bench.wal.capture import Choice, capture
from bench.wal.images import restore_block_image
from bench.wal.lsn import PAGE_BYTES, lsn_text, parse_lsn
from bench.wal.records import Record, Records
from bench.wal.segments import Wal, find_wal
from bench.wal.start import first_record
from tests.support import postgres
from tests.support.postgres import Cluster

MISSING: Final = postgres.why_not()

pytestmark = [
    pytest.mark.exhaustive,
    # Not where everything must be tested: there it fails.
    pytest.mark.skipif(MISSING is not None and "CI" not in os.environ, reason=str(MISSING)),
]

_RECORD: Final = re.compile(
    r"rmgr: (\S+) +len \(rec/tot\): +\d+/ *(\d+), tx: +(\d+), lsn: (\S+), prev (\S+), desc: .*"
)
_BLOCK: Final = re.compile(
    r"\tblkref #(\d+): rel (\d+)/(\d+)/(\d+) fork (\w+) blk (\d+)"
    r"(?: \((FPW|FPW for WAL verification)\);"
    r" hole: offset: (\d+), length: (\d+)(?:, compression saved: (\d+), method: (\w+))?)?"
)
METHODS: Final = ["off", "pglz", "lz4", "zstd"]
"""Of wal_compression. Debian builds PostgreSQL with all of them."""

_FORKS: Final = {"main": 0, "fsm": 1, "vm": 2, "init": 3}


@dataclass(frozen=True, slots=True)
class Written:
    """The folder of a cluster's WAL and, by start, the end LSNs that pg_walinspect says."""

    cluster: Cluster
    wal: Wal
    ends: dict[int, int]


@pytest.fixture(scope="module")
def written() -> Iterator[Written]:
    with postgres.cluster("--wal-segsize=1") as cluster:
        yield _work(cluster)


def _work(cluster: Cluster) -> Written:
    """All forms of records that a session can ask for."""
    cluster.run("pgbench", "-i", "-q", "-s", "1")
    known = cluster.sql("SELECT unnest(enumvals) FROM pg_settings WHERE name = 'wal_compression'")
    methods = [one for one in METHODS if one in known.split()]
    assert methods == METHODS
    for method in methods:
        session = {"wal_compression": method}
        cluster.sql("CHECKPOINT")
        cluster.run("pgbench", "-n", "-c", "2", "-t", "200", session=session)
        cluster.sql(
            f"CREATE TABLE t_{method} AS SELECT g AS a, repeat(g::text, 40) AS b"
            " FROM generate_series(1, 3000) g",
            f"CREATE INDEX ON t_{method} (a)",
            f"CREATE INDEX ON t_{method} USING gin (string_to_array(b, '0'))",
            f"COPY t_{method} TO '{cluster.folder}/copied'",
            f"COPY t_{method} FROM '{cluster.folder}/copied'",
            f"DELETE FROM t_{method} WHERE a % 3 = 0",
            f"VACUUM t_{method}",
            f"CREATE INDEX last_{method} ON t_{method} (b)",
            "SELECT pg_switch_wal()",
            session=session,
        )
        consistent = session | {"wal_consistency_checking": "all"}
        cluster.run("pgbench", "-n", "-t", "50", session=consistent)
    cluster.sql(f"SELECT pg_logical_emit_message(true, 'long', repeat('x', {3 << 20}))")
    cluster.sql("CHECKPOINT", "CREATE EXTENSION IF NOT EXISTS pg_walinspect")
    wal = find_wal(cluster.wal)
    last = cluster.sql("SELECT pg_current_wal_flush_lsn()")
    first = lsn_text(first_record(wal, wal.start))
    rows = cluster.sql(
        f"SELECT start_lsn, end_lsn FROM pg_get_wal_records_info('{first}', '{last}')"
    )
    pairs = (row.split("|") for row in rows.splitlines())
    return Written(cluster, wal, {parse_lsn(start): parse_lsn(end) for start, end in pairs})


def _dumped(written: Written) -> list[str]:
    """What pg_waldump says of each record, and of each block, a line each."""
    wal = written.wal
    first, last = lsn_text(first_record(wal, wal.start)), lsn_text(max(written.ends.values()))
    text = written.cluster.run("pg_waldump", "-b", "-p", str(wal.folder), "-s", first, "-e", last)
    return text.splitlines()


def test_every_record_is_what_pg_waldump_says(written: Written) -> None:
    wal = written.wal
    methods = methods_of(wal.version)
    records = Records(wal, first_record(wal, wal.start))
    ours = list(_within(records, max(written.ends.values())))
    theirs: list[tuple[int, int, int, int]] = []
    their_blocks: list[list[tuple[object, ...]]] = []
    seen = Counter[str]()
    for line in _dumped(written):
        if found := _RECORD.fullmatch(line):
            _, length, xid, lsn, prev = found.groups()
            theirs.append((int(length), int(xid), parse_lsn(lsn), parse_lsn(prev)))
            their_blocks.append([])
        elif found := _BLOCK.match(line):
            id_, a, b, c, fork, block, image, offset, hole, saved, method = found.groups()
            seen[f"{image} {method}"] += 1
            held = None
            if image is not None:
                hole_length = int(hole)
                stored = PAGE_BYTES - hole_length - int(saved or 0)
                held = (int(offset), hole_length, stored, method or "", image == "FPW")
            relation = (int(a), int(b), int(c))
            their_blocks[-1].append((int(id_), relation, _FORKS[fork], int(block), held))
    assert [(len(one.data), one.xid, one.lsn, one.prev) for one in ours] == theirs
    for one, expected in zip(ours, their_blocks, strict=True):
        assert [_block(block) for block in blocks_of(one.data, methods)] == expected
        for block in blocks_of(one.data, methods):
            if block.image is not None:
                assert len(restore_block_image(one.data, block.image, one.end_lsn)) == PAGE_BYTES
    for method in ("None", *METHODS[1:]):
        assert seen.keys() >= {f"FPW {method}", f"FPW for WAL verification {method}"}, seen


@pytest.mark.parametrize("method", METHODS)
def test_restored_images_are_the_pages_of_an_index(method: str, written: Written) -> None:
    """CREATE INDEX logs each page as an image; nothing changes this index afterwards. The cluster
    has no checksums, so pages on disk are equal to the byte, but for what is unused."""
    where = written.cluster.sql(f"SELECT pg_relation_filepath('last_{method}')")
    on_disk = (written.cluster.folder / "data" / where).read_bytes()
    wal = written.wal
    restored = {}
    compressions = set()
    for record in Records(wal, first_record(wal, wal.start)):
        for block in blocks_of(record.data, methods_of(wal.version)):
            if block.relation[2] == int(where.rpartition("/")[2]) and block.fork == 0:
                assert block.image is not None and block.image.apply
                compressions.add(block.image.method or "off")
                page = restore_block_image(record.data, block.image, record.end_lsn)
                restored[block.block] = page
    assert len(restored) > 50
    assert len(restored) * PAGE_BYTES == len(on_disk)
    for number, page in restored.items():
        at = number * PAGE_BYTES
        assert page == _without_hole(on_disk[at : at + PAGE_BYTES]), number
    assert method in compressions
    assert compressions <= {method, "off"}


def _without_hole(page: bytes) -> bytes:
    """With zeros between pd_lower and pd_upper: what was left there when the page was filled is in
    no image."""
    lower, upper = struct.unpack_from("<HH", page, 12)
    return page[:lower] + bytes(upper - lower) + page[upper:]


def _block(block: Block) -> tuple[object, ...]:
    image = block.image
    held = image and (
        image.hole_offset,
        image.hole_length,
        image.length,
        image.method,
        image.apply,
    )
    return (block.id, block.relation, block.fork, block.block, held)


def _within(records: Records, end: int) -> Iterator[Record]:
    for record in records:
        if record.end_lsn > end:
            return
        yield record


def test_end_lsns_are_those_of_pg_walinspect(written: Written) -> None:
    wal = written.wal
    records = Records(wal, first_record(wal, wal.start))
    ours = {one.lsn: one.end_lsn for one in _within(records, max(written.ends.values()))}
    assert ours == written.ends


def test_there_are_as_many_records_as_pg_waldump_counts(written: Written) -> None:
    """And as many bytes of images."""
    wal, end = written.wal, max(written.ends.values())
    first = first_record(wal, wal.start)
    text = written.cluster.run(
        *("pg_waldump", "--stats=record", "-p", str(wal.folder)),
        *("-s", lsn_text(first), "-e", lsn_text(end)),
    )
    total = next(line for line in text.splitlines() if line.startswith("Total"))
    count, _, images, _ = (int(word) for word in total.split() if word.isdecimal())
    ours = list(_within(Records(wal, first), end))
    blocks = (block for one in ours for block in blocks_of(one.data, methods_of(wal.version)))
    assert len(ours) == count
    assert sum(block.image.length for block in blocks if block.image) == images


def test_from_a_redo_lsn_on_no_base_is_unknown(written: Written) -> None:
    found = capture(Choice(written.cluster.wal, images="base", most=100))
    assert found.unknown == 0
    assert found.count == len(list(found.requests)) == 100
    assert found.start_note.startswith("the redo LSN of the checkpoint")
