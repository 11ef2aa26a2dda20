"""The curve of true against false alarms, short enough to be drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["roc"]

_POINTS = 200


def roc(label: NDArray[np.integer[Any]], score: NDArray[np.float64]) -> dict[str, list[float]]:
    """Return the ROC of scores ``[case]`` against labels of 1 and 0: ``x`` false, ``y`` true alarms.

    >>> roc(np.array([0, 1]), np.array([0.1, 0.9]))
    {'x': [0.0, 0.0, 1.0], 'y': [0.0, 1.0, 1.0]}
    """
    order = np.argsort(-score, kind="stable")
    odd = (label[order] == 1).astype(np.float64)
    last = np.flatnonzero(np.r_[np.diff(score[order]) != 0, True])  # ties are one step
    true, false = np.cumsum(odd)[last], np.cumsum(1 - odd)[last]
    if len(last) > _POINTS:
        kept = np.unique(np.linspace(0, len(last) - 1, _POINTS).round().astype(np.int64))
        true, false = true[kept], false[kept]
    x, y = false / max(float(false[-1]), 1.0), true / max(float(true[-1]), 1.0)
    return {"x": np.r_[0.0, x].round(4).tolist(), "y": np.r_[0.0, y].round(4).tolist()}
