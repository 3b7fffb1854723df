"""Runs a command while this user's pipes use up nearly all that they may hold.

A program of its own, on any interpreter: held_pipes.py COMMAND... It leaves room for the two pipes
of one manager, but not for those of two. Its exit status is the command's, or `NOT_HELD`.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys

LARGE_BYTES = 1 << 20
FREED = 3
"""So many pipes of a manager's size have room again."""
NOT_HELD = 77
"""The kernel grants every pipe its size: the user is privileged, or there is no limit."""
MOST = 4000


def hold() -> bool:
    """Holds pipes until this process ends; False if the kernel refuses none, or none are left."""
    held: list[tuple[int, int]] = []
    try:
        while len(held) < MOST:
            ends = os.pipe()
            try:
                fcntl.fcntl(ends[0], fcntl.F_SETPIPE_SZ, LARGE_BYTES)
            except PermissionError:
                for pipe in (ends, *held[-FREED:]):
                    for end in pipe:
                        os.close(end)
                return len(held) >= FREED
            held.append(ends)
    except OSError as error:
        print(error, file=sys.stderr)
    return False


if __name__ == "__main__":
    sys.exit(subprocess.run(sys.argv[1:], check=False).returncode if hold() else NOT_HELD)
