"""``workload``: checks a file of requests, or writes a built-in workload as such a file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.cases.names import WORKLOADS, unknown
from bench.cli.options import add_flag, add_output_path, say
from bench.errors import BenchError
from bench.results.suite_file import check_no_result
from bench.running.equipment.workload_file import ENCODINGS, read_workload, write_workload
from bench.running.equipment.workloads import make_requests

EXAMPLES: Final = (
    "python -m bench workload check examples/requests.jsonl",
    "python -m bench workload write short -o short.jsonl",
    "python -m bench workload write medium --encoding base64 | head -2",
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
    write.add_argument("--seed", type=int, default=1, metavar="K", help="default: %(default)s")
    write.add_argument(
        "--encoding",
        choices=ENCODINGS,
        default=ENCODINGS[0],
        help="of records and base images (default: %(default)s)",
    )


def execute(args: argparse.Namespace, out: Console, err: Console) -> int:
    if args.action == "write":
        _write(args)
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
    check_no_result(args.output)
    try:
        with args.output.open("wb" if args.force else "xb") as file:
            file.writelines(lines)
    except FileExistsError as error:
        raise BenchError(f"{args.output}: is there already: overwrite it (--force)") from error
    except OSError as error:
        raise BenchError(f"{args.output}: cannot be written ({error.strerror})") from error
