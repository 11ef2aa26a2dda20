"""Gateways: what brings readings of the outside to the log. What they cannot place goes there too.

A gateway acknowledges to its device only what the log has. A message that maps to no Datastream is
published as a `Refusal` below ``nv.in.``, from where intake puts it into quarantine: counted and
visible like any other reject.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from urllib.parse import quote

import msgspec

from nervure.sense.reason import MALFORMED, REASONS, UNKNOWN_STREAM

__all__ = [
    "HEAD_BYTES",
    "Append",
    "Gateway",
    "Publish",
    "Refusal",
    "Resolve",
    "Standing",
    "refusal_of",
    "refusal_subject",
]

INBOX = "nv.in"

HEAD_BYTES = 4096
"""How much of a refused message is passed on."""

_SUBJECT_BYTES = 255


class Append(Protocol):
    """Appends messages ``(subject, payload, once)`` to the log, all or some of them: ``Log.publish_many``."""

    async def __call__(self, items: Sequence[tuple[str, bytes, str | None]], /) -> list[int]:
        """Append; return the sequences."""
        ...


class Publish(Protocol):
    """Appends a message to the log and returns its sequence: ``Log.publish``.

    A message with the same ``once`` is kept once.
    """

    async def __call__(self, subject: str, payload: bytes, *, once: str | None = None) -> int:
        """Return once the log has it."""
        ...


class Resolve(Protocol):
    """Finds a Datastream's id by the name that a gateway gives it, ``None`` if there is none."""

    def __call__(self, name: str, /) -> int | None:
        """Return the id."""
        ...


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a gateway does: for ``status`` and metrics.

    ``received`` counts what came in, ``published`` what the log has of it (and the sender got an
    acknowledgement for), ``refused`` those of them that went to quarantine unread, ``repeated``
    what a broker sent again although the log had it.
    """

    name: str
    connected: bool
    received: int = 0
    published: int = 0
    refused: int = 0
    repeated: int = 0
    waiting: int = 0
    trouble: str = ""


class Gateway(Protocol):
    """One way in. ``run`` works until it is cancelled or stopped, and reconnects by itself."""

    name: str

    async def run(self) -> None:
        """Bring readings in until `stop`."""
        ...

    async def stop(self) -> None:
        """Finish what is under way, then let go."""
        ...

    def standing(self) -> Standing:
        """Return how it does."""
        ...


class Refusal(msgspec.Struct, frozen=True, kw_only=True, tag="nervure.refusal", tag_field="type"):
    """What a gateway says about a message it cannot place; ``head`` is how the message begins."""

    reason: str
    detail: str
    head: bytes = b""


_REFUSAL = msgspec.json.Decoder(Refusal)


def refusal_subject(gateway: str, topic: str) -> str:
    """Return a subject in the inbox that shows where a message came from.

    >>> refusal_subject("hall", "zigbee/lamp 2")
    'nv.in.hall.zigbee.lamp%202'
    """
    levels = [quote(level, safe="").replace(".", "%2E") or "%" for level in (gateway, *topic.split("/"))]
    return f"{INBOX}.{'.'.join(levels)}"[:_SUBJECT_BYTES].rstrip(".")


def refusal_of(payload: bytes) -> Refusal:
    """Read a refusal; anything else in the inbox is refused for being there.

    >>> refusal_of(b"21.5").reason
    'unknown-stream'
    """
    try:
        found = _REFUSAL.decode(payload)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return Refusal(
            reason=UNKNOWN_STREAM,
            detail="the gateway's topic maps to no Datastream",
            head=payload[:HEAD_BYTES],
        )
    if found.reason not in REASONS:
        return msgspec.structs.replace(found, reason=MALFORMED)
    return found
