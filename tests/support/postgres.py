"""A PostgreSQL cluster of one's own: in a temporary folder, behind a socket there, for one test.

PostgreSQL refuses to run as root: then everything here runs as the user postgres.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_USER: Final = "postgres"
_LIMIT_S: Final = 120
_SETTINGS: Final = {
    "listen_addresses": "",
    "autovacuum": "off",
    "fsync": "off",
    "shared_buffers": "16MB",
    "checkpoint_timeout": "1h",
    "max_wal_size": "2GB",
    "wal_keep_size": "2GB",
}


def programs() -> Path | None:
    """The folder of initdb, postgres and pgbench of the newest version that is there."""
    found = sorted(
        (path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()),
        key=lambda path: float(path.parent.name),
    )
    if found:
        return found[-1]
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


def why_not() -> str | None:
    """Why no cluster can be made here; None if one can."""
    if programs() is None:
        return "PostgreSQL is not installed (Debian: apt-get install postgresql)"
    if os.geteuid() == 0 and not any(entry.pw_name == _USER for entry in pwd.getpwall()):
        return f"PostgreSQL does not run as root, and there is no user {_USER}"
    return None


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster. ``folder``: the socket is there too."""

    bin: Path
    folder: Path

    @property
    def wal(self) -> Path:
        return self.folder / "data" / "pg_wal"

    def run(
        self,
        program: str,
        *words: str,
        session: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> str:
        """The output of a program of PostgreSQL. ``session``: settings of its sessions."""
        options = " ".join(f"-c {name}={value}" for name, value in (session or {}).items())
        environment = {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C",
            "PGHOST": str(self.folder),
            "PGDATABASE": "postgres",
            "PGUSER": _USER,
            "PGOPTIONS": options,
        }
        ended = subprocess.run(
            [self.bin / program, *words],
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
            user=_USER if os.geteuid() == 0 else None,
            group=_USER if os.geteuid() == 0 else None,
            extra_groups=[] if os.geteuid() == 0 else None,
        )
        assert not check or ended.returncode == 0, ended.stderr
        return ended.stdout

    def sql(self, *statements: str, session: Mapping[str, str] | None = None) -> str:
        """What psql prints for them, without headers, columns separated by ``|``."""
        words = (word for statement in statements for word in ("-c", statement))
        return self.run("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", *words, session=session).strip()


@contextmanager
def cluster(*initdb: str) -> Iterator[Cluster]:
    """A new cluster, stopped and removed at the end. ``initdb``: further options of initdb."""
    bin_ = programs()
    assert bin_ is not None
    # Short, as the path of a socket is; and reachable for the other user, as pytest's folders
    # are not.
    with tempfile.TemporaryDirectory(prefix="wal-", dir="/tmp") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, _USER, _USER)
        made = Cluster(bin_, folder)
        data = str(folder / "data")
        made.run("initdb", "-D", data, "-U", _USER, "-A", "trust", "-N", *initdb)
        settings = _SETTINGS | {"unix_socket_directories": name}
        with (folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{key} = '{value}'\n" for key, value in settings.items())
        made.run("pg_ctl", "-D", data, "-l", str(folder / "log"), "-w", "start")
        try:
            yield made
        finally:
            made.run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
