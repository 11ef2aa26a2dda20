"""Traffic by where it begins, in SUMO's route files, without the engine."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from nervure.twin.demand import Demand
from nervure.twin.scene import Scene, find_scene

ROUTES = """<routes>
  <vType id="car"/><route id="r" edges="south mid north"/>
  <flow id="a" begin="0" end="9" from="west" to="east" period="exp(0.1)"/>
  <flow id="b" begin="0" end="9" from="west" to="east" period="5"/>
  <flow id="c" begin="0" end="9" route="r" vehsPerHour="100"/>
  <flow id="d" begin="0" end="9" from="west" to="east" probability="0.8"/>
  <flow id="e" begin="0" end="9" from="west" to="east" number="7"/>
  {cars}
</routes>"""


def _scene(folder: Path, cars: int = 200) -> Scene:
    lines = [f'<vehicle id="v{at}" depart="{at}"><route edges="east west"/></vehicle>' for at in range(cars)]
    (folder / "own.rou.xml").write_text(ROUTES.format(cars="".join(lines)))
    return Scene(name="own", net=folder / "none.net.xml", routes=(folder / "own.rou.xml",))


def test_traffic_grows_where_it_begins(tmp_path: Path) -> None:
    demand = Demand(_scene(tmp_path))
    assert demand.origins == ("east", "south", "west")
    scene = demand.scaled({"west": 2.0, "east": 1.25}, tmp_path)
    tree = ET.parse(scene.routes[0]).getroot()
    flows = {one.get("id"): one for one in tree.iter("flow")}
    assert flows["a"].get("period") == "exp(0.2)"
    assert flows["b"].get("period") == "2.5"
    assert flows["c"].get("vehsPerHour") == "100"
    assert flows["d"].get("probability") == "1.0"
    assert flows["e"].get("number") == "14"
    names = [one.get("id") for one in tree.iter("vehicle")]
    assert len(set(names)) == len(names)
    assert len(names) == pytest.approx(250, abs=20)
    again = ET.parse(demand.scaled({"east": 1.25}, tmp_path).routes[0]).getroot()
    assert [one.get("id") for one in again.iter("vehicle")] == names
    assert not list(ET.parse(demand.scaled({"west": 0.0}, tmp_path).routes[0]).getroot().iter("flow"))[1:]


def test_our_own_nets_say_where_cars_come_from() -> None:
    assert Demand(find_scene("crossing")).origins == ("east_in", "north_in", "south_in", "west_in")
