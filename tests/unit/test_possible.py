"""What cannot be: a client's Datastream says between which values it lies; twins say so of theirs."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from nervure.cli import main
from nervure.core.error import QueryError
from nervure.core.observation import Quality
from nervure.core.settings import Limits
from nervure.sense.intake import Intake
from nervure.store.catalogue import Catalogue
from nervure.store.scope import EVERYTHING
from nervure.store.write.writer import Writer
from nervure.twin.api import TwinError
from nervure.twin.find import open_twin
from nervure.twin.flood import Flood
from nervure.twin.sewer import Sewer
from tests.arrival import arrive
from tests.body import datastream, thing


def made(writer: Writer, possible: Any) -> int:
    body = datastream(properties={"possible": possible}, Thing=thing())
    return writer.create("Datastream", body, EVERYTHING).id


def marked(catalogue: Catalogue, stream: int, *values: float) -> list[int]:
    """Return the quality of readings as a node takes them."""
    taken, rejects = Intake(catalogue.datastreams(), Limits()).take(
        arrive(*((stream, {"result": value}) for value in values))
    )
    assert not rejects
    return [int(one) for one in taken.quality]


def test_what_a_client_says_is_possible_is_what_readings_are_held_against(
    writer: Writer, catalogue: Catalogue
) -> None:
    stream = made(writer, {"low": 0, "high": 200})
    assert marked(catalogue, stream, -4.0, 0.0, 200.5) == [Quality.OUT_OF_RANGE, 0, Quality.OUT_OF_RANGE]
    writer.change("Datastream", stream, {"name": "rain"})  # which says nothing of it
    assert marked(catalogue, stream, -4.0) == [Quality.OUT_OF_RANGE]
    writer.change("Datastream", stream, {"properties": {"possible": {"high": 10}}})
    assert marked(catalogue, stream, -4.0, 11.0) == [0, Quality.OUT_OF_RANGE]
    writer.change("Datastream", stream, {"properties": {}})
    assert marked(catalogue, stream, -4.0, 1e9) == [0, 0]


@pytest.mark.parametrize(
    ("possible", "said"),
    [
        ({"low": "0"}, "Expected `float"),
        ({"least": 0}, "unknown field `least`"),
        ([0, 1], "Expected `object`"),
        ({"low": 5, "high": 1}, "nothing lies between 5 and 1"),
    ],
)
def test_what_says_nothing_that_can_be_is_refused(writer: Writer, possible: Any, said: str) -> None:
    with pytest.raises(QueryError, match=said) as refused:
        made(writer, possible)
    assert refused.value.where == "$.properties.possible"


@pytest.mark.parametrize("name", ["rain_mm", "again_mm", "rain_h", "curve_number", "k_h"])
def test_no_flood_is_simulated_that_cannot_be(name: str) -> None:
    with pytest.raises(TwinError, match=f"{name} cannot be -1"):
        Flood().reset(scenario={name: -1.0})


@pytest.mark.parametrize("scenario", [{"rain_mm": -1.0}, {"area": 0.0}, {"width": 11.0}])
def test_nor_sewers(scenario: dict[str, float]) -> None:
    pytest.importorskip("pyswmm")
    with pytest.raises(TwinError, match="cannot be"):
        Sewer().reset(scenario=scenario)


@pytest.mark.parametrize("twin", ["flood", "sewer"])
def test_rain_that_cannot_have_fallen_calibrates_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], twin: str
) -> None:
    if twin == "sewer":
        pytest.importorskip("pyswmm")
    opened = open_twin(twin, net=None)
    opened.reset(seed=1, scenario={})
    rows = [dict(opened.step()) for _ in range(100)]
    opened.close()
    rain = next(name for name in rows[0] if name.endswith("/rain"))
    rows[40][rain] = -4.2
    file = tmp_path / "storm.csv"
    names = [name for name in rows[0] if name in (rain, "town/flow") or name.endswith("/level")]
    lines = itertools.chain([names], ([str(row[name]) for name in names] for row in rows))
    file.write_text("\n".join(map(",".join, lines)))
    assert main(["twin", "calibrate", twin, str(file)]) != 0
    assert f"{rain} is -4.2 in line 42: it cannot be below 0" in capsys.readouterr().err
