"""What an interpreter is: asked in this process of its own, and as a program of any other.

As a program it prints the facts as JSON. It uses nothing that an interpreter too old for workers
lacks, or that could not say how old it is.
"""

import importlib.util
import json
import sys
import sysconfig


def facts() -> "dict[str, object]":
    """Implementation, version, whether built without the lock, and where its uvloop lies."""
    uvloop = importlib.util.find_spec("uvloop")
    return {
        "implementation": sys.implementation.name,
        "version": sys.version_info[:3],
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "uvloop": uvloop and uvloop.origin,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(facts()))
