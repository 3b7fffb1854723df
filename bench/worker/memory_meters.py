"""How much memory another process has. Standard library only; Linux's /proc."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def memory_bytes(pid: int) -> Mapping[str, int]:
    """``rss_bytes``: what is resident; ``pss_bytes``: the same, pages that k processes share
    counted as a k-th. Empty where the kernel does not tell."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, PermissionError):
        return {}
    fields = {name: value for name, _, value in (line.partition(":") for line in lines)}
    return {
        f"{name.lower()}_bytes": int(fields[name].split()[0]) * 1024
        for name in ("Rss", "Pss")
        if name in fields
    }
