"""A learned controller: a signed ONNX file that rates phases; the highest is shown.

Run it behind :class:`nervure.act.controller.shield.Shield`, always: a net is asked about what it never saw.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nervure.act.controller.package import open_net
from nervure.core.junction import Junction
from nervure.core.sight import EVERY_S, FEATURES, Sight

__all__ = ["Learned"]


class Learned:
    """A net that was taught in a twin.

    Nothing of the file is read before its signature holds; raises ``ModelError`` for a file that nobody
    trusted has signed, or that is no controller of signals.
    """

    def __init__(
        self, model: bytes, trusted: Iterable[bytes], junctions: Sequence[Junction],
        *, every_s: float = EVERY_S,
    ) -> None:  # fmt: skip
        self._session, self.card, problem = open_net(model, trusted, FEATURES, of="signals")
        self.name = f"{problem.by}"
        self.every_s = every_s
        self._sights = [Sight(one) for one in junctions]

    def decide(self, seen: Mapping[str, float], now_s: float) -> Mapping[str, float]:
        """Return the best rated phase of each junction; NaN where the net says nothing of use."""
        for sight in self._sights:
            sight.look(seen, now_s)
        found = {}
        for size in sorted({len(one.served) for one in self._sights}):  # junctions of one size go together
            some = [one for one in self._sights if len(one.served) == size]
            rated: NDArray[np.float32] = self._session.run(
                ["y"], {"x": np.stack([one.features(self.every_s) for one in some])}
            )[0]
            for sight, worth in zip(some, rated, strict=True):
                good = bool(np.isfinite(worth).all())
                if good:
                    sight.show(int(worth.argmax()))
                found[sight.junction.command] = float(sight.phase) if good else math.nan
        return found
