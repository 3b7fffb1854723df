"""``workload from-wal``: the requests of a PostgreSQL cluster, as a file that `run` takes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.cli.options import add_flag, add_output_path, add_seed, count, say
from bench.cli.progress import StatusLine
from bench.errors import BenchError
from bench.results.suite_file import check_writable, write_atomically
from bench.running.equipment.workload_file import MAX_FILE_BYTES, MAX_REQUESTS, write_workload
from bench.running.equipment.workloads import percentiles, size_of
from bench.wal.capture import Capture, Captured, Choice, capture
from bench.wal.chains import IMAGES
from bench.wal.lsn import lsn_text, parse_lsn
from walredo import RedoRequest

_LAST: Final = "last"
_ANY: Final = "any"
_MAX_BYTES: Final = MAX_FILE_BYTES // 2
"""On the wire: base64 takes a third more, and names, tags and LSNs of small records the rest."""

_DRAW_BYTES: Final = 8 << 20
"""The line of progress is drawn each time so many bytes were read."""

_PERCENTS: Final = (50, 90, 99, 100)
_HEADS: Final = ("p50", "p90", "p99", "max")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="PG_WAL_DIR", type=Path, help="pg_wal of a cluster")
    parser.add_argument(
        "--from",
        dest="start",
        metavar="LSN",
        help="default: the first redo LSN of a checkpoint in this WAL",
    )
    parser.add_argument("--to", dest="stop", metavar="LSN", help="default: where the WAL ends")
    parser.add_argument("--timeline", type=int, metavar="N", help="default: the only one")
    parser.add_argument(
        "--images",
        choices=IMAGES,
        default=IMAGES[0],
        help="a page image stays in its record, or becomes the base image (default: %(default)s)",
    )
    parser.add_argument(
        "--reads",
        metavar="last|any:N",
        default=_LAST,
        help="read each changed page once, or after N changes drawn at random (default: last)",
    )
    add_seed(parser)
    parser.add_argument(
        "--most",
        type=int,
        default=MAX_REQUESTS,
        metavar="N",
        help="of more requests a sample is taken (default: %(default)s)",
    )
    add_output_path(parser, "FILE", "the file to write (required)", ".jsonl")
    add_flag(parser, "--force", "overwrite what is there")


def execute(args: argparse.Namespace, out: Console, err: Console) -> None:
    if args.output is None:
        raise BenchError("-o FILE is missing: name the file to write, as -o mine.jsonl")
    choice = Choice(
        args.folder,
        _lsn("--from", args.start),
        _lsn("--to", args.stop),
        args.timeline,
        args.images,
        _points(args.reads),
        args.seed,
        _number("--most ", args.most),
        _MAX_BYTES,
    )
    check_writable(args.output, is_forced=args.force)
    tally = _Tally()
    with StatusLine(err) as line:
        found = capture(choice, _drawing(line))
        requests = tally.of(found.requests)
        write_atomically(args.output, write_workload(requests, "base64"))
    for text in _told(found, tally, choice, args.output):
        say(out, text)


class _Tally:
    """``sizes``: of the requests that went through it; ``image_only``: how many have no more."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []
        self.image_only = 0

    def of(self, found: Iterable[Captured]) -> Iterator[RedoRequest]:
        for request, is_image_only in found:
            self.sizes.append(size_of(request))
            self.image_only += is_image_only
            yield request


def _lsn(option: str, text: str | None) -> int | None:
    try:
        return None if text is None else parse_lsn(text)
    except ValueError as error:
        raise BenchError(f"{option} {error}") from error


def _points(reads: str) -> int | None:
    kind, _, number = reads.partition(":")
    if reads == _LAST:
        return None
    if kind != _ANY or not number.isdecimal():
        raise BenchError(f"--reads {reads}: expected last, or any:N with N page reads")
    return _number("--reads any:", int(number))


def _number(option: str, number: int) -> int:
    """``option``: with what is before the number."""
    if not 1 <= number <= MAX_REQUESTS:
        raise BenchError(f"{option}{number}: expected 1 to {MAX_REQUESTS} requests")
    return number


def _drawing(line: StatusLine) -> Callable[[int, int], None]:
    drawn = -_DRAW_BYTES

    def draw(done: int, total: int) -> None:
        nonlocal drawn
        if drawn < 0:
            line.begin(total)
        if done - drawn >= _DRAW_BYTES:
            drawn = done
            line.update(total=total, done=done)
            line.draw(f"{done >> 20} of at most {total >> 20} MiB of WAL")

    return draw


def _told(found: Capture, tally: _Tally, choice: Choice, path: Path) -> Sequence[str]:
    """What there is to say about a capture, in lines."""
    wal = found.wal
    segments = f"{wal.segment_bytes >> 20} MiB segments"
    pages = "page" if choice.points is None else "page read"
    sampled = f", drawn from {found.offered}" if found.offered > found.count else ""
    if found.is_cut:
        sampled += f" (more do not fit into {choice.most_bytes >> 20} MiB)"
    return (
        f"PostgreSQL {wal.version}, timeline {wal.timeline}, {segments}",
        f"from {lsn_text(found.start)}: {found.start_note}",
        f"to {lsn_text(found.end)}: {found.reason}",
        f"{count(found.records, 'record')}; {found.unknown} references to pages whose base is"
        " unknown (left out)",
        f"{count(found.count, 'request')}, each a {pages}{sampled};"
        f" {tally.image_only} of them an image only",
        *_table(tally.sizes),
        f"{path}: holds rows of the database",
    )


def _table(sizes: Sequence[tuple[int, int]]) -> Sequence[str]:
    """Records and bytes on the wire per request, by nearest rank."""
    lines = [f"{'per request':<12}" + "".join(f"{head:>10}" for head in _HEADS)]
    for name, values in percentiles(sizes, _PERCENTS).items():
        lines.append(f"{name:<12}" + "".join(f"{value:>10,}" for value in values))
    return lines
