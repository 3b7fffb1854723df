"""Imports, makes and checks a manager of the user, ``package.module:factory``.

Standard library and walredo only. A worker imports this module to measure such a manager. The suite
runs it as a program, on every interpreter of the workers, to check one before anything is measured.
docs/extending.md describes the interface.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # An isolated interpreter (-I) does not look for modules beside the file that it runs.
    sys.path.insert(0, __file__.rpartition("/bench/")[0])

import asyncio
import contextlib
import importlib
import inspect
import json
import traceback
from collections.abc import Sequence
from typing import Any, Final

from walredo import ManagerConfig

METHODS: Final = ("request_redo", "ping", "shutdown")


class OwnManagerError(Exception):
    """There is no such manager, or it lacks something. The message is the reason, in one line."""


def load_manager(name: str, path: Sequence[str], config: ManagerConfig) -> Any:
    """Makes the manager. Raises OwnManagerError.

    ``path``: folders to look in for its module, after all others.
    """
    sys.path.extend(folder for folder in path if folder not in sys.path)
    module_name, _, factory_name = name.partition(":")
    # A worker's replies go to standard output: the user's code must not print there.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            module = importlib.import_module(module_name)
        except Exception as error:
            problem = _import_problem(error, module_name, path)
            raise OwnManagerError(problem) from error
        factory = getattr(module, factory_name, None)
        if not callable(factory):
            problem = "is nothing that can be called" if factory is not None else "is not there"
            raise OwnManagerError(f"{factory_name} {problem} in {module_name}")
        try:
            manager = factory(config)
        except Exception as error:
            problem = f"{factory_name} makes none ({_told(error, path)}){_advice(error)}"
            raise OwnManagerError(problem) from error
    _check(manager)
    return manager


def is_async(manager: Any) -> bool:
    """Whether the manager's methods are awaited."""
    # Not judged by request_redo, which may also be a plain function that returns a future.
    return inspect.iscoroutinefunction(manager.shutdown)


def _check(manager: Any) -> None:
    kind = type(manager).__name__
    missing = [name for name in METHODS if not callable(getattr(manager, name, None))]
    if not hasattr(manager, "child_pid"):
        missing.append("child_pid")
    if missing:
        raise OwnManagerError(f"what it makes, of type {kind}, has no {', '.join(missing)}")
    ways = {name: inspect.iscoroutinefunction(getattr(manager, name)) for name in METHODS}
    if ways["ping"] != ways["shutdown"] or ways["request_redo"] > ways["shutdown"]:
        of_each = ", ".join(f"{name} {'async' if way else 'sync'}" for name, way in ways.items())
        raise OwnManagerError(f"what it makes, of type {kind}, must be of one kind, got {of_each}")


def _import_problem(error: Exception, module_name: str, path: Sequence[str]) -> str:
    if isinstance(error, ModuleNotFoundError) and f"{module_name}.".startswith(f"{error.name}."):
        return f"there is no module {error.name} in {path[0] if path else 'any folder'}"
    return f"its module cannot be imported ({_told(error, path)}){_advice(error)}"


def _advice(error: Exception) -> str:
    """What to say of an import that fails; nothing for another error."""
    if not isinstance(error, ImportError):
        return ""
    return (
        ": a worker runs on a bare interpreter (python -I -S), which has the standard library,"
        " walredo, what lies beside the module and what is on PYTHONPATH, but nothing that is"
        " installed"
    )


def _told(error: Exception, path: Sequence[str]) -> str:
    """The error, and the line of the user's code that it comes from."""
    place = _place(error, path)
    return _one_line(error) + (f", in {place}" if place else "")


def _place(error: Exception, path: Sequence[str]) -> str | None:
    """As ``/path/mine.py, line 3: import numpy``; None if it is in no file of the user's.

    A file of theirs is one in these folders. Of several lines it is the innermost.
    """
    if isinstance(error, SyntaxError):
        return None  # which tells file and line itself
    folders = tuple(f"{folder}/" for folder in path)
    of_user = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith(folders) and frame.filename != __file__
    ]
    if not of_user:
        return None
    frame = of_user[-1]
    return f"{frame.filename}, line {frame.lineno}: {frame.line}"


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _probe(name: str, path: Sequence[str]) -> dict[str, str]:
    """Makes the manager and shuts it down. Without a redo, no child is launched."""
    try:
        manager = load_manager(name, path, ManagerConfig(child_command=("/nowhere",)))
        if is_async(manager):
            asyncio.run(manager.shutdown())
        else:
            manager.shutdown()
    except OwnManagerError as error:
        return {"problem": str(error)}
    except Exception as error:  # noqa: BLE001 - any error of the user's code is a problem to report
        return {"problem": f"what it makes cannot be shut down ({_one_line(error)})"}
    module = sys.modules[name.partition(":")[0]]
    return {"file": str(module.__file__), "kind": "async" if is_async(manager) else "sync"}


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(_probe(sys.argv[1], sys.argv[2:])))
