"""Libraries that only reading WAL needs: the extra ``wal``. They are imported when first used."""

from __future__ import annotations

import importlib
from typing import Any, Final

from bench.wal.lsn import WalError

_PACKAGES: Final = {
    "google_crc32c": "google-crc32c",
    "lz4.block": "lz4",
    "zstandard": "zstandard",
}


def library(module: str) -> Any:
    """The module. Raises WalError, which names the package and the extra."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise WalError(
            f"reading WAL needs the package {_PACKAGES[module]}: install the extra wal"
            ' (pip install "walredo-bench[wal]", in a checkout ".[wal]")'
        ) from error
