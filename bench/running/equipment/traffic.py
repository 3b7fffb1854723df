"""Writes the traffic of a suite to files: the requests of every workload and their pages.

They are written once per suite, before anything is measured, and read by each run, so that the
managers in the worker and the C floor get the same bytes. The expected pages come from the page
function of the Python child; the runs check that the C child agrees with it.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bench.cases.own import is_own_workload, workload_label, workload_path
from bench.running.equipment.workload_file import read_workload
from bench.running.equipment.workloads import DISTINCT_REQUESTS, make_requests
from fake_redo_child.child.python_child import redo_page
from walredo import PAGE_SIZE, RedoRequest
from walredo.wire import PING, ZERO_PAGE


@dataclass(frozen=True, slots=True)
class Traffic:
    """The files of one workload.

    ``requests``: whole redos (or pings) in wire format, one after another. ``pages``: the page that
    answers each, 8,192 bytes, in the same order. ``distinct``: how many requests differ.
    ``records``: how many records a request has on average.
    ``sha256``: the hash of the file that the user gave; None for a built-in workload.
    """

    requests: Path
    pages: Path
    sha256: str | None = None
    distinct: int = DISTINCT_REQUESTS
    records: float = 0.0


def requests_of(choice: str, seed: int) -> tuple[RedoRequest, ...]:
    """The requests of a workload, built in or the user's; none for a ping. Raises BenchError."""
    if is_own_workload(choice):
        return read_workload(Path(workload_path(choice))).requests
    return make_requests(choice, seed)


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
            records = statistics.fmean(len(request.records) for request in requests)
            traffic = replace(traffic, records=records)
            sent = b"".join(request.serialise() for request in requests)
            pages = b"".join(expected_page(request) for request in requests)
        else:
            sent, pages = PING * DISTINCT_REQUESTS, ZERO_PAGE * DISTINCT_REQUESTS
        traffic.requests.write_bytes(sent)
        traffic.pages.write_bytes(pages)
        found[name] = traffic
    return found
