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
            problem = f"its module cannot be imported ({_one_line(error)})"
            raise OwnManagerError(problem) from error
        factory = getattr(module, factory_name, None)
        if not callable(factory):
            problem = "is nothing that can be called" if factory is not None else "is not there"
            raise OwnManagerError(f"{factory_name} {problem} in {module_name}")
        try:
            manager = factory(config)
        except Exception as error:
            problem = f"{factory_name} makes none ({_one_line(error)})"
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
