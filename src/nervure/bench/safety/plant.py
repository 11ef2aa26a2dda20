"""Devices for the hostile wire: between them they have every kind of interlock."""

from __future__ import annotations

from typing import Any

import msgspec

from nervure.core.interlock import Declared
from nervure.core.interlock_check import declared

__all__ = ["PLANTS", "Plant"]


class Plant(msgspec.Struct, frozen=True, kw_only=True):
    """A device: its rules as JSON, its fields, what is in force at the start, and its inputs."""

    name: str
    act: dict[str, Any]
    fields: dict[str, str]
    start: dict[str, Any]
    inputs: tuple[str, ...] = ()

    @property
    def read(self) -> Declared:
        """Its declaration."""
        parts = [{"name": name, "type": kind} for name, kind in self.fields.items()]
        found = declared({"act": self.act}, {"type": "DataRecord", "field": parts})
        if found is None:
            raise AssertionError(self.name)
        return found


PLANTS: tuple[Plant, ...] = (
    Plant(
        name="crossing",
        act={
            "lease": "20s", "age": "5s", "every": "1s",
            "interlocks": [
                {"kind": "sequence", "of": "phase", "after": {"ns": ["y"], "y": ["ns", "ew"], "ew": ["y"]},
                 "least": {"ns": "5s", "ew": "5s", "y": "3s"}},
                {"kind": "starve", "of": "phase", "states": ["ns", "ew"], "most": "45s", "bench": "30s"},
            ],
            "plan": [{"hold": "20s", "values": {"phase": "ns"}}, {"hold": "20s", "values": {"phase": "ew"}}],
        },
        fields={"phase": "Category"},
        start={"phase": "ns"},
    ),
    Plant(
        name="pump",
        act={
            "lease": "15s", "age": "5s", "every": "1s",
            "interlocks": [
                {"kind": "range", "of": "speed", "low": 0, "high": 100},
                {"kind": "rate", "of": "speed", "most": 15, "per": "5s"},
                {"kind": "dwell", "of": "speed", "on": "10s", "off": "6s"},
                {"kind": "fresh", "inputs": ["level"], "within": "8s", "stuck": "30s"},
                {"kind": "hourly", "most": 12, "per": "1min"},
                {"kind": "effect", "of": "speed", "input": "level", "least": 2.5, "within": "20s"},
            ],
            "plan": [{"hold": "30s", "values": {"speed": 20.0}}, {"hold": "10s", "values": {"speed": 0.0}}],
        },
        fields={"speed": "Quantity"},
        start={"speed": 20.0},
        inputs=("level",),
    ),
    Plant(
        name="valves",
        act={
            "lease": "15s", "age": "5s", "every": "1s",
            "interlocks": [
                {"kind": "conflict", "pairs": [
                    [{"of": "inlet", "equals": True}, {"of": "drain", "equals": True}],
                    [{"of": "inlet", "equals": True}, {"of": "level", "low": 4.0}],
                ]},
                {"kind": "require", "doing": [{"of": "drain", "equals": True}],
                 "needs": [{"of": "level", "low": 1.0}]},
                {"kind": "dwell", "of": "drain", "on": "4s", "off": "4s"},
                {"kind": "scope", "fields": ["inlet", "drain"]},
                {"kind": "authority", "models": ["worst"]},
            ],
            "plan": [{"hold": "20s", "values": {"inlet": False, "drain": False}}],
        },
        fields={"inlet": "Boolean", "drain": "Boolean"},
        start={"inlet": False, "drain": False},
        inputs=("level",),
    ),
    Plant(
        name="four ways",
        act={
            "lease": "30s", "age": "5s", "every": "1s",
            "interlocks": [
                {"kind": "sequence", "of": "phase",
                 "after": {"0": ["4"], "4": ["0", "1"], "1": ["5"], "5": ["1", "2"], "2": ["6"],
                           "6": ["2", "3"], "3": ["7"], "7": ["3", "0"]},
                 "least": {**dict.fromkeys("0123", "5s"), **dict.fromkeys("4567", "3s")}},
                {"kind": "starve", "of": "phase", "states": ["0", "1", "2", "3"], "most": "3min"},
            ],
            "plan": [{"hold": "15s", "values": {"phase": float(one)}} for one in range(4)],
        },
        fields={"phase": "Count"},
        start={"phase": 0.0},
    ),
    Plant(
        name="weir",
        act={
            "lease": "15s", "age": "5s", "every": "1s",
            "interlocks": [
                {"kind": "range", "of": "gate", "low": 0, "high": 1},
                {"kind": "approve", "k": 2, "of": ["ann", "bo", "cy"], "within": "8s",
                 "doing": [{"of": "gate", "low": 0.5}]},
                {"kind": "envelope", "kpis": {"k": {"high": 5.0}}, "within": "8s", "least_runs": 2,
                 "twin": "flood", "commands": {"gate": "basin/gate"}},
            ],
            "plan": [{"hold": "20s", "values": {"gate": 0.0}}],
        },
        fields={"gate": "Quantity"},
        start={"gate": 0.0},
    ),
)  # fmt: skip
