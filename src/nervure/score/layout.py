"""Layout: which stream each channel of each node is, and the ring column that holds it."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.card import Card, Channel

__all__ = ["Layout", "layout"]

Longs = NDArray[np.int64]


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """Ring columns of a model: ``columns [node, channel]`` and, of drivers ahead, ``future [node, driver]``.

    ``names`` and ``signals [column]`` say what each column holds. ``showing`` are, for each node whose
    readings others see too, those other nodes.
    """

    columns: Longs
    future: Longs
    names: tuple[str, ...]
    signals: tuple[str, ...]
    showing: dict[int, tuple[int, ...]]


def layout(card: Card) -> Layout:
    """Lay out the columns: in the order of nodes and their channels, every stream once."""
    place: dict[tuple[str, str], int] = {}
    columns = np.zeros((len(card.streams), len(card.channels)), dtype=np.int64)
    future = np.zeros((len(card.streams), len(card.future)), dtype=np.int64)
    for channels, into in ((card.channels, columns), (card.future, future)):
        for node in range(len(card.streams)):
            for number, channel in enumerate(channels):
                into[node, number] = place.setdefault(_stream(card, node, channel), len(place))
    names = tuple(name for name, _ in place)
    signals = tuple(signal for _, signal in place)
    return Layout(
        columns=columns, future=future, names=names, signals=signals, showing=_showing(card, columns)
    )


def _stream(card: Card, node: int, channel: Channel) -> tuple[str, str]:
    """Return the name of a channel's stream, and its signal; a neighbour that is not there has no name."""
    if channel.neighbour:
        near = card.neighbours[node]
        node = near[channel.neighbour - 1] if channel.neighbour <= len(near) else -1
        if node < 0:
            return "", ""
    stream, signal = card.streams[node], channel.signal
    if signal == card.channels[0].signal:
        return stream, signal
    thing = stream.rpartition("/")[0]
    return f"{thing}/{signal}" if thing and not channel.shared else signal, signal


def _showing(card: Card, columns: Longs) -> dict[int, tuple[int, ...]]:
    """Return the nodes whose windows show a node's readings; a joint graph sees everyone at once."""
    if card.joint:
        return {}
    owner = {int(column): node for node, column in enumerate(columns[:, 0])}
    seen: dict[int, set[int]] = {}
    for node, row in enumerate(columns.tolist()):
        for column in row:
            if column in owner and owner[column] != node:
                seen.setdefault(owner[column], set()).add(node)
    return {node: tuple(sorted(others)) for node, others in seen.items()}
