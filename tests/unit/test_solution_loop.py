"""Loops are declared with a solution, in Python or TOML; a capability that names one gets its declaration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nervure.act.loop import Loop as Running
from nervure.core.declaration import Signal, Solution, validate
from nervure.core.error import DeclarationError, DeniedError, QueryError
from nervure.core.interlock import Fresh, Range, Rate, Step
from nervure.core.interlock_check import declared
from nervure.core.loop import Loop, Setting, capability, parameters
from nervure.solutions import find, names
from nervure.store.catalogue import Catalogue
from nervure.store.loop import capabilities
from nervure.store.scope import EVERYTHING
from nervure.store.write.writer import Writer
from tests.acting import ENGINEER

S = 1_000_000_000
PUMP = Loop(
    command="pump",
    policy="mpc",
    sets=(Setting(name="speed", unit="%"),),
    interlocks=(
        Range(of="speed", low=0, high=100), Rate(of="speed", most=20),
        Fresh(inputs=("level", "rain"), within="1h"),
    ),
    plan=(Step(hold="1h", values={"speed": 40.0}),),
)  # fmt: skip
TANKS = Solution(
    name="tanks", title="Tanks", thing="tank",
    signals=(
        Signal(name="level", unit="m", every="5min"), Signal(name="rain", unit="mm", every="1h", site=True),
    ),
    loops=(PUMP,),
)  # fmt: skip

TOML = """
name = "tanks"
title = "Tanks"
thing = "tank"
[[signals]]
name = "level"
unit = "m"
every = "5min"
[[problems]]
type = "forecast"
of = "level"
horizon = "1h"
window = "1d"
[[loops]]
command = "pump"
rests = ["forecast-level"]
sets = [{ name = "speed", unit = "%" }, { name = "way", options = ["in", "out"] }, { name = "on" }]
interlocks = [{ kind = "fresh", inputs = ["level"], within = "1h" }]
"""


def changed(**more: Any) -> Solution:
    from msgspec.structs import replace

    return replace(TANKS, loops=(replace(PUMP, **more),))


def test_signals_of_a_loop_stand_for_those_of_the_thing() -> None:
    asked, properties = capability(TANKS.loop("pump"), "tanks", TANKS.inputs("tank 7"))
    read = declared(properties, asked)
    assert read is not None
    (fresh,) = read.of(Fresh)
    assert fresh.inputs == ("tank 7/level", "rain")
    assert properties["act"]["interlocks"][-1] == {"kind": "authority", "models": ["mpc"]}
    assert properties["loop"] == "tanks/pump"
    assert validate(TANKS) is TANKS


@pytest.mark.parametrize(
    ("more", "says", "where"),
    [
        ({"rests": ("forecast-level",)}, "no problem 'forecast-level' to rest on", "$.loops[0].rests"),
        ({"interlocks": (Range(of="sped", low=0),)}, "no field 'sped'", "$.loops[0].interlocks[0].of"),
        ({"interlocks": (Fresh(inputs=("flow",), within="1h"),)}, "no signal 'flow'", "[0].interlocks[0]"),
        ({"plan": (Step(hold="1h", values={"speed": 400.0}),)}, "outside its range", "$.loops[0].plan[0]"),
        ({"lease": "soon"}, "is not a duration", "$.loops[0].lease"),
    ],
)  # fmt: skip
def test_a_wrong_loop_says_what_and_where(more: dict[str, Any], says: str, where: str) -> None:
    with pytest.raises(DeclarationError, match=says) as caught:
        validate(changed(**more))
    assert where in (caught.value.where or "")


def test_a_solution_may_be_toml_or_have_its_loops_in_toml_beside_it(tmp_path: Path) -> None:
    whole = tmp_path / "tanks.toml"
    whole.write_text(TOML)
    (loop,) = find(str(whole)).loops
    kinds = [one["type"] for one in parameters(loop)["field"]]
    assert kinds == ["Quantity", "Category", "Boolean"]
    plain = tmp_path / "noise.py"
    plain.write_text(
        "from nervure.core.declaration import Signal, Solution\n"
        'solution = Solution(name="noise", title="Noise", thing="place",'
        ' signals=(Signal(name="level", unit="dB", every="1min"),))\n'
    )
    assert find(str(plain)).loops == ()
    beside = tmp_path / "noise.loops.toml"
    beside.write_text('[[loops]]\ncommand = "speed"\nsets = [{ name = "limit", unit = "km/h" }]\n')
    assert [one.command for one in find(str(plain)).loops] == ["speed"]
    beside.write_text('[[loops]]\ncommand = "speed"\nset = []\n')
    with pytest.raises(
        DeclarationError, match="cannot be read: Object contains unknown field `set`"
    ) as caught:
        find(str(plain))
    assert caught.value.where == f"{beside} $.loops[0]"


@pytest.mark.parametrize("name", names())
def test_every_loop_of_ours_can_be_run(name: str) -> None:
    """On its plan for a day, asked for what it must not do all the time, it stays on its plan."""
    solution = find(name)
    for loop in solution.loops:
        asked, properties = capability(loop, name, solution.inputs("A"))
        read = declared(properties, asked)
        assert read is not None
        running = Running(read, dict(read.plan[0].values), model=loop.policy or "any", now_ns=0)
        for hour in range(24):
            running.step(hour * 3600 * S)
            running.command(dict.fromkeys(read.fields, 1e9), hour * 3600 * S)
        assert set(running.rulings) <= {"rejected", "awaiting approval"}
        assert running.values in [dict(one.values) for one in read.plan]


def test_there_are_loops_where_there_is_something_to_set() -> None:
    assert {name for name in names() if find(name).loops} == {
        "energy",
        "flood",
        "machine",
        "traffic",
        "water",
    }


def body(mark: str, thing: int) -> dict[str, Any]:
    return {
        "name": "inlet", "description": "The valve", "properties": {"loop": mark},
        "taskingParameters": {"type": "DataRecord", "field": []}, "Thing": {"@iot.id": thing},
        "Actuator": {
            "name": "valve", "description": "A valve", "encodingType": "text/html", "metadata": "about:blank",
        },
    }  # fmt: skip


def test_a_capability_that_names_a_loop_gets_its_declaration(catalogue: Catalogue, writer: Writer) -> None:
    thing = writer.create("Thing", {"name": "DMA A", "description": "An area"}, EVERYTHING).id
    made = writer.create("TaskingCapability", body("water/pressure", thing), ENGINEER).id
    with catalogue.database.read() as connection:
        (row,) = [one for one in capabilities(connection) if one["id"] == made]
    read = declared(row["properties"], row["tasking_parameters"])
    assert read is not None
    assert read.fields == {"pressure": "number"}
    assert [one.inputs for one in read.of(Fresh)] == [("DMA A/inflow",)]
    assert read.rests == ("water-forecast-inflow",)
    with pytest.raises(DeniedError, match="configure-interlock"):
        writer.create("TaskingCapability", body("water/pressure", thing), EVERYTHING)
    with pytest.raises(QueryError, match="water: no loop 'pump'"):
        writer.create("TaskingCapability", body("water/pump", thing), ENGINEER)
    with pytest.raises(QueryError, match=r"there is no solution 'x\.py'"):
        writer.create("TaskingCapability", body("x.py/pump", thing), ENGINEER)
    own = body("water/pressure", thing)
    own["properties"]["act"] = {"interlocks": []}
    own["taskingParameters"]["field"] = [{"name": "on", "label": "on", "type": "Boolean"}]
    kept = writer.create("TaskingCapability", own, ENGINEER).id
    with catalogue.database.read() as connection:
        (row,) = [one for one in capabilities(connection) if one["id"] == kept]
    assert row["properties"]["act"] == {"interlocks": []}
