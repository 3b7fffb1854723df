"""What an ordinary user meets whose pipes use up what the kernel allows them.

As root the tests give up root: privileged users have no limit. The user that they become is no
other's, so nobody else's pipes count. It keeps the right to read every file, since the code and the
interpreter may be readable for their owner only. What git looks at must be its own, as access(2)
does not know of that right.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bench.cases.case import Case
from bench.cases.config import Config, load_profile
from bench.errors import BenchError
from bench.places import ROOT
from bench.results.record import RunRecord
from bench.running import ab
from bench.running.ab import Side, measure_pair
from bench.running.snapshots import Snapshot
from tests.support.checkouts import make_checkout
from tests.support.held_pipes import NOT_HELD
from tests.support.synthetic import steady_record, with_pipes

UID = 50_000 + os.getpid() % 10_000
KEPT = "-all,+dac_override,+dac_read_search"
CASE = Case("async", "short", 2)


def ordinary_user() -> list[str]:
    """What makes a command one of a user without privilege; nothing if this user has none."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("root, and there is no setpriv to become an ordinary user")
    became = [setpriv, f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
    became += [f"--{kind}={KEPT}" for kind in ("inh-caps", "ambient-caps", "bounding-set")]
    tried = subprocess.run([*became, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"root may not become an ordinary user here: {tried.stderr.strip()}")
    return became


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder that the ordinary user can reach, which those of pytest are not."""
    with tempfile.TemporaryDirectory(prefix="walredo-pipes-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def with_pipes_used_up(
    command: Sequence[str], folder: Path, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Runs the command as an ordinary user, who then owns the folder and what is in it."""
    became = ordinary_user()
    scratch = folder / "scratch"
    scratch.mkdir()
    if became:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, UID, UID, follow_symlinks=False)
    done = subprocess.run(
        [*became, sys.executable, str(ROOT / "tests/support/held_pipes.py"), *command],
        cwd=cwd,
        env={**os.environ, **dict.fromkeys(("HOME", "TMPDIR"), str(scratch))},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    if done.returncode == NOT_HELD:
        pytest.skip(f"the pipes of a user have no limit that can be reached here {done.stderr}")
    return done


def processes_of(uid: int) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if path.stat().st_uid == uid:
                found.append((path / "cmdline").read_text().replace("\0", " "))
    return found


def test_check_sees_that_pipes_are_refused_their_size(folder: Path) -> None:
    done = with_pipes_used_up([sys.executable, "-m", "bench", "check", "--json"], folder)
    assert done.returncode == 1, done.stderr
    (finding,) = (one for one in json.loads(done.stdout)["findings"] if one["kind"] == "pipes")
    assert finding["severity"] == "disturbs"
    assert "this user's pipes use up fs.pipe-user-pages-" in finding["text"]
    assert finding["command"].startswith("sudo sysctl fs.pipe-user-pages-")


def test_ab_stops_where_its_sides_get_other_pipes(folder: Path) -> None:
    checkout = make_checkout(folder / "own")
    done = with_pipes_used_up(
        [
            *(sys.executable, "-m", "bench", "ab", "HEAD", "HEAD", "--manager", "async"),
            *("--workload", "short", "--clients", "2", "--child", "python", "--placement", "any"),
            *("--seconds", "0.05", "--slices", "2", "--warmup-s", "0.01", "--minutes", "0.01"),
            *("-o", str(folder / "x")),
        ],
        folder,
        cwd=checkout,
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    *before, said = done.stderr.splitlines()
    assert said.startswith("walredo-bench: base has pipes of 1048576 ")
    assert ": this user's pipes use up fs.pipe-user-pages-" in said
    assert any(line.startswith("machine: ") and "pipes of " in line for line in before)
    # Nothing is left: no file, no snapshot, no worker.
    assert sorted(path.name for path in folder.iterdir()) == ["own", "scratch"]
    assert list((folder / "scratch").iterdir()) == []
    if os.geteuid() == 0:
        assert processes_of(UID) == []


class MadeUpRun:
    """A run that takes no time. ``ended``: how many have been left."""

    ended = 0
    records: list[RunRecord]

    def __init__(self, *_: object, **__: object) -> None:
        self._record = self.records.pop(0)

    def __enter__(self) -> MadeUpRun:
        return self

    def __exit__(self, *_: object) -> None:
        type(self).ended += 1

    def warm_up(self, _: Config) -> float:
        return 0.1

    def slice(self, seconds: float) -> None:
        pass

    def end(self) -> RunRecord:
        return self._record


@pytest.mark.parametrize(
    ("base", "changed", "says"),
    [
        ((1 << 20,), (1 << 20,), None),
        ((65536,), (65536,), None),
        (None, (65536,), None),
        ((1 << 20,), (65536,), "base has pipes of 1048576 bytes, changed of 65536: "),
        ((8192, 65536), (65536,), "base has pipes of 8192 to / 65536 from bytes, changed of 65536"),
    ],
)
def test_both_sides_of_a_pair_must_have_the_same_pipes(
    base: tuple[int, ...] | None,
    changed: tuple[int, ...],
    says: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = steady_record(CASE)
    records = [with_pipes(plain, *sizes) if sizes else plain for sizes in (base, changed)]
    monkeypatch.setattr(ab, "Run", MadeUpRun)
    monkeypatch.setattr(MadeUpRun, "records", [*records], raising=False)
    monkeypatch.setattr(MadeUpRun, "ended", 0)
    nothing: Any = None
    sides = (Side(Snapshot(ROOT, None, dirty=True), nothing),) * 2
    try:
        pair = measure_pair(CASE, 0, load_profile("quick"), sides, random.Random(1))
    except BenchError as error:
        assert says is not None, error
        assert str(error).startswith(says)
        assert "\n" not in str(error)
    else:
        assert says is None
        assert pair == tuple(records)
    assert MadeUpRun.ended == 2
