"""``dump-request``: writes one whole request in wire format, for programs in other languages."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from rich.console import Console

from bench.cases.names import WORKLOADS
from bench.cases.own import workload_label
from bench.cli.options import add_seed
from bench.errors import BenchError
from bench.running.equipment.workloads import DISTINCT_REQUESTS, requests_of
from walredo.wire import PING

EXAMPLES: Final = (
    "python -m bench dump-request short > short.bin",
    "python -m bench dump-request medium --index 3 | xxd | head",
    "python -m bench dump-request file:examples/requests.jsonl | wc -c",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("workload", metavar="WORKLOAD", help=f"{', '.join(WORKLOADS)}, file:PATH")
    add_seed(parser)
    parser.add_argument(
        "--index",
        type=int,
        default=0,
        metavar="I",
        help=f"which of its requests: a built-in workload has {DISTINCT_REQUESTS} (default:"
        " %(default)s)",
    )


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    try:
        workload_label(args.workload)
    except ValueError as error:
        raise BenchError(str(error)) from error
    requests = requests_of(args.workload, args.seed)
    count = len(requests) or DISTINCT_REQUESTS  # of pings
    if not 0 <= args.index < count:
        raise BenchError(f"--index {args.index}: expected 0 to {count - 1}")
    if sys.stdout.isatty():
        raise BenchError("a request is binary: redirect it to a file or a program")
    sys.stdout.buffer.write(requests[args.index].serialise() if requests else PING)
    return 0
