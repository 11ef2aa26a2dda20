"""A learned controller: a signed ONNX file that rates phases; the highest is shown.

Run it behind :class:`nervure.act.controller.shield.Shield`, always: a net is asked about what it never saw.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from nervure.core.card import CARD_KEY, Card
from nervure.core.error import ModelError
from nervure.core.junction import Junction
from nervure.core.problem import Control
from nervure.core.sight import FEATURES, Sight
from nervure.trust.signature import verify

__all__ = ["Learned"]


class Learned:
    """A net that was taught in a twin.

    Nothing of the file is read before its signature holds; raises ``ModelError`` for a file that nobody
    trusted has signed, or that is no controller of signals.
    """

    def __init__(
        self, model: bytes, trusted: Iterable[bytes], junctions: Sequence[Junction], *, every_s: float = 10.0
    ) -> None:
        verify(model, trusted)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            text = self._session.get_modelmeta().custom_metadata_map[CARD_KEY]
            self.card = msgspec.json.decode(text, type=Card)
        except Exception as cause:  # ONNX Runtime's errors share no class of their own
            raise ModelError(f"this controller cannot be loaded: {cause}") from cause
        told = tuple(one.signal for one in self.card.channels)
        if not isinstance(self.card.problem, Control) or told != FEATURES:
            raise ModelError(f"{self.card.name} is no controller of signals", hint=f"it is told {told}")
        self.name = f"{self.card.problem.by}"
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
                ["y"], {"x": np.stack([one.features() for one in some])}
            )[0]
            for sight, worth in zip(some, rated, strict=True):
                good = bool(np.isfinite(worth).all())
                if good:
                    sight.show(int(worth.argmax()))
                found[sight.junction.command] = float(sight.phase) if good else math.nan
        return found
