"""A redo child that misbehaves at a given request; standalone, run by tests.

usage: misbehaving_child.py FAULT [AT [STATE_FILE]]    AT: which request, from 1 (default 1)

With STATE_FILE only the first process to get there misbehaves; those after it behave.
"""

import os
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from fake_redo_child.child.python_child import redo_page  # noqa: E402
from fake_redo_child.child.shared_streams import SharedStreams  # noqa: E402
from walredo.request import RedoRequest, parse_requests  # noqa: E402

shared = None
if sys.argv[-2] == "--shared-memory":  # the manager appends it
    shared = SharedStreams(int(sys.argv[-1]))
    del sys.argv[-2:]
fault = sys.argv[1]
at = int(sys.argv[2]) if len(sys.argv) > 2 else 1
state = Path(sys.argv[3]) if len(sys.argv) > 3 else None


unread = b""


def read_exactly(size: int) -> bytes:
    global unread
    while len(unread) < size:
        more = os.read(0, 65536) if shared is None else shared.read()
        if not more:
            sys.exit(0)
        unread += more
    data, unread = unread[:size], unread[size:]
    return data


def read_request() -> RedoRequest | None:
    """The next request; None for a ping."""
    stream = b""
    while True:
        header = read_exactly(5)
        body = read_exactly(int.from_bytes(header[1:], "big") - 4)
        stream += header + body
        if header[:1] == b"H":
            return None
        if header[:1] == b"G":
            return next(parse_requests(stream))


def write(data: bytes) -> None:
    if shared is not None:
        shared.write(data)
        return
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def is_my_turn() -> bool:
    if state is None:
        return True
    try:
        state.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def misbehave(page: bytes) -> None:
    match fault:
        case "exit":
            sys.exit(3)
        case "half-then-exit":
            write(page[:4000])
            sys.exit(3)
        case "answer-then-exit":
            write(page)
            sys.exit(0)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(3600)
        case "half-then-hang":
            write(page[:4000])
            time.sleep(3600)
        case "drip":
            for byte in page:
                write(bytes([byte]))
                time.sleep(0.05)
        case "twice":
            write(page + page)
        case "close-stdout":
            os.close(1)
            time.sleep(3600)
        case "stderr-flood":
            os.write(2, b"x" * (1 << 20))
            os.write(2, b"LOG: a line\n" * 50_000)
            write(page)
        case "environment":
            # The last is that of looking.
            fds = sorted(int(path.name) for path in Path("/proc/self/fd").iterdir())[:-1]
            text = f"env {sorted(set(os.environ) - {'LC_CTYPE'})} fds {fds}\n"
            os.write(2, text.encode())
            write(page)
        case _:
            sys.exit(f"unknown fault {fault}")


def main() -> None:
    count = 0
    while True:
        request = read_request()
        if request is None:
            write(bytes(8192))
            continue
        count += 1
        records = [(r.end_lsn, r.data) for r in request.records]
        page = redo_page(request.tag.fields, request.base_image, records)
        poisonous = fault == "poison" and request.tag.block == at
        if poisonous:
            sys.exit(4)
        if count == at and fault != "poison" and is_my_turn():
            misbehave(page)
        else:
            write(page)


main()
