"""A curve in one line of text: a block for each value, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

_BLOCKS: Final = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float | None], low: float, high: float) -> str:
    """The values between ``low`` (above 0) and ``high``; a blank where one is not known.

    Several curves drawn with the same bounds can be laid beside each other.
    """
    span = math.log(high / low) or 1.0
    return "".join(
        " " if value is None else _BLOCKS[_step(math.log(value / low) / span)] for value in values
    )


def _step(share: float) -> int:
    return min(len(_BLOCKS) - 1, max(0, int(share * len(_BLOCKS))))
