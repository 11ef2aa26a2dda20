"""The file of a learned controller: opened once its signature holds, and only if it is what is asked for."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import onnxruntime

from nervure.core.card import CARD_KEY, Card
from nervure.core.error import ModelError
from nervure.core.problem import Control
from nervure.trust.signature import verify

__all__ = ["open_net"]


def open_net(
    model: bytes, trusted: Iterable[bytes], features: tuple[str, ...], *, of: str
) -> tuple[onnxruntime.InferenceSession, Card, Control]:
    """Return what runs a controller of something that is told these features, its Card and its problem.

    Nothing of the file is read before its signature holds; raises ``ModelError`` for a file that nobody
    trusted has signed, or that is another controller or none.
    """
    verify(model, trusted)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        text = session.get_modelmeta().custom_metadata_map[CARD_KEY]
        card = msgspec.json.decode(text, type=Card)
    except Exception as cause:  # ONNX Runtime's errors share no class of their own
        raise ModelError(f"this controller cannot be loaded: {cause}") from cause
    told = tuple(one.signal for one in card.channels)
    if not isinstance(card.problem, Control) or told != features:
        raise ModelError(f"{card.name} is no controller of {of}", hint=f"it is told {told}")
    return session, card, card.problem
