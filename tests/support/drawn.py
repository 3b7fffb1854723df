"""What is in a figure: the data of its lines."""

from __future__ import annotations

import numpy as np
from matplotlib.lines import Line2D


def xs(line: Line2D) -> list[float]:
    """Where the points of a line are."""
    return [float(x) for x in np.asarray(line.get_xdata())]


def ys(line: Line2D) -> list[float]:
    """How high they are."""
    return [float(y) for y in np.asarray(line.get_ydata())]
