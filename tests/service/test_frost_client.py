"""Foreign clients, unchanged, against a node: `frost-sta-client` and `istsos4-client` from PyPI."""

from __future__ import annotations

import importlib
import itertools
from typing import TYPE_CHECKING, Any

import frost_sta_client as fsc
import geojson
import httpx
import pytest
import requests

from tests.opened import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.service,
    pytest.mark.filterwarnings("ignore:furl.pathstr is deprecated:DeprecationWarning"),  # frost-sta-client
]

istsos: Any = importlib.import_module("istsos4_client")  # its types know the names of the wire only
CELSIUS = {"name": "degree Celsius", "symbol": "°C", "definition": "ucum:Cel"}
MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with opened(tmp_path_factory.mktemp("frost")) as node:
        yield node.root


@pytest.fixture
def service(root: str) -> Any:
    return fsc.SensorThingsService(root)


def stream(service: Any, name: str) -> Any:
    """Make a Thing with a Location and a Datastream, all in one request; return the Datastream."""
    made = fsc.Datastream(
        name=name,
        description="air temperature",
        observation_type=MEASUREMENT,
        unit_of_measurement=fsc.UnitOfMeasurement(**CELSIUS),
        thing=fsc.Thing(
            name=f"house {name}",
            description="a house",
            properties={"floors": 2},
            locations=[
                fsc.Location(
                    name="here",
                    description="where it is",
                    encoding_type="application/geo+json",
                    location=geojson.Point((8.1, 49.2)),
                )
            ],
        ),
        sensor=fsc.Sensor(
            name="thermometer", description="a sensor", encoding_type="text/html", metadata="about:blank"
        ),
        observed_property=fsc.ObservedProperty(
            name="temperature", description="how warm", definition="http://qudt.org/Temperature"
        ),
    )
    service.create(made)
    return service.datastreams().find(made.id)


def observe(service: Any, datastream: Any, count: int, day: int = 1) -> list[Any]:
    found = []
    for number in range(count):
        one = fsc.Observation(
            result=number,
            phenomenon_time=f"2026-01-{day:02d}T{number:02d}:00:00Z",
            datastream=fsc.Datastream(id=datastream.id),
        )
        service.create(one)
        found.append(one)
    return found


def test_create_inline_and_linked_then_find_and_expand(service: Any) -> None:
    datastream = stream(service, "inline")
    assert datastream.name == "inline"
    assert datastream.unit_of_measurement.symbol == "°C"
    linked = fsc.Datastream(
        name="linked",
        description="the same, again",
        observation_type=MEASUREMENT,
        unit_of_measurement=fsc.UnitOfMeasurement(**CELSIUS),
        thing=datastream.thing or fsc.Thing(id=1),
        sensor=fsc.Sensor(id=1),
        observed_property=fsc.ObservedProperty(id=1),
    )
    service.create(linked)
    query = service.datastreams().query().filter(f"id eq {linked.id}").expand("Thing,Sensor")
    found = query.list().get(0)
    assert found.thing.id == 1
    assert found.sensor.name == "thermometer"
    thing = service.things().find(found.thing.id)
    names = [one.name for one in thing.get_datastreams().query().list()]
    assert {"inline", "linked"} <= set(names)


def test_filter_order_top_count_and_every_next_link(service: Any) -> None:
    datastream = stream(service, "pages")
    observe(service, datastream, 20)
    query = service.observations().query().filter(f"Datastream/id eq {datastream.id} and result ge 5")
    found = query.orderby("result", "DESC").top(4).count().list()
    assert found.count == 15
    assert [one.result for one in found] == list(range(19, 4, -1))
    assert [one.result for one in datastream.get_observations().query().top(3).list()] == list(range(20))


def test_change_by_put_and_by_json_patch(service: Any) -> None:
    datastream = stream(service, "changes")
    things = service.things().query().filter("name eq 'house changes'").list()
    thing = things.get(0)
    thing.description = "a bigger house"
    service.update(thing)
    assert service.things().find(thing.id).description == "a bigger house"
    service.patch(thing, [{"op": "replace", "path": "/properties/floors", "value": 3}])
    assert service.things().find(thing.id).properties == {"floors": 3}
    one = observe(service, datastream, 1)[0]
    one.result = 21.5
    one.datastream = fsc.Datastream(id=datastream.id)
    service.update(one)
    assert service.observations().find(one.id).result == 21.5
    service.patch(one, [{"op": "replace", "path": "/result", "value": 22.5}])
    assert service.observations().find(one.id).result == 22.5


