"""Bands that keep their promise live: each stream's is widened or narrowed by what it missed lately."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervure.core.adaptive import adapt, widened
from nervure.core.residual import Issued

__all__ = ["Bands"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]

RATE = 0.02
_LEADS = 4


class Bands:
    """The widening of each node's bands, and the forecasts it is still to be judged by.

    Judged at up to four leads spread over the horizon, by the widening as it stands when the
    reading comes. ``promised`` is the share of readings that may lie outside.
    """

    def __init__(self, nodes: int, horizon: int, promised: float) -> None:
        leads = sorted({int(one) for one in np.linspace(1, horizon, _LEADS).round()})
        self.promised = promised
        self.widening: Floats = np.zeros(nodes)
        self._issued = Issued(nodes, tuple(leads))

    def learn(self, nodes: Longs, slot: Longs, value: Floats, calm: Flags) -> None:
        """Judge one reading a node, unless there is an alarm: a fault is no reason to expect faults."""
        about = self._issued.about(nodes, slot)
        widening = self.widening[nodes]
        low, high = widened(about[:, :, 1], about[:, :, 0], about[:, :, 2], widening)
        outside = _set((value[:, None] < low) | (value[:, None] > high))
        judged = _set(~np.isnan(value[:, None] - low))
        moved = adapt(widening, outside / np.maximum(judged, 1), promised=self.promised, rate=RATE)
        self.widening[nodes] = np.where(calm & (judged > 0), moved, widening)

    def issue(self, nodes: Longs, slot: Longs, band: Floats) -> None:
        """Keep the model's own forecasts ``[row, horizon, 3]`` to be judged by."""
        self._issued.issue(nodes, slot, band)

    def widen(self, nodes: Longs, band: Floats) -> Floats:
        """Return forecasts ``[row, horizon, 3]`` with their bands as wide as they now have to be."""
        told = band.copy()
        told[:, :, 1], told[:, :, 2] = widened(
            band[:, :, 1], band[:, :, 0], band[:, :, 2], self.widening[nodes]
        )
        return told

    def state(self) -> dict[str, Any]:
        """Return what :meth:`restore` needs to go on after a restart."""
        return {"widening": self.widening.tobytes(), "issued": self._issued.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up where :meth:`state` left off."""
        self.widening = np.frombuffer(state["widening"], dtype=np.float64).copy()
        self._issued.restore(state["issued"])


def _set(flags: Flags) -> Longs:
    """Return how many flags ``[row, lead]`` are set in each row: leads are few, so one after the other."""
    found = flags[:, 0].astype(np.int64)
    for lead in range(1, flags.shape[1]):
        found += flags[:, lead]
    return found
