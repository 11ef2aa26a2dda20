"""Testimony: what a what-if found, signed, so that a platform can believe it without having seen it run.

The signature (Ed25519, as of models) is over everything that the evidence says: which twin, which
scenario, which commands, which seeds, when, and each figure's interval. A node believes its own key and
those in its folder ``trusted``.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from nervure.core.command import Evidence
from nervure.core.error import ModelError
from nervure.trust.signature import SigningKey, check, seal

__all__ = ["doubt", "sworn"]

_PURPOSE = b"nervure evidence 1\x00"


def sworn(found: Evidence, key: SigningKey) -> Evidence:
    """Return evidence with its signature."""
    return replace(found, wrong="", seal=seal(_said(found), key))


def doubt(found: Evidence, keys: Iterable[bytes]) -> str:
    """Say why evidence is not to be believed, or nothing.

    >>> doubt(Evidence(of="a", time_ns=0, kpis={}), [])
    'its what-if is not signed'
    """
    if not found.seal:
        return "its what-if is not signed"
    try:
        check(_said(found), found.seal, keys, what="what-if")
    except ModelError as cause:
        return cause.what
    return ""


def _said(found: Evidence) -> bytes:
    plain = replace(found, wrong="", seal="")
    return _PURPOSE + msgspec.json.encode(plain, order="deterministic")
