"""Where things lie: the top folder of the project, and the folder that results go to."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
IS_CHECKOUT: Final = (ROOT / "pyproject.toml").exists()
"""Otherwise the suite is installed, among the libraries of some interpreter."""

MEASURED: Final = ("bench", "walredo", "fake_redo_child")
"""The folders of a checkout that are measured."""

RESULTS: Final = (ROOT if IS_CHECKOUT else Path.cwd()) / "results"
"""Where result files are written to and looked for, if no path is given."""
