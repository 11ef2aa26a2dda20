"""Ahead: values that are known before their time, weather forecasts above all, by the slot they are about."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ahead"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_NONE = -(1 << 62)


class Ahead:
    """The newest forecast of each slot, ``[slot, stream]``.

    A slot lies at its number modulo ``length``, and ``tag`` says which one that is, so nothing has to
    be cleared. ``length`` must hold the window, what lies further back, and how far forecasts reach.

    >>> ahead = Ahead(1, 8)
    >>> for issued, value in ((10, 4.0), (30, 5.0), (20, 6.0)):
    ...     ahead.tell(np.array([0]), np.array([3]), np.array([value]), np.array([issued]))
    >>> ahead.about(np.array([[0]]), np.array([[[3], [4]]]))[0, :, 0]
    array([ 5., nan])
    """

    def __init__(self, streams: int, length: int) -> None:
        self.length = length
        self.value: Floats = np.full((length, streams), np.nan)
        self.tag: Longs = np.full((length, streams), _NONE, dtype=np.int64)
        self.issued: Longs = np.full((length, streams), _NONE, dtype=np.int64)

    def tell(self, stream: Longs, slot: Longs, value: Floats, issued: Longs) -> None:
        """Keep forecasts ``[row]``, no slot of a stream twice, unless a newer one is kept already."""
        place = slot % self.length
        tag = self.tag[place, stream]
        newer = (slot > tag) | ((slot == tag) & (issued >= self.issued[place, stream]))
        place, stream = place[newer], stream[newer]
        self.value[place, stream] = value[newer]
        self.tag[place, stream] = slot[newer]
        self.issued[place, stream] = issued[newer]

    def about(self, columns: Longs, slot: Longs) -> Floats:
        """Return what is foretold of ``slot [batch, time, channel]``, NaN where nothing is.

        ``columns [batch, channel]`` are streams here; below 0 there is none.
        """
        place = slot % self.length
        stream = np.maximum(columns, 0)[:, None, :]
        hidden = (self.tag[place, stream] != slot) | (columns < 0)[:, None, :]
        found: Floats = np.where(hidden, np.nan, self.value[place, stream])
        return found

    def state(self) -> dict[str, Any]:
        """Return what :meth:`restore` needs to go on after a restart."""
        return {name: getattr(self, name).tobytes() for name in ("value", "tag", "issued")}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up where :meth:`state` left off; what lay in another number of slots is let go."""
        if len(state["value"]) != self.value.nbytes:
            return
        for name in ("value", "tag", "issued"):
            old = getattr(self, name)
            setattr(self, name, np.frombuffer(state[name], dtype=old.dtype).reshape(old.shape).copy())
