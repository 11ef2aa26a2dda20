"""The states of an alert: active or cleared, acknowledged or not, shelved (ISA-18.2-2016, IEC 62682).

                raise                    acknowledge
    normal ───────────▶ unacknowledged ───────────▶ acknowledged
       ▲  ▲                   │ clear                    │ clear
       │  └── acknowledge ── returned                    │
       └─────────────────────────────────────────────────┘
Any of them may be shelved until an instant; it is then kept but announced to nobody.
"""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from nervure.core.alert import Alert
from nervure.core.error import DataError

__all__ = ["State", "acknowledge", "clear", "is_shelved", "merge", "shelve", "state_of", "unshelve"]

State = Literal["normal", "unacknowledged", "acknowledged", "returned", "shelved"]


def is_shelved(alert: Alert, now_ns: int) -> bool:
    """Tell whether somebody has put the alert aside for the time being."""
    return alert.shelved_until_ns is not None and now_ns < alert.shelved_until_ns


def state_of(alert: Alert, now_ns: int) -> State:
    """Return the state; ``returned`` is what ISA-18.2 calls return to normal, unacknowledged."""
    if is_shelved(alert, now_ns):
        return "shelved"
    if alert.active:
        return "acknowledged" if alert.acknowledged else "unacknowledged"
    return "normal" if alert.acknowledged else "returned"


def acknowledge(alert: Alert, who: str) -> Alert:
    """Return the alert as seen by a person; the first who acknowledges stays on it."""
    if alert.acknowledged:
        return alert
    return replace(alert, acknowledged=True, properties={**alert.properties, "acknowledged_by": who})


def clear(alert: Alert, end_ns: int) -> Alert:
    """Return the alert as over; ``end_ns`` is the last reading that showed it."""
    return replace(alert, active=False, end_ns=end_ns) if alert.active else alert


def shelve(alert: Alert, until_ns: int, who: str, reason: str) -> Alert:
    """Return the alert put aside until an instant, by whom and why: both are required."""
    if not who or not reason.strip():
        raise DataError(f"alert {alert.id}: shelving needs a person and a reason", hint="say who and why")
    said = {**alert.properties, "shelved_by": who, "shelved_because": reason}
    return replace(alert, shelved_until_ns=until_ns, properties=said)


def unshelve(alert: Alert) -> Alert:
    """Return the alert taken up again."""
    return replace(alert, shelved_until_ns=None)


_PERSONS = ("acknowledged_by", "shelved_by", "shelved_because", "verdict", "assigned")


def merge(kept: Alert, new: Alert) -> Alert:
    """Return what the rules now say, with what a person did to it: that is never overwritten."""
    said = {name: kept.properties[name] for name in _PERSONS if name in kept.properties}
    return replace(
        new,
        acknowledged=kept.acknowledged or new.acknowledged,
        shelved_until_ns=new.shelved_until_ns if kept.shelved_until_ns is None else kept.shelved_until_ns,
        properties={**new.properties, **said},
    )
