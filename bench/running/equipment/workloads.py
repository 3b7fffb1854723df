"""The workloads: requests that are generated from a seed or read, and the traffic made of them.

The traffic is written to files once per suite, before anything is measured, and read by each run:
the managers in the worker and the C floor get the same bytes. The expected pages come from the page
function of the Python child; the runs check that the C child agrees with it.

The sizes of short and medium are those of the published benchmark (neondatabase/neon,
pageserver/benches/bench_walredo.rs): 1,132 and 26,393 bytes on the wire. The contents are random,
but have the form of WAL: each record begins with a 24-byte header like PostgreSQL's XLogRecord
(total length, transaction, previous LSN, info, resource manager, padding, checksum). The fake child
does not read it.

pgbench is a mix: 256 real requests, from the WAL of a run of PostgreSQL's own benchmark (``make
pgbench-workload``). They are kept in wire format and depend on no seed.
"""

from __future__ import annotations

import gzip
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from struct import Struct
from typing import Final

from bench.cases.own import is_own_workload, workload_label, workload_path
from bench.running.equipment.workload_file import read_workload
from fake_redo_child.child.python_child import redo_page
from walredo import PAGE_SIZE, BufferTag, RedoRequest, WalRecord, parse_requests
from walredo.wire import PING, ZERO_PAGE

DISTINCT_REQUESTS: Final = 64
"""Requests of a workload. All differ, so that a page that goes to the wrong caller is noticed."""

_PERCENTS: Final = (50, 99)
"""Of the sizes that results have of each case: a case may be a mix."""

_XLOG_RECORD: Final = Struct("<IIQBBxxI")


@dataclass(frozen=True, slots=True)
class Workload:
    """``record_bytes``: the size of each record, in order; None for pings. ``kept``: the file that
    has the requests, compressed."""

    record_bytes: tuple[int, ...] | None
    base_image: bool = False
    kept: Path | None = None


_SHORT: Final = (874, 188)
_MEDIUM: Final = (67,) * 226 + (8256,)

PGBENCH: Final = Path(__file__).with_name("pgbench.requests.gz")

WORKLOADS: Final = {
    "ping": Workload(None),
    "short": Workload(_SHORT),
    "medium": Workload(_MEDIUM),
    "short+image": Workload(_SHORT, base_image=True),
    "medium+image": Workload(_MEDIUM, base_image=True),
    "pgbench": Workload(None, kept=PGBENCH),
}


def make_requests(name: str, seed: int) -> tuple[RedoRequest, ...]:
    """The distinct requests of a workload, the same for the same seed; none for a ping."""
    workload = WORKLOADS[name]
    if workload.kept is not None:
        return tuple(parse_requests(gzip.decompress(workload.kept.read_bytes())))
    if workload.record_bytes is None:
        return ()
    source = random.Random(f"{seed}/{name}")
    relation = source.getrandbits(32)
    lsn = source.getrandbits(40)
    requests = []
    for block in range(DISTINCT_REQUESTS):
        records = []
        for size in workload.record_bytes:
            previous, lsn = lsn, lsn + size
            header = _XLOG_RECORD.pack(
                size, source.getrandbits(32), previous, 0, 10, source.getrandbits(32)
            )
            payload = source.randbytes(size - len(header))
            records.append(WalRecord(end_lsn=lsn, data=header + payload))
        requests.append(
            RedoRequest(
                tag=BufferTag(fork=0, tablespace=1663, database=5, relation=relation, block=block),
                records=tuple(records),
                base_image=source.randbytes(PAGE_SIZE) if workload.base_image else None,
            )
        )
    return tuple(requests)


@dataclass(frozen=True, slots=True)
class Traffic:
    """The files of one workload: whole redos (or pings) in wire format, and the pages of 8,192
    bytes that answer them, in the same order. ``distinct``: how many requests differ.
    ``records``: how many records a request has on average; 0 for pings. ``per_request``: metadata
    of a run, the sizes of the requests.
    ``sha256``: the hash of the file that the user gave; None for a built-in workload."""

    requests: Path
    pages: Path
    sha256: str | None = None
    distinct: int = DISTINCT_REQUESTS
    records: float = 0.0
    per_request: Mapping[str, int] = field(default_factory=dict)


def requests_of(choice: str, seed: int) -> tuple[RedoRequest, ...]:
    """The requests of a workload, built in or the user's; none for a ping. Raises BenchError."""
    if is_own_workload(choice):
        return read_workload(Path(workload_path(choice))).requests
    return make_requests(choice, seed)


def size_of(request: RedoRequest) -> tuple[int, int]:
    """Records, and bytes on the wire."""
    return len(request.records), len(request.serialise())


def percentiles(
    sizes: Iterable[tuple[int, int]], percents: Sequence[int]
) -> Mapping[str, Sequence[int]]:
    """Of records, and of bytes on the wire, by nearest rank; none if there is no size."""
    found = {}
    for name, values in zip(("records", "bytes"), zip(*sizes, strict=True), strict=False):
        ranked = sorted(values)
        found[name] = [ranked[math.ceil(len(ranked) * p / 100) - 1] for p in percents]
    return found


def _metadata(requests: Iterable[RedoRequest]) -> Mapping[str, int]:
    return {
        f"redo_request_{name}_p{percent}": value
        for name, values in percentiles(map(size_of, requests), _PERCENTS).items()
        for percent, value in zip(_PERCENTS, values, strict=True)
    }


def expected_page(request: RedoRequest) -> bytes:
    """The page with which a fake redo child must answer."""
    records = [(record.end_lsn, record.data) for record in request.records]
    page = redo_page(request.tag.fields, request.base_image, records)
    assert len(page) == PAGE_SIZE
    return page


def write_traffic(folder: Path, workloads: Iterable[str], seed: int) -> Mapping[str, Traffic]:
    """Writes the files of the chosen workloads into the folder. They are found by their label.

    Raises BenchError, OSError.
    """
    found = {}
    for choice in workloads:
        name = workload_label(choice)
        traffic = Traffic(folder / f"{name}.requests", folder / f"{name}.pages")
        if is_own_workload(choice):
            file = read_workload(Path(workload_path(choice)))
            requests = file.requests
            traffic = replace(traffic, sha256=file.sha256, distinct=file.distinct)
        else:
            requests = make_requests(choice, seed)
            if requests:
                traffic = replace(traffic, distinct=len(set(requests)))
        records = sum(len(request.records) for request in requests) / max(1, len(requests))
        traffic = replace(traffic, records=records, per_request=_metadata(requests))
        sent = [request.serialise() for request in requests] or [PING] * DISTINCT_REQUESTS
        pages = [expected_page(request) for request in requests] or [ZERO_PAGE] * DISTINCT_REQUESTS
        traffic.requests.write_bytes(b"".join(sent))
        traffic.pages.write_bytes(b"".join(pages))
        found[name] = traffic
    return found
