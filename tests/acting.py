"""What tests of acting share: a pump and a crossing with interlocks."""

from __future__ import annotations

from typing import Any

from nervure.bench.safety.station import read
from nervure.core.interlock import Declared

S = 1_000_000_000

SPEED = {"speed": "Quantity"}
PUMP: dict[str, Any] = {
    "lease": "3s",
    "age": "5s",
    "every": "100ms",
    "interlocks": [
        {"kind": "range", "of": "speed", "low": 0, "high": 100},
        {"kind": "rate", "of": "speed", "most": 60, "per": "1s"},
    ],
    "plan": [{"hold": "1h", "values": {"speed": 20.0}}],
}


def pump(**more: Any) -> Declared:
    return read(PUMP | more, SPEED)


PHASE = {"phase": "Category"}
CROSSING: dict[str, Any] = {
    "lease": "20s",
    "interlocks": [
        {
            "kind": "sequence",
            "of": "phase",
            "after": {"ns": ["yellow"], "yellow": ["ns", "ew"], "ew": ["yellow"]},
            "least": {"ns": "5s", "ew": "5s", "yellow": "3s"},
        },
        {"kind": "starve", "of": "phase", "states": ["ns", "ew"], "most": "60s"},
    ],
    "plan": [{"hold": "20s", "values": {"phase": "ns"}}, {"hold": "20s", "values": {"phase": "ew"}}],
}


def crossing(**more: Any) -> Declared:
    return read(CROSSING | more, PHASE)
