"""What is printed, as text."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any

from rich.console import Console

from bench.results.summary import Summary
from bench.show.summary import print_summary
from tests.support.synthetic import reading


def printed(print_it: Callable[[Console], object], width: int = 100) -> str:
    """What it prints into a pipe of that width."""
    file = io.StringIO()
    print_it(Console(file=file, width=width))
    return file.getvalue()


def shown(summary: Summary, width: int = 100, **options: Any) -> str:
    """What `show` prints of a result; ``options`` are those of `print_summary`."""
    return printed(partial(print_summary, reading(summary), **options), width)
