"""What a controller of signals was taught on, put into the Card of its file."""

from __future__ import annotations

import msgspec
import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from nervure.core.card import CARD_KEY, Card
from nervure.core.strange import TAUGHT, Taught, taught
from nervure.learn.control.net import PhaseNet, padded
from nervure.learn.control.street import Street
from nervure.trust.signature import TAIL_BYTES, SigningKey, sign

__all__ = ["SEEDS", "known", "with_taught"]

SEEDS = (90_001, 90_002, 90_003)
"""Episodes that its bounds are of, and the last one, of which it is said how much lies outside."""


def known(street: Street, net: PhaseNet) -> Taught:
    """Let a net decide for some episodes of the street that it was taught on; return what it sees there."""
    *most, last = (_episode(street, net, seed) for seed in SEEDS)
    return taught(np.concatenate(most), last)


def with_taught(package: bytes, found: Taught, key: SigningKey) -> bytes:
    """Return a signed controller whose Card says what it was taught on, signed anew."""
    model = onnx.load_from_string(package[:-TAIL_BYTES])
    props = {one.key: one.value for one in model.metadata_props}
    card = msgspec.json.decode(props[CARD_KEY], type=Card)
    limits = card.limits | {TAUGHT: msgspec.to_builtins(found)}
    card = msgspec.structs.replace(card, limits=limits)
    onnx.helper.set_model_props(model, props | {CARD_KEY: msgspec.json.encode(card).decode()})
    return sign(model.SerializeToString(deterministic=True), key)


def _episode(street: Street, net: PhaseNet, seed: int) -> NDArray[np.float32]:
    """Return what every phase looked like at every decision, ``[row, feature]``."""
    views, rows = street.reset(seed), []
    for _ in range(street.steps):
        rows += list(views)
        x, there = padded([torch.from_numpy(one) for one in views], max(street.phases))
        with torch.inference_mode():
            choice = net(x, there).argmax(dim=1).numpy()
        views, _ = street.step(choice)
    return np.concatenate(rows)
