"""What goes over the pipe in a suite, as files: every workload's requests and their pages.

Written once per suite, before anything is measured, and read by each run: the worker's managers and
the C floor get the very same bytes. The expected pages come from the Python child's page function;
that the C child agrees with it is what the runs check.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.workloads import DISTINCT_REQUESTS, make_requests
from fake_redo_child.python_child import redo_page
from walredo import PAGE_SIZE, RedoRequest
from walredo.wire import PING, ZERO_PAGE


@dataclass(frozen=True, slots=True)
class Traffic:
    """``requests``: whole redos (or pings) in wire format, one after another; ``pages``: the page
    that answers each, 8,192 bytes, in the same order."""

    requests: Path
    pages: Path


def expected_page(request: RedoRequest) -> bytes:
    """The page that a fake redo child has to answer with."""
    records = [(record.end_lsn, record.data) for record in request.records]
    page = redo_page(request.tag.fields, request.base_image, records)
    assert len(page) == PAGE_SIZE
    return page


def write_traffic(folder: Path, workloads: Iterable[str], seed: int) -> Mapping[str, Traffic]:
    """Writes the files of the workloads into the folder; by workload."""
    found = {}
    for name in workloads:
        traffic = Traffic(folder / f"{name}.requests", folder / f"{name}.pages")
        requests = make_requests(name, seed)
        if requests:
            sent = b"".join(request.serialise() for request in requests)
            pages = b"".join(expected_page(request) for request in requests)
        else:
            sent, pages = PING * DISTINCT_REQUESTS, ZERO_PAGE * DISTINCT_REQUESTS
        traffic.requests.write_bytes(sent)
        traffic.pages.write_bytes(pages)
        found[name] = traffic
    return found