def test_a_data_array_document(service: Any) -> None:
    datastream = stream(service, "arrays")
    value = fsc.model.ext.data_array_value.DataArrayValue()
    kind = fsc.model.ext.data_array_value.DataArrayValue.Property
    value.datastream = fsc.Datastream(id=datastream.id)
    value.components = {kind.PHENOMENON_TIME, kind.RESULT}
    for number in range(10):
        value.add_observation(
            fsc.Observation(result=number, phenomenon_time=f"2026-02-01T{number:02d}:00:00Z")
        )
    document = fsc.model.ext.data_array_document.DataArrayDocument()
    document.add_data_array_value(value)
    links = service.observations().create(document)
    assert len(links) == 10
    results = [requests.get(one.self_link, timeout=10).json()["result"] for one in links]
    assert results == list(range(10))


def test_actuator_capability_and_task(service: Any) -> None:
    stream(service, "tasks")
    thing = service.things().query().filter("name eq 'house tasks'").list().get(0)
    capability = fsc.TaskingCapability(
        name="light",
        description="switches it",
        tasking_parameters={
            "type": "DataRecord",
            "field": [{"name": "on", "label": "on", "type": "Boolean", "description": "on or off"}],
        },
        thing=fsc.Thing(id=thing.id),
        actuator=fsc.Actuator(
            name="relay", description="a relay", encoding_type="text/html", metadata="about:blank"
        ),
    )
    service.create(capability)
    task = fsc.Task(
        tasking_parameters={"on": True}, tasking_capability=fsc.TaskingCapability(id=capability.id)
    )
    service.create(task)
    found = service.tasks().find(task.id)
    assert found.tasking_parameters == {"on": True}
    assert found.creation_time
    assert [one.name for one in service.actuators().query().list()] == ["relay"]
    bad = fsc.Task(tasking_parameters={"on": 7}, tasking_capability=fsc.TaskingCapability(id=capability.id))
    with pytest.raises(requests.HTTPError, match="400"):
        service.create(bad)
    service.delete(task)
    assert service.tasks().query().list().entities == []


def test_delete_takes_along_what_cannot_be_without(service: Any) -> None:
    datastream = stream(service, "gone")
    one = observe(service, datastream, 3)[0]
    thing = service.things().query().filter("name eq 'house gone'").list().get(0)
    service.delete(one)
    with pytest.raises(requests.HTTPError, match="404"):
        service.observations().find(one.id)
    assert len(datastream.get_observations().query().list().entities) == 2
    service.delete(thing)
    with pytest.raises(requests.HTTPError, match="404"):
        service.datastreams().find(datastream.id)
    left = service.observations().query().filter(f"Datastream/id eq {datastream.id}").list()
    assert left.entities == []


def test_keys_that_the_client_chose(root: str) -> None:
    thing = {"@iot.id": "it's a key", "name": "keyed", "description": "by the client"}
    made = httpx.post(f"{root}/Things", json=thing)
    assert made.status_code == 201
    assert httpx.get(made.headers["location"]).json()["@iot.id"] == "it's a key"
    assert httpx.post(f"{root}/Things", json=thing).status_code == 409


def _level(thing: istsos.Thing) -> istsos.Datastream:
    return istsos.Datastream(
        name="level of the well",
        description="metres",
        observation_type=MEASUREMENT,
        unit_of_measurement=istsos.UnitOfMeasurement(name="metre", symbol="m", definition="ucum:m"),
        thing=thing,
        sensor=istsos.Sensor(
            name="probe", description="a probe", encoding_type="text/html", metadata="about:blank"
        ),
        observed_property=istsos.ObservedProperty(
            name="level", description="of water", definition="http://example.org/level"
        ),
    )


def test_istsos4_client(root: str) -> None:
    with istsos.Client(root, max_retries=0) as client:
        place = {"type": "Point", "coordinates": [8.9, 46.0]}
        field = istsos.Location(
            name="field", description="a field", encoding_type="application/geo+json", location=place
        )
        thing = client.post(
            istsos.Thing(name="well", description="a well", properties={"depth": 12}, locations=[field])
        )
        datastream = client.post(_level(thing))
        for hour in range(5):
            client.post(
                istsos.Observation(
                    result=hour / 2,
                    phenomenon_time=f"2026-03-01T{hour:02d}:00:00Z",
                    datastream=datastream.iot_id,
                )
            )
        ours = f"Datastream/id eq {datastream.iot_id}"
        found = client.list(istsos.Observation, filter=ours, orderby="phenomenonTime desc", top=2)
        assert [one.result for one in found] == [2, 1.5, 1, 0.5, 0]
        lazily = client.iter_list(istsos.Observation, filter=f"{ours} and result gt 0.5", top=1)
        assert len(list(itertools.islice(lazily, 2))) == 2
        first = found[-1]
        client.patch(istsos.Observation(iot_id=first.iot_id, result=7.25))
        assert client.get(istsos.Observation, first.iot_id).result == 7.25
        client.delete(istsos.Datastream, datastream.iot_id)
        assert client.list(istsos.Observation, filter=ours) == []
