"""The digest of an order: what the platform says to a guard, and nobody else can.

An order goes out as ``{"to": 5, "mac": "…", "of": {…}}``. ``mac`` is HMAC-SHA256 (RFC 2104) over the very
bytes of ``of``, with a key that only the platform and the guard of that capability have. The guard looks at
it before anything else: whatever was changed on the way, a single bit or all of it, is refused.
"""

from __future__ import annotations

import hashlib
import hmac

import msgspec

from nervure.core.error import QueryError
from nervure.core.order import Order

__all__ = ["KEY_BYTES", "Sealed", "fingerprint", "opened", "sealed", "whose"]

KEY_BYTES = 32
_PURPOSE = b"nervure order 1"


class Sealed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An order on its way: the capability that it is for, its digest, its own bytes."""

    to: int
    mac: str
    of: msgspec.Raw


class _Named(msgspec.Struct, frozen=True):
    capability: int = 0


class _Addressed(msgspec.Struct, frozen=True):
    to: int = 0
    of: _Named = _Named()


_sealed = msgspec.json.Decoder(Sealed).decode
_order = msgspec.json.Decoder(Order).decode
_addressed = msgspec.json.Decoder(_Addressed).decode
_BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def sealed(order: Order, key: bytes) -> Sealed:
    """Return an order with its digest.

    >>> sealed(Order(capability=5, number=1, boot="b", echo_ns=0), bytes(32)).mac[:16]
    '40ed165daab035b6'
    """
    of = msgspec.json.encode(order)
    return Sealed(to=order.capability, mac=_mac(key, order.capability, of), of=msgspec.Raw(of))


def opened(payload: bytes, key: bytes) -> Order:
    """Return the order of a message, or raise ``QueryError`` where it is not as the platform sent it."""
    if not key:
        raise QueryError("digest: this guard has no key", hint="nervure act guard LOOP --out FILE writes one")
    try:
        found = _sealed(payload)
    except _BROKEN as cause:
        raise QueryError(f"digest: the order has none that can be read: {cause}") from cause
    if not hmac.compare_digest(_mac(key, found.to, bytes(found.of)).encode(), found.mac.encode()):
        raise QueryError("digest: the order was changed on its way, or is of somebody without the key")
    try:
        order = _order(found.of)
    except _BROKEN as cause:
        raise QueryError(f"form: {cause}") from cause
    if order.capability != found.to:
        raise QueryError(f"form: it is for capability {order.capability}")
    return order


def whose(payload: bytes) -> frozenset[int]:
    """Return the capabilities that an order names, twice the same if it is whole; none if it says none.

    One of them alone may be damaged.

    >>> sorted(whose(b'{"to": 5, "of": {"capability": 7}}'))
    [5, 7]
    """
    try:
        found = _addressed(payload)
    except _BROKEN:
        return frozenset()
    return frozenset({found.to, found.of.capability})


def fingerprint(key: bytes) -> str:
    """Return by what name platform and guard see that they have the same key, or nothing without one."""
    return hashlib.sha256(_PURPOSE + b" key" + key).hexdigest()[:16] if key else ""


def _mac(key: bytes, to: int, of: bytes) -> str:
    return hmac.new(key, b"%s\x00%d\x00%s" % (_PURPOSE, to, of), hashlib.sha256).hexdigest()
