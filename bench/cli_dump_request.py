"""``dump-request``: one whole request in wire format, for programs in other languages."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from bench.errors import BenchError
from bench.names import WORKLOADS, unknown
from bench.workloads import DISTINCT_REQUESTS, make_requests
from walredo.wire import PING


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("workload", metavar="WORKLOAD", help=", ".join(WORKLOADS))
    parser.add_argument("--seed", type=int, default=1, metavar="K", help="default: %(default)s")
    parser.add_argument(
        "--index",
        type=int,
        default=0,
        metavar="I",
        help=f"which of the workload's {DISTINCT_REQUESTS} requests (default: %(default)s)",
    )


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    if args.workload not in WORKLOADS:
        raise BenchError(unknown("workload", args.workload, WORKLOADS))
    if not 0 <= args.index < DISTINCT_REQUESTS:
        raise BenchError(f"--index {args.index}: expected 0 to {DISTINCT_REQUESTS - 1}")
    if sys.stdout.isatty():
        raise BenchError("a request is binary: redirect it to a file or a program")
    requests = make_requests(args.workload, args.seed)
    sys.stdout.buffer.write(requests[args.index].serialise() if requests else PING)
    return 0
