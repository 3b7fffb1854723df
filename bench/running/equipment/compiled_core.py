"""The compiled core: a copy of walredo whose hot modules are compiled, for ``--build mypyc``.

``make compiled-core`` makes it (`compile_core`) in a folder outside the package, which only the
workers of such cases have on their path. The folder's name has a hash of the sources and the
interpreter, so a copy of other sources is never found. Standard library only.
"""

from __future__ import annotations

import hashlib
import sys
import sysconfig
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.cases.names import MYPYC, THIS_PYTHON
from bench.errors import BenchError
from bench.places import ROOT

SOURCES: Final = ROOT / "walredo"
CORES: Final = ROOT / "build" / "compiled-core"

MODULES: Final = (
    "async_session",
    "pipeline",
    "session",
    "spin",
    "status",
    "sync_session",
    "transport/pipes",
    "transport/ring",
    "transport/shared_memory",
    "wire",
)
"""What is compiled: what a redo runs through. Not the managers, whose coroutines gain nothing
(and asyncio cannot show where a compiled one waits). Not `request`, which takes any iterable where
a compiled class takes what is annotated. Not what launches and ends children.

An error that a compiled module raises has no ``__cause__``: mypyc ignores ``raise ... from``."""

FLAGS: Final = ("--strict",)
"""Of mypyc. The C compiler gets those of the interpreter, with -O3."""

_KEY_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class CompiledCore:
    """``folder``: what a worker imports walredo from."""

    folder: Path
    key: str
    modules: tuple[str, ...]

    @property
    def description(self) -> str:
        """For a result file."""
        return f"{self.key}: {', '.join(self.modules)}"


def core_of(
    sources: Path = SOURCES, modules: tuple[str, ...] = MODULES, cores: Path = CORES
) -> CompiledCore:
    """The core of these sources for this interpreter, whether it exists or not."""
    digest = hashlib.sha256()
    for part in (sys.version, sysconfig.get_config_var("EXT_SUFFIX"), *FLAGS, *modules):
        digest.update(f"{part}\0".encode())
    for path in sorted(sources.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(sources)}\0{len(content)}\0".encode() + content)
    key = digest.hexdigest()[:_KEY_DIGITS]
    return CompiledCore(cores / f"{sys.implementation.cache_tag}-{key}", key, modules)


def find_core(pythons: Collection[str]) -> CompiledCore:
    """The core of the sources as they are, for workers on these interpreters (labels of cases).

    Raises BenchError if it has not been made.
    """
    if other := sorted(set(pythons) - {THIS_PYTHON}):
        raise BenchError(
            f"--build {MYPYC}: the compiled core is for the suite's own interpreter: leave out"
            f" --python {','.join(other)}"
        )
    core = core_of()
    if not core.folder.is_dir():
        stale = " of these sources" if CORES.is_dir() and any(CORES.iterdir()) else ""
        raise BenchError(
            f"--build {MYPYC}: there is no compiled core{stale}: `make compiled-core` makes it"
        )
    return core
