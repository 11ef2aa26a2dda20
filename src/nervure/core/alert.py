"""Alerts: what a rule found, in the state a person left it (after ISA-18.2; ThingsBoard's names)."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec

__all__ = ["MONITOR", "Alert", "Evidence", "Severity", "alert_id"]

Severity = Literal["critical", "major", "minor", "warning", "info"]

MONITOR = "monitor"
"""The ``solution`` of alerts that no solution raised, but a monitor of what nobody has labelled."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One reading that shows it: what was seen, what was expected, how unusual that is."""

    datastream: int
    time_ns: int
    value: float
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    score: float | None = None


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """What, where, since when, how sure, and which readings show it.

    ``active`` and ``acknowledged`` are independent: an alert may clear before a person saw it.
    ``sure`` is the share of calibration scores below the alert's own, 0..1.
    """

    id: str
    solution: str
    rule: str
    severity: Severity
    thing: int
    datastream: int
    text: str
    start_ns: int
    raised_ns: int
    active: bool = True
    acknowledged: bool = False
    end_ns: int | None = None
    shelved_until_ns: int | None = None
    sure: float | None = None
    evidence: tuple[Evidence, ...] = ()
    model: str = ""
    properties: dict[str, Any] = {}


def alert_id(rule: str, datastream: int, start_ns: int) -> str:
    """Return the id that the same finding always gets, so that a replay cannot raise it twice.

    >>> alert_id("water.burst", 7, 0)
    'bd72def1fb26374c'
    """
    return hashlib.blake2b(f"{rule}|{datastream}|{start_ns}".encode(), digest_size=8).hexdigest()
