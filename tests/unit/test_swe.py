"""What is asked of an actuator, against what may be asked of it."""

from __future__ import annotations

from typing import Any

import pytest

from nervure.core.error import ConflictError, QueryError
from nervure.store.catalogue import Catalogue
from nervure.store.write.swe import check
from nervure.store.write.writer import Parent, Writer
from tests.body import SENSOR, rows, thing

LAMP = {
    "type": "DataRecord",
    "field": [
        {
            "name": "state",
            "type": "Category",
            "constraint": {"type": "AllowedTokens", "value": ["on", "off"]},
        },
        {
            "name": "level",
            "type": "Count",
            "optional": True,
            "constraint": {"type": "AllowedValues", "interval": [[0, 100]], "value": [255]},
        },
    ],
}


def numbers(**constraint: Any) -> dict[str, Any]:
    return {"type": "Quantity", "constraint": {"type": "AllowedValues", **constraint}}


COLOUR = {"type": "Text", "constraint": {"type": "AllowedTokens", "pattern": "#[0-9a-f]{6}"}}
SLOW = {"type": "Text", "constraint": {"pattern": "(a+)+"}}
EARLY = {"type": "Time", "constraint": {"interval": [["2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"]]}}
CHOICE = {"type": "DataChoice", "item": [{"name": "a", "type": "Count"}, {"name": "b", "type": "Text"}]}
ARRAY = {
    "type": "DataArray",
    "elementCount": {"type": "Count", "value": 2},
    "elementType": {"type": "Quantity"},
}
UP_TO = {"type": "DataArray", "elementCount": {"constraint": {"interval": [[0, 3]]}}, "elementType": COLOUR}
INSIDE = {"type": "DataRecord", "fields": [{"name": "lamp", "component": LAMP}]}


@pytest.mark.parametrize(
    ("description", "value"),
    [
        (LAMP, {"state": "on"}),
        (LAMP, {"state": "off", "level": 100}),
        (LAMP, {"state": "off", "level": 255}),
        ({"field": LAMP["field"]}, {"state": "on"}),
        (INSIDE, {"lamp": {"state": "on"}}),
        ({}, {"anything": 1}),
        ({"type": "DataRecord"}, {}),
        ({"type": "Spell"}, 5),
        ({"type": "Boolean"}, True),
        (numbers(), 1e9),
        (numbers(interval=[["-Infinity", 5]]), -1e9),
        ({**numbers(interval=[[0, 5]]), "nilValues": [{"value": -9999}]}, -9999),
        (COLOUR, "#00ff00"),
        ({"type": "Time"}, "2020-01-01T00:00:00Z"),
        (EARLY, "2020-06-01T00:00:00Z"),
        (CHOICE, {"b": "x"}),
        (ARRAY, [1, 2.5]),
        (UP_TO, ["#000000"]),
        ({"type": "Vector", "coordinate": [{"name": "x", "type": "Quantity"}]}, {"x": 1}),
        ({"type": "CountRange", "constraint": {"interval": [[0, 9]]}}, [1, 9]),
    ],
)
def test_what_is_described_may_be_asked(description: Any, value: Any) -> None:
    check(description, value)


@pytest.mark.parametrize(
    ("description", "value", "where"),
    [
        (LAMP, {"state": "on", "colour": 1}, "$.colour"),
        (LAMP, {}, "$"),
        (LAMP, [], "$"),
        (LAMP, {"state": "dim"}, "$.state"),
        (LAMP, {"state": 1}, "$.state"),
        (LAMP, {"state": "on", "level": 101}, "$.level"),
        (LAMP, {"state": "on", "level": 1.5}, "$.level"),
        (LAMP, {"state": "on", "level": True}, "$.level"),
        (INSIDE, {"lamp": {"state": "dim"}}, "$.lamp.state"),
        ({"type": "DataRecord"}, {"a": 1}, "$.a"),
        ({"type": "Boolean"}, "true", "$"),
        (numbers(value=[1, 2]), 3, "$"),
        (numbers(), "3", "$"),
        (numbers(), float("inf"), "$"),
        (COLOUR, "#00ff0", "$"),
        (COLOUR, "x#00ff00", "$"),
        (SLOW, "a" * 5_000 + "b", "$"),
        ({"type": "Text", "constraint": {"pattern": "("}}, "x", "$"),
        ({"type": "Time"}, "noon", "$"),
        (EARLY, "2022-06-01T00:00:00Z", "$"),
        (CHOICE, {"a": 1, "b": "x"}, "$"),
        (CHOICE, {"c": 1}, "$"),
        (CHOICE, {"a": "x"}, "$.a"),
        (ARRAY, [1], "$"),
        (ARRAY, 1, "$"),
        (ARRAY, [1, "x"], "$[1]"),
        (UP_TO, ["#000000"] * 4, "$"),
        ({"type": "CountRange", "constraint": {"interval": [[0, 9]]}}, [1, 10], "$[1]"),
        ({"type": "CountRange"}, [1], "$"),
    ],
)
def test_what_is_not_described_is_refused_with_its_place(description: Any, value: Any, where: str) -> None:
    with pytest.raises(QueryError) as caught:
        check(description, value)
    assert caught.value.where == where


def test_a_task_is_checked_and_its_log_grows(writer: Writer, catalogue: Catalogue) -> None:
    switch = {"name": "switch", "description": "On or off", "taskingParameters": LAMP}
    body = thing(TaskingCapabilities=[{**switch, "Actuator": SENSOR}])
    writer.create("Thing", body)
    below = Parent(kind="TaskingCapability", id=1, relation="Tasks")
    with pytest.raises(QueryError) as caught:
        writer.create("Task", {"taskingParameters": {"state": "dim"}}, parent=below)
    assert caught.value.where == "$.taskingParameters.state"
    made = writer.create(
        "Task", {"taskingParameters": {"state": "on"}, "status": "completed"}, parent=below
    ).id
    writer.task_status(made, "dispatched")
    writer.task_status(made, "dispatched")
    writer.task_status(made, "completed", "it shines")
    [row] = rows(catalogue, "task")
    assert row["status"] == "completed"
    assert [line["status"] for line in row["run_log"]] == ["requested", "checked", "dispatched", "completed"]
    assert row["run_log"][-1]["detail"] == "it shines"
    with pytest.raises(ConflictError, match="is completed"):
        writer.task_status(made, "failed")
    with pytest.raises(QueryError, match="no status"):
        writer.task_status(made, "happy")
    with pytest.raises(QueryError):
        writer.change("Task", made, {"taskingParameters": {"state": "dim"}})
