"""Keys and signed claims the way nats-server writes them, for answering whom it asks us about.

A key is Ed25519 in base32 with a letter for its kind in front and a checksum behind (nats.docs,
"NKeys"); claims are a JWT whose algorithm is ``ed25519-nkey`` (NATS ADR-14, ADR-26).
"""

from __future__ import annotations

import secrets
import time
from base64 import b32encode, urlsafe_b64decode, urlsafe_b64encode
from binascii import crc_hqx
from hashlib import sha256
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nervure.core.error import DeniedError
from nervure.stream.conf import Gate

__all__ = ["AccountKey", "public_key", "read_claims", "shut_gate"]

_ACCOUNT = 0
_ALGORITHM = "ed25519-nkey"
_HEAD = {"typ": "JWT", "alg": _ALGORITHM}
_RAW = 35  # kind, key, checksum


class AccountKey:
    """The key that signs who a device is; the server is told its public half and believes no other."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.public = public_key(_ACCOUNT, self._key.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"AccountKey({self.public})"

    def sign(self, claims: dict[str, Any]) -> str:
        """Return the claims, with who says so and when, as a signed token."""
        whole = {"iss": self.public, "iat": int(time.time())} | claims
        whole["jti"] = b32encode(sha256(msgspec.json.encode(whole)).digest()).decode().rstrip("=")
        said = f"{_text(_HEAD)}.{_text(whole)}"
        return f"{said}.{_letters(self._key.sign(said.encode()))}"


def shut_gate() -> Gate:
    """Return a gate at which nobody answers, so that nobody comes in."""
    return Gate(issuer=AccountKey().public, secret=secrets.token_urlsafe(32))


def public_key(kind: int, raw: bytes) -> str:
    """Return a public key as the server writes it.

    >>> public_key(0, bytes(32))[:8]
    'AAAAAAAA'
    """
    body = bytes([kind << 3]) + raw
    return b32encode(body + crc_hqx(body, 0).to_bytes(2, "little")).decode().rstrip("=")


def read_claims(token: str) -> dict[str, Any]:
    """Return the claims of a token, else raise ``DeniedError``. Whether they are true is not looked at.

    The server's questions are signed by a key that they name themselves, which proves nothing; who asks
    is known by the subject, on which the server and this node alone may publish.
    """
    try:
        head, body, _ = token.split(".")
        if msgspec.json.decode(_bytes(head)).get("alg") != _ALGORITHM:
            raise DeniedError("the server's question is not signed its own way")
        return msgspec.json.decode(_bytes(body), type=dict[str, Any])
    except (ValueError, AttributeError, msgspec.MsgspecError) as cause:
        raise DeniedError(f"the server's question cannot be read: {cause!r}") from cause


def _text(value: dict[str, Any]) -> str:
    return _letters(msgspec.json.encode(value))


def _letters(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
