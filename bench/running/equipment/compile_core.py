"""Compiles the hot modules of walredo with mypyc: ``make compiled-core`` runs this module.

mypyc, which comes with mypy, turns annotated Python into C and has setuptools compile that. It gets
the sources exactly as they are; what is compiled stays beside them in the copy.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.running.equipment.compiled_core import (
    CORES,
    FLAGS,
    MODULES,
    SOURCES,
    CompiledCore,
    core_of,
)
from fake_redo_child.build import Compiler, CompilerMissing, find_compiler

_SETUP: Final = """\
from mypyc.build import mypycify
from setuptools import setup

setup(
    name="walredo-compiled-core",
    packages=[],
    ext_modules=mypycify({arguments!r}, opt_level="3", group_name="walredo_core"),
)
"""
_SHOWN_LINES: Final = 3


def compile_core(
    sources: Path = SOURCES, modules: tuple[str, ...] = MODULES, cores: Path = CORES
) -> CompiledCore:
    """Compiles these modules of the package, unless that has been done. Takes half a minute.

    Several processes may do it at once: each compiles in a folder of its own, and renames that.
    Raises BenchError if something is missing that it needs, or if compiling fails.
    """
    core = core_of(sources, modules, cores)
    if core.folder.is_dir():
        return core
    compiler = _check_tools()
    try:
        cores.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cores, prefix=".") as scratch:
            made = Path(scratch, core.folder.name)
            _compile(core, sources, made, Path(scratch, "c"), compiler)
            try:
                made.rename(core.folder)
            except OSError:
                if not core.folder.is_dir():  # else another process was faster
                    raise
    except OSError as error:
        raise BenchError(f"{cores}: {error.strerror or error}") from error
    return core


def _check_tools() -> Compiler:
    """The C compiler. Raises BenchError if it or anything else is missing."""
    for name in ("mypyc", "setuptools"):
        if importlib.util.find_spec(name) is None:
            raise BenchError(f"{name} is not installed: `make compiled-core` installs it")
    try:
        compiler = find_compiler()
    except CompilerMissing as error:
        raise BenchError(
            f"no C compiler (looked for {', '.join(error.looked_for)}): install one"
        ) from error
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.exists():
        raise BenchError(
            f"there is no {header}: install the headers of this Python (Debian, Ubuntu: apt-get"
            " install python3-dev)"
        )
    return compiler


def _compile(
    core: CompiledCore, sources: Path, folder: Path, scratch: Path, compiler: Compiler
) -> None:
    """Makes the copy in the folder; what else arises is left in ``scratch``. Raises BenchError."""
    shutil.copytree(sources, folder / sources.name, ignore=shutil.ignore_patterns("__pycache__"))
    scratch.mkdir()
    arguments = [*FLAGS, *(f"{sources.name}/{name}.py" for name in core.modules)]
    setup = scratch / "setup.py"
    setup.write_text(_SETUP.format(arguments=arguments), encoding="utf-8")
    build = ("build_ext", "--inplace", f"--build-temp={scratch}", f"--build-lib={scratch}")
    done = subprocess.run(
        [sys.executable, "-P", str(setup), *build],
        cwd=folder,
        env={**os.environ, "CC": shlex.join(compiler.command)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if "error" in line.lower()]
        said = " | ".join((lines or done.stdout.splitlines())[:_SHOWN_LINES])
        raise BenchError(f"{sources.name} cannot be compiled with mypyc: {said}")
    for left in ("build", ".mypy_cache"):
        shutil.rmtree(folder / left, ignore_errors=True)


def main() -> int:
    """Compiles the core and says where it is; returns the exit status."""
    try:
        core = compile_core()
    except BenchError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(f"{core.folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
