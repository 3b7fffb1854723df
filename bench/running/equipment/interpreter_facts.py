"""Describes an interpreter. The suite imports this for its own, and runs it on any other.

As a program it prints the facts as JSON. It uses only what old interpreters have as well, so that
one that is too old for workers can still report its version.
"""

import importlib.util
import json
import sys
import sysconfig


def facts() -> "dict[str, object]":
    """Implementation, version, whether it is free-threaded, and where its uvloop is."""
    uvloop = importlib.util.find_spec("uvloop")
    return {
        "implementation": sys.implementation.name,
        "version": sys.version_info[:3],
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "uvloop": uvloop and uvloop.origin,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(facts()))
