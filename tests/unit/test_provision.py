"""What a solution declares is in the catalogue once: Things, Datastreams, and loops with their interlocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from nervure.cli.declare import declare
from nervure.core.entity import Thing
from nervure.core.error import SettingError
from nervure.core.interlock import Fresh, Range
from nervure.core.interlock_check import declared
from nervure.core.loop import capability
from nervure.core.settings import Project, Settings, Watched
from nervure.solutions import find, names
from nervure.store.catalogue import Catalogue
from nervure.store.loop import capabilities
from nervure.store.provision import Place, provision
from nervure.store.write.writer import Writer
from tests.acting import ENGINEER
from tests.unit.test_solution_loop import TOML, body

PLACES = [Place(name="tank 7"), Place(name="tank 8")]


def rows(catalogue: Catalogue) -> list[dict[str, Any]]:
    with catalogue.database.read() as connection:
        return [dict(one) for one in capabilities(connection)]


def test_the_loops_of_a_file_become_capabilities_with_interlocks_once(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    (tmp_path / "tanks.toml").write_text(TOML)
    tanks = find(str(tmp_path / "tanks.toml"))
    for _ in range(2):
        provision(catalogue, tanks, PLACES)
        assert [one["name"] for one in rows(catalogue)] == ["tank 7/pump", "tank 8/pump"]
    first = rows(catalogue)[0]
    read = declared(first["properties"], first["tasking_parameters"])
    assert read is not None
    assert read.fields == {"speed": "number", "way": "text", "on": "boolean"}
    assert [one.inputs for one in read.of(Fresh)] == [("tank 7/level",)]
    assert read.rests == ("tanks-forecast-level",)
    streams = {one.name for one in catalogue.datastreams()}
    assert {name for one in read.of(Fresh) for name in one.inputs} <= streams


def test_what_an_engineer_has_changed_or_made_stays(catalogue: Catalogue, writer: Writer) -> None:
    water = find("water")
    thing = catalogue.ensure_thing(Thing(name="A")).id
    own = writer.create("TaskingCapability", body("water/pressure", thing), ENGINEER).id
    provision(catalogue, water, [Place(name="A"), Place(name="B")])
    assert rows(catalogue)[0]["id"] == own
    assert [one["name"] for one in rows(catalogue)] == ["inlet", "B/pressure"]
    other = rows(catalogue)[1]
    act = other["properties"]["act"]
    act["interlocks"][0] |= {"low": 25.0}
    writer.change(
        "TaskingCapability", other["id"], {"properties": {**other["properties"], "act": act}}, ENGINEER
    )
    provision(catalogue, water, [Place(name="A"), Place(name="B")])
    changed = rows(catalogue)[1]
    read = declared(changed["properties"], changed["tasking_parameters"])
    assert read is not None
    assert [one.low for one in read.of(Range)] == [25.0]


@pytest.mark.parametrize("name", [one for one in names() if find(one).loops])
def test_every_loop_of_ours_is_provisioned_as_it_is_declared(name: str, catalogue: Catalogue) -> None:
    solution = find(name)
    provision(catalogue, solution, [Place(name="A")])
    wanted = [capability(one, name, solution.inputs("A")) for one in solution.loops]
    found = [(one["tasking_parameters"], one["properties"]) for one in rows(catalogue)]
    assert [declared(said, asked) for asked, said in found] == [
        declared(said, asked) for asked, said in wanted
    ]
    assert [said["loop"] for _, said in found] == [said["loop"] for _, said in wanted]


def test_a_thing_names_the_solution_of_a_file_by_file_or_by_name(tmp_path: Path) -> None:
    file = tmp_path / "tanks.toml"
    file.write_text(TOML)
    name = find(str(file)).name
    told = Settings(data=str(tmp_path / "data"), project=Project(solutions=(str(file),)))
    things = tuple(Watched(name=f"tank of {one}", solution=one) for one in (str(file), name))
    assert declare(replace(told, thing=things)) == 2
    made = Catalogue.open(told.catalogue_place)
    streams = {one.thing: one.solution for one in made.datastreams() if one.kind == "reading"}
    assert len(streams) == len(made.things()) == 2
    assert set(streams.values()) == {name}
    made.close()
    with pytest.raises(SettingError, match="'other', which does not run here"):
        declare(replace(told, thing=(Watched(name="tank", solution="other"),)))
