"""The built-in workloads: requests that are generated from a seed.

Standard library and walredo only. The sizes of short and medium are those of the published
benchmark (neondatabase/neon, pageserver/benches/bench_walredo.rs): 1,132 and 26,393 bytes on the
wire. The contents are random, but have the form of WAL: each record begins with a 24-byte header
like PostgreSQL's XLogRecord (total length, transaction, previous LSN, info, resource manager,
padding, checksum). The fake child does not read it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from struct import Struct
from typing import Final

from walredo import PAGE_SIZE, BufferTag, RedoRequest, WalRecord

DISTINCT_REQUESTS: Final = 64
"""Requests of a workload. All differ, so that a page that goes to the wrong caller is noticed."""

_XLOG_RECORD: Final = Struct("<IIQBBxxI")


@dataclass(frozen=True, slots=True)
class Workload:
    """``record_bytes``: the size of each record, in order; None for pings."""

    record_bytes: tuple[int, ...] | None
    base_image: bool = False


_SHORT: Final = (874, 188)
_MEDIUM: Final = (67,) * 226 + (8256,)

WORKLOADS: Final = {
    "ping": Workload(None),
    "short": Workload(_SHORT),
    "medium": Workload(_MEDIUM),
    "short+image": Workload(_SHORT, base_image=True),
    "medium+image": Workload(_MEDIUM, base_image=True),
}


def make_requests(name: str, seed: int) -> tuple[RedoRequest, ...]:
    """The distinct requests of a workload, the same for the same seed; none for a ping."""
    workload = WORKLOADS[name]
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
