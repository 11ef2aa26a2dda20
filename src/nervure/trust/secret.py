"""Secrets: made at random, shown once, kept only as what they hash to, compared in constant time.

A password is hashed by argon2id (RFC 9106, its second recommended choice: 64 MiB, three passes). A
token has 256 random bits, so one SHA-256 is enough: there is nothing to guess.
"""

from __future__ import annotations

import hmac
import secrets
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING

from nervure.core.error import UsageError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

__all__ = [
    "DEVICE",
    "SESSION",
    "TOKEN",
    "check_password",
    "digest",
    "hash_password",
    "make_password",
    "make_token",
    "needs_rehash",
    "same",
]

TOKEN = "nvt_"  # noqa: S105 - how a bearer token begins, so that a scanner of leaked secrets knows it
DEVICE = "nvd_"
SESSION = "nvs_"

_SHORTEST = 12
_LONGEST = 1024
_BYTES = 32
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # none that look like another


def make_token(prefix: str) -> str:
    """Return a new secret of 256 random bits; the prefix tells what it is."""
    return prefix + secrets.token_urlsafe(_BYTES)


def make_password() -> str:
    """Return a random password that a person can copy, of 115 bits.

    >>> len(make_password())
    23
    """
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(4))


def digest(secret: str) -> str:
    """Return what is kept of a token: its SHA-256.

    >>> digest("nvt_x")[:16]
    '5ee0faea13b3f9bf'
    """
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def same(one: str, other: str) -> bool:
    """Tell whether two secrets are the same, in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password; ``UsageError`` if it is too short to be one."""
    if not _SHORTEST <= len(password) <= _LONGEST:
        raise UsageError(
            f"a password has {_SHORTEST} to {_LONGEST:,} letters",
            hint="several words are easy to remember and hard to guess",
        )
    return _hasher().hash(password)


def check_password(password: str, kept: str | None) -> bool:
    """Tell whether a password is the one that was kept; without one it takes as long to say no."""
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        found = _hasher().verify(kept or _decoy(), password[:_LONGEST])
    except (VerificationError, InvalidHashError):
        return False
    return found and kept is not None


def needs_rehash(kept: str) -> bool:
    """Tell whether a hash was made with less work than is asked today."""
    return _hasher().check_needs_rehash(kept)


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher
    from argon2.profiles import RFC_9106_LOW_MEMORY

    return PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


@cache
def _decoy() -> str:
    """Return the hash of a password that nobody knows, for names that do not exist."""
    return _hasher().hash(secrets.token_urlsafe(_BYTES))
