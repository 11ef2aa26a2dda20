"""What tests of acting share: a pump and a crossing with interlocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from nervure.bench.safety.station import read
from nervure.core.interlock import Declared
from nervure.node.there import Last, Present
from nervure.store.scope import EVERYTHING
from nervure.store.write.writer import Writer

S = 1_000_000_000


def reads(last: Last) -> Present:
    """Return the inputs of devices that go by our time: of those, nobody asks what came since when."""
    return Present(last, lambda *_: {})


UNREAD = reads(lambda _: {})
ENGINEER = replace(EVERYTHING, interlocks=True)

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


def loop_of(
    writer: Writer, name: str, act: Mapping[str, Any], fields: Mapping[str, str], *, thing: int | None = None
) -> tuple[int, int]:
    """Make a Thing and a capability with interlocks in a catalogue, or only that; returns both ids."""
    if thing is None:
        body = {"name": name, "description": "A station"}
        thing = writer.create("Thing", body, EVERYTHING).id
    parts = [{"name": one, "label": one, "type": kind} for one, kind in fields.items()]
    for part in parts:
        if part["type"] == "Quantity":
            part["uom"] = {"code": "1"}  # type: ignore[assignment]
    made = writer.create(
        "TaskingCapability",
        {
            "name": name,
            "description": "What may be asked",
            "taskingParameters": {"type": "DataRecord", "field": parts},
            "properties": {"act": dict(act)},
            "Thing": {"@iot.id": thing},
            "Actuator": {
                "name": f"{name} drive",
                "description": "A drive",
                "encodingType": "text/html",
                "metadata": "about:blank",
            },
        },
        ENGINEER,
    )
    return thing, made.id
