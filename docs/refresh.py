"""Fills README and docs/ with what the kept results say: `make figures`.

The pictures in docs/images/ are of files in results/reference/, and so is what a command prints of
such a file, in blocks that begin with that command:

    ```console
    $ python -m bench show results/reference/NAME.json ...
    what it prints
    ```

or that follow it, where a reader would type another:

    <!-- python -m bench show results/reference/NAME.json ... -->
    ```text
    what it prints
    ```

The table of a result file's keys (docs/measures.md) is that of bench/results/keys.py, and the
picture of the rooms (docs/architecture.md) is that of tests/support/rooms.py.

With ``--check`` nothing is written; the exit status is 1 if something is not what the files say.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.results.keys import TABLE_BEGIN, with_table
from tests.support import rooms_picture

ROOT: Final = Path(__file__).resolve().parent.parent
PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
IMAGES: Final = ROOT / "docs" / "images"
REFERENCE: Final = ROOT / "results" / "reference"

PLOTS: Final[Mapping[str, tuple[str, ...]]] = {
    "default": ("-o", "{images}/default", "--only", "latency,throughput"),
    "tenants": ("-o", "{images}", "--only", "tenants"),
    "stall": ("-o", "{images}", "--only", "stall"),
    "admission": ("-o", "{images}", "--only", "admission"),
    "open-loop": ("-o", "{images}", "--only", "open-loop"),
    "lifecycle": ("-o", "{images}", "--only", "lifecycle"),
    "executor": ("-o", "{images}", "--only", "executor"),
    "fairness": ("-o", "{images}", "--only", "fairness"),
    "cpu": ("-o", "{images}", "--only", "cpu"),
    "published": ("-o", "{images}", "--only", "published,published-growth"),
    "tails": ("-o", "{images}", "--only", "tails"),
    "transport": ("-o", "{images}", "--only", "transport"),
}
"""How the pictures of a result file in REFERENCE are drawn."""

_COLUMNS: Final = "100"
_COLOURS: Final = ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE")
"""Variables that ask for colours also where nobody looks."""

_BLOCK: Final = re.compile(
    r"(?P<head>^```console\n\$ python -m bench (?P<shown>[^\n]*)\n"
    r"|^<!-- python -m bench (?P<hidden>[^\n]*) -->\n```text\n).*?^```$",
    re.DOTALL | re.MULTILINE,
)


class RefreshError(Exception):
    """What is missing, and the way to it: one line."""


def bench(*words: str) -> str:
    """What the command prints. Raises RefreshError."""
    done = subprocess.run(
        [sys.executable, "-m", "bench", *words],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": _COLUMNS, "TERM": "dumb", **dict.fromkeys(_COLOURS, "")},
        capture_output=True,
        text=True,
        check=False,
    )
    # selftest says by 1 that what it counted contradicts what is documented: so does the page then.
    if done.returncode and (done.returncode, words[0]) != (1, "selftest"):
        raise RefreshError(f"{shlex.join(words)}: {done.stderr.strip()}")
    return done.stdout


def pictures_of(name: str) -> list[tuple[Path, bytes]]:
    """Each picture of that result, and what it must be. Raises RefreshError."""
    result = REFERENCE / f"{name}.json"
    if not result.exists():
        raise RefreshError(
            f"no {result.relative_to(ROOT)}: results/README.md says how it is measured"
        )
    with tempfile.TemporaryDirectory() as folder:
        options = (option.format(images=folder) for option in PLOTS[name])
        bench("plot", str(result.relative_to(ROOT)), "--format", "svg", *options)
        return [(IMAGES / path.name, path.read_bytes()) for path in sorted(Path(folder).iterdir())]


def filled(page: Path) -> str:
    """The text of a page with its blocks filled. Raises RefreshError."""

    def block(found: re.Match[str]) -> str:
        printed = bench(*shlex.split(found["shown"] or found["hidden"])).rstrip().splitlines()
        return "\n".join((found["head"].rstrip("\n"), *map(str.rstrip, printed), "```"))

    text = page.read_text(encoding="utf-8")
    if TABLE_BEGIN in text:
        text = with_table(text)
    return _BLOCK.sub(block, text)


def wanted() -> Iterator[tuple[Path, bytes]]:
    """Every file that depends on the results, and what it must be. Raises RefreshError."""
    with tempfile.TemporaryDirectory() as folder:
        yield from (
            (IMAGES / path.name, path.read_bytes()) for path in rooms_picture.draw(Path(folder))
        )
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # each waits for a process
        for pictures in pool.map(pictures_of, PLOTS):
            yield from pictures
        for path, text in zip(PAGES, pool.map(filled, PAGES), strict=True):
            yield path, text.encode()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail if it would")
    check = parser.parse_args().check
    status = 0
    try:
        for path, content in wanted():
            if path.exists() and path.read_bytes() == content:
                continue
            name = path.relative_to(ROOT)
            if check:
                print(f"{name} is not what the results say: make figures")
                status = 1
            else:
                print(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    except (RefreshError, BenchError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return status


if __name__ == "__main__":
    sys.exit(main())
