"""That these tests run over the build of walredo that was asked for."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import pytest

import walredo
from bench.places import ROOT
from bench.running.equipment.compiled_core import MODULES

FOLDER = Path(os.environ.get("COMPILED_CORE") or ROOT)
"""Where walredo is to come from: `make test-compiled` sets it."""


def test_walredo_is_that_of_the_folder() -> None:
    assert Path(walredo.__file__).parent == FOLDER / "walredo"


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_compiled_or_not(name: str) -> None:
    module = importlib.import_module(f"walredo.{name.replace('/', '.')}")
    assert str(module.__file__).endswith(".py") == (FOLDER == ROOT)
