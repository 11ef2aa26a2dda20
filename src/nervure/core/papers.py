"""The papers of a guard: the one file that a device needs beside its credentials.

``nervure act guard 5 --out guard.json`` writes it: whom it guards, what that keeps to, and the key by which
it knows the platform's orders. Whoever has the file can give orders, so it is private to the device.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from nervure.core.error import DeclarationError
from nervure.core.interlock import Declared
from nervure.core.interlock_check import ACT, declared
from nervure.core.mac import KEY_BYTES

__all__ = ["Papers", "papers"]

Key = Annotated[str, Meta(pattern=rf"^[0-9a-f]{{{2 * KEY_BYTES}}}$")]


class Papers(msgspec.Struct, frozen=True, kw_only=True):
    """What a guard is given: ``act`` and ``parameters`` as they stand at the TaskingCapability."""

    version: Literal[1] = 1
    thing: int
    capability: int
    name: str = ""
    act: Mapping[str, Any]
    parameters: Mapping[str, Any]
    key: Key

    @property
    def declared(self) -> Declared:
        """What the capability keeps to, checked."""
        found = declared({ACT: self.act}, self.parameters, where="$.act")
        if found is None:
            raise DeclarationError("nothing is declared", where="$.act")
        return found

    @property
    def secret(self) -> bytes:
        """The key of orders."""
        return bytes.fromhex(self.key)


def papers(data: bytes, *, where: str = "guard.json") -> Papers:
    """Read the papers of a guard; raises ``DeclarationError`` with what is wrong and what to do.

    >>> papers(b'{"thing": 3, "capability": 5, "act": {}, "parameters": {}}')
    Traceback (most recent call last):
    nervure.core.error.DeclarationError: the guard's file has no key: it is of an older release
      at guard.json
    hint: write a new one: nervure act guard 5 --out guard.json
    """
    try:
        return msgspec.json.decode(data, type=Papers)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as cause:
        old = _old(data)
        raise DeclarationError(
            "the guard's file has no key: it is of an older release"
            if old
            else f"the guard's file cannot be read: {cause}",
            where=where,
            hint=f"write a new one: nervure act guard {old or 'LOOP'} --out {where}",
        ) from cause


class _Old(msgspec.Struct):
    capability: int
    key: str | None = None


def _old(data: bytes) -> int | None:
    """Return whose papers without a key these are."""
    try:
        found = msgspec.json.decode(data, type=_Old)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return found.capability if found.key is None else None
