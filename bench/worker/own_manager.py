"""Managers of the user's, ``package.module:factory``: imported, made and checked.

Standard library and walredo only: a worker does it to measure one, and as a program on an
interpreter of the workers' it says of one what it is. docs/extending.md has the interface.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # Run as a file by an isolated interpreter, which looks for nothing beside it.
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
    """There is no such manager, or it is none; the message says why in one line."""


def load_manager(name: str, path: Sequence[str], config: ManagerConfig) -> Any:
    """Makes the manager; ``path``: folders to look in for its module, after all others.

    Raises OwnManagerError.
    """
    sys.path.extend(folder for folder in path if folder not in sys.path)
    module_name, _, factory_name = name.partition(":")
    # Standard output is where a worker answers.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            module = importlib.import_module(module_name)
        except Exception as error:
            problem = f"its module cannot be imported ({_said(error)})"
            raise OwnManagerError(problem) from error
        factory = getattr(module, factory_name, None)
        if not callable(factory):
            problem = "is nothing that can be called" if factory is not None else "is not there"
            raise OwnManagerError(f"{factory_name} {problem} in {module_name}")
        try:
            manager = factory(config)
        except Exception as error:
            problem = f"{factory_name} makes none ({_said(error)})"
            raise OwnManagerError(problem) from error
    _check(manager)
    return manager


def is_async(manager: Any) -> bool:
    """Whether it is awaited. Its ``request_redo`` need not be a coroutine function for that: it may
    as well be one that returns a future."""
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


def _said(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _probe(name: str, path: Sequence[str]) -> dict[str, str]:
    """Makes the manager and shuts it down, without a redo: so no child is launched."""
    try:
        manager = load_manager(name, path, ManagerConfig(child_command=("/nowhere",)))
        if is_async(manager):
            asyncio.run(manager.shutdown())
        else:
            manager.shutdown()
    except OwnManagerError as error:
        return {"problem": str(error)}
    except Exception as error:  # noqa: BLE001 - of the user's code: said in one line
        return {"problem": f"what it makes cannot be shut down ({_said(error)})"}
    module = sys.modules[name.partition(":")[0]]
    return {"file": str(module.__file__), "kind": "async" if is_async(manager) else "sync"}


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(_probe(sys.argv[1], sys.argv[2:])))
