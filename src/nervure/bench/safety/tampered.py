"""A wire on which orders are lost, delayed, doubled, reordered, replayed and damaged, and somebody forges."""

from __future__ import annotations

import random
from collections import deque

import msgspec
from msgspec.structs import replace

from nervure.bench.safety.plain import SECOND
from nervure.core.mac import Sealed, sealed
from nervure.core.order import Order

__all__ = ["Wire"]


class Wire:
    """A network of the worst kind; ``sent`` is what was really said."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.sent: set[bytes] = set()
        self._on_the_way: list[tuple[int, bytes]] = []
        self._old: deque[bytes] = deque(maxlen=60)

    def send(self, payload: bytes, now_ns: int) -> None:
        """Put a message on the way, perhaps."""
        chance = self._chance
        self.sent.add(payload)
        self._old.append(payload)
        if chance.random() < 0.1:
            return
        delay = chance.choice((0, 0, 0, 0, 0, 0, 0, 0, 0, SECOND, 3 * SECOND, 12 * SECOND))
        for _ in range(chance.choice((1, 1, 1, 2))):
            self._on_the_way.append((now_ns + delay, payload))

    def arrive(self, now_ns: int) -> list[bytes]:
        """Return what arrives now, in any order, with old and damaged messages among it."""
        chance = self._chance
        found = [payload for when, payload in self._on_the_way if when <= now_ns]
        self._on_the_way = [one for one in self._on_the_way if one[0] > now_ns]
        if self._old and chance.random() < 0.3:
            found.append(chance.choice(self._old))
        if self._old and chance.random() < 0.15:
            found.append(_damaged(chance.choice(self._old), chance))
        if chance.random() < 0.3:
            chance.shuffle(found)
        return found


def _damaged(payload: bytes, chance: random.Random) -> bytes:
    kind = chance.randrange(8)
    if kind == 5:
        place = chance.randrange(len(payload))
        return payload[:place] + bytes([payload[place] ^ 1 << chance.randrange(8)]) + payload[place + 1 :]
    if kind > 5:
        return _forged(payload, chance)
    if kind == 0:
        return payload[: chance.randrange(len(payload))]
    if kind == 1:
        place = chance.randrange(len(payload))
        return payload[:place] + bytes([chance.randrange(256)]) + payload[place + 1 :]
    if kind == 2:
        return payload.replace(b'"values":{', b'"values":{"speed":NaN,')
    if kind == 3:
        return payload.replace(b"true", b"1e999").replace(b":5", b":1e308")
    return b"[" * chance.randrange(1, 5000)


def _forged(payload: bytes, chance: random.Random) -> bytes:
    """Return what somebody says who knows everything but the key."""
    told = msgspec.json.decode(payload, type=Sealed)
    order = msgspec.json.decode(told.of, type=Order)
    wish = None if order.proposal is None else replace(order.proposal, id="forged")
    wrong = sealed(replace(order, number=order.number + 1, proposal=wish), chance.randbytes(32))
    return msgspec.json.encode(chance.choice((wrong, replace(wrong, mac=told.mac))))
