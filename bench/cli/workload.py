"""``workload``: checks a file of requests, or makes one of a built-in workload or of WAL."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.cases.names import WORKLOADS, unknown
from bench.cli import from_wal
from bench.cli.options import add_flag, add_output_path, add_seed, say
from bench.errors import BenchError
from bench.results.suite_file import check_writable, write_atomically
from bench.running.equipment.workload_file import ENCODINGS, read_workload, write_workload
from bench.running.equipment.workloads import make_requests

EXAMPLES: Final = (
    "python -m bench workload check examples/requests.jsonl",
    "python -m bench workload write medium --encoding base64 | head -2",
    "python -m bench workload from-wal /var/lib/postgresql/15/main/pg_wal -o mine.jsonl",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(
        dest="action", metavar="ACTION", required=True, parser_class=type(parser)
    )
    check = actions.add_parser("check", help="say what is in a file, or what is wrong with it")
    check.add_argument("path", metavar="PATH", type=Path, help="lines of JSON (docs/extending.md)")
    write = actions.add_parser("write", help="a built-in workload in the format of such a file")
    write.add_argument("name", metavar="WORKLOAD", help=", ".join(WORKLOADS[1:]))
    add_output_path(write, "FILE", "default: stdout", ".jsonl")
    add_flag(write, "--force", "overwrite what is there")
    add_seed(write)
    write.add_argument(
        "--encoding",
        choices=ENCODINGS,
        default=ENCODINGS[0],
        help="of records and base images (default: %(default)s)",
    )
    from_wal.add_arguments(
        actions.add_parser("from-wal", help="the requests of a PostgreSQL cluster, from its WAL")
    )


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    if args.action == "write":
        _write(args)
        return 0
    if args.action == "from-wal":
        from_wal.execute(args, out, err)
        return 0
    found = read_workload(args.path)
    records = sum(len(request.records) for request in found.requests)
    say(
        out,
        f"{args.path}: {len(found.requests)} requests, {found.distinct} of them distinct,"
        f" {records} records, {found.wire_bytes} bytes on the wire",
    )
    return 0


def _write(args: argparse.Namespace) -> None:
    if args.name not in WORKLOADS:
        raise BenchError(unknown("workload", args.name, WORKLOADS))
    requests = make_requests(args.name, args.seed)
    if not requests:
        raise BenchError(f"{args.name} has no requests to write: choose another workload")
    lines = write_workload(requests, args.encoding)
    if args.output is None:
        sys.stdout.buffer.writelines(lines)
        return
    check_writable(args.output, is_forced=args.force)
    write_atomically(args.output, lines)
