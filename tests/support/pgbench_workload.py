"""Makes the built-in workload ``pgbench``: ``make pgbench-workload`` runs it.

A cluster of its own, one checkpoint interval of pgbench's own transactions, and of the pages that
it changed a sample. Nothing of anybody's is in it: pgbench makes up its rows.
"""

from __future__ import annotations

import gzip
import sys
from typing import Final

from bench.running.equipment.workloads import PGBENCH
from bench.wal.capture import Choice, capture
from bench.wal.lsn import parse_lsn
from tests.support import postgres
from walredo import RedoRequest

SCALE: Final = 5
TRANSACTIONS: Final = 20_000
REQUESTS: Final = 256
MAX_BYTES: Final = 300_000


def make_requests() -> tuple[RedoRequest, ...]:
    """What a cold reader asks for after the interval, each page once."""
    with postgres.cluster() as cluster:
        cluster.run("pgbench", "-i", "-q", "-s", str(SCALE))
        cluster.sql("CHECKPOINT")
        start = parse_lsn(cluster.sql("SELECT redo_lsn FROM pg_control_checkpoint()"))
        clients = 4
        each = str(TRANSACTIONS // clients)
        cluster.run("pgbench", "-n", "-c", str(clients), "-t", each, "--random-seed=1")
        found = capture(Choice(cluster.wal, start=start, most=REQUESTS))
        assert found.unknown == 0
        return tuple(request for request, _ in found.requests)


def main() -> int:
    if missing := postgres.why_not():
        return _refuse(missing)
    sent = b"".join(request.serialise() for request in make_requests())
    packed = gzip.compress(sent, 9, mtime=0)
    if len(packed) > MAX_BYTES:
        return _refuse(f"the workload has {len(packed)} bytes: at most {MAX_BYTES} are kept")
    PGBENCH.write_bytes(packed)
    sys.stdout.write(f"{PGBENCH}: {len(packed)} bytes, {len(sent)} unpacked\n")
    return 0


def _refuse(problem: str) -> int:
    sys.stderr.write(f"error: {problem}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
