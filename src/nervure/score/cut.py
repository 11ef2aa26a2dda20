"""A model cut down to some of its streams, so that several processes can each score a part of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.card import Card
from nervure.core.window import Window
from nervure.score.lane import Model
from nervure.score.layout import layout

__all__ = ["Cut", "is_severable", "shared"]

_BY_STREAM = ("floor", "centre", "spread")


def is_severable(card: Card) -> bool:
    """Tell whether a model may be cut by its streams: a joint one sees all of them at once."""
    return not card.joint


def shared(card: Card, thing_of: Mapping[str, int]) -> set[tuple[int, str]]:
    """Return which Things are foreseen with streams of others, neighbours or weather: ``(thing, stream)``.

    ``thing_of`` are the Things of Datastreams by name.
    """
    if not card.streams:
        return set()
    laid = layout(card)
    found = set()
    for node, row in enumerate(np.concatenate([laid.columns, laid.future], axis=1).tolist()):
        own = thing_of.get(card.streams[node])
        if own is not None:
            names = {laid.names[column] for column in row}
            found |= {(own, name) for name in names if thing_of.get(name, own) != own}
    return found


class Cut:
    """A model of some streams of another one; the graph is the same.

    The card says so, so that windows, limits and states have room for these streams only. Neighbours
    that they are foreseen with come after them: they are seen, and not foreseen.
    """

    def __init__(self, model: Model, names: Collection[str]) -> None:
        self._model = model
        card = model.card
        own = [node for node, name in enumerate(card.streams) if name in names]
        near = sorted({one for node in own if card.neighbours for one in card.neighbours[node]} - set(own))
        nodes = own + near
        place = {node: number for number, node in enumerate(nodes)}
        seen = [tuple(place[one] for one in card.neighbours[node]) for node in own if card.neighbours]
        self._nodes = np.array(nodes, dtype=np.int64)
        self.foreseen = len(own)
        """How many of the streams are foreseen; the others are only seen."""
        self.card = msgspec.structs.replace(
            card,
            streams=tuple(card.streams[node] for node in nodes),
            neighbours=(*seen, *(() for _ in near)) if card.neighbours else (),
            limits={name: _limit(raw, card.streams, nodes) for name, raw in card.limits.items()},
        )

    def run(self, window: Window) -> NDArray[np.float32]:
        """Foresee: ``[batch, horizon, quantile]``; the nodes are counted among those that are here."""
        return self._model.run(msgspec.structs.replace(window, node=self._nodes[window.node]))


def _limit(raw: Any, streams: tuple[str, ...], nodes: list[int]) -> Any:
    """Return the limit of an anomaly problem for some of its streams."""
    if not isinstance(raw, Mapping) or tuple(raw.get("streams", ())) != streams:
        return raw
    own = {name: tuple(raw[name][node] for node in nodes) for name in ("streams", *_BY_STREAM)}
    return {**raw, **own}
