"""An alert in brief, as lists and live events show it."""

from __future__ import annotations

from typing import Any

import msgspec

from nervure.core.alert import Alert
from nervure.serve.control.given import MS
from nervure.store.alert import ASSIGNED, VERDICT

__all__ = ["BriefAlert", "brief"]


class BriefAlert(msgspec.Struct, frozen=True, kw_only=True):
    """What, where, since when, and what people said of it; instants in ms since 1970."""

    id: str
    severity: str
    solution: str
    rule: str
    thing: int
    datastream: int
    text: str
    raised: int
    end: int | None
    active: bool
    acknowledged: bool
    shelved_until: int | None
    sure: float | None
    assignee: str | None
    verdict: str | None


def brief(one: Alert) -> BriefAlert:
    """Return an alert in brief."""
    return BriefAlert(
        id=one.id, severity=one.severity, solution=one.solution, rule=one.rule, thing=one.thing,
        datastream=one.datastream, text=one.text, raised=one.raised_ns // MS, end=_ms(one.end_ns),
        active=one.active, acknowledged=one.acknowledged, shelved_until=_ms(one.shelved_until_ns),
        sure=one.sure, assignee=_said(one, ASSIGNED, "to"), verdict=_said(one, VERDICT, "verdict"),
    )  # fmt: skip


def _ms(moment_ns: int | None) -> int | None:
    return None if moment_ns is None else moment_ns // MS


def _said(one: Alert, name: str, key: str) -> Any:
    said = one.properties.get(name)
    return said.get(key) if isinstance(said, dict) else None
