"""MQTT as the standard has it (OGC 18-088, sections 13 and 14; 17-079): creating, following, Tasks."""

from __future__ import annotations

import json
import queue
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import httpx
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.opened import Opened, opened
from tests.patience import PATIENCE_S, until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.service

NONE_S = 0.4


class Listener:
    """An MQTT client that keeps what it hears."""

    def __init__(self, port: int, *topics: str, qos: int = 0) -> None:
        self._heard: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._ready = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._message
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe([(topic, qos) for topic in topics])
        assert self._ready.wait(PATIENCE_S)

    def _message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        self._heard.put((message.topic, json.loads(message.payload)))

    def take(self, count: int = 1) -> list[tuple[str, Any]]:
        """Return the next messages, and make sure that no other follows."""
        found = [self._heard.get(timeout=PATIENCE_S) for _ in range(count)]
        time.sleep(NONE_S)
        assert self._heard.empty(), self._heard.get()
        return found

    def publish(self, topic: str, body: object, qos: int = 1) -> None:
        self._client.publish(topic, json.dumps(body), qos).wait_for_publish(PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    with opened(tmp_path_factory.mktemp("hub")) as node:
        yield node


def make(node: Opened, path: str, **body: Any) -> Any:
    answer = httpx.post(f"{node.root}/{path}", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["@iot.id"]


def get(node: Opened, path: str) -> Any:
    return httpx.get(f"{node.root}/{path}").raise_for_status().json()


def thing(node: Opened, **more: Any) -> int:
    location = {
        "name": "here",
        "description": "d",
        "encodingType": "application/geo+json",
        "location": {"type": "Point", "coordinates": [8, 49]},
    }
    return int(make(node, "Things", name="t", description="d", Locations=[location], **more))


def stream(node: Opened) -> int:
    kind = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
    sensor = {"name": "s", "description": "d", "encodingType": "text/html", "metadata": "about:blank"}
    made = make(
        node,
        f"Things({thing(node)})/Datastreams",
        name="ds",
        description="d",
        observationType=kind,
        unitOfMeasurement={"name": "metre", "symbol": "m", "definition": "ucum:m"},
        Sensor=sensor,
        ObservedProperty={"name": "p", "description": "d", "definition": "http://example.org/p"},
    )
    return int(made)


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_what_is_published_becomes_an_observation_and_is_heard_once_as_the_service_has_it(
    node: Opened, qos: int
) -> None:
    number = stream(node)
    topic = f"v1.1/Datastreams({number})/Observations"
    with Listener(node.mqtt_port, topic, qos=qos) as listener:
        listener.publish(topic, {"result": 7, "phenomenonTime": "2026-01-01T00:00:00Z"}, qos)
        [(heard, body)] = listener.take()
        assert heard == topic
        assert body == get(node, f"Datastreams({number})/Observations")["value"][0]
        body = {"result": 8, "Datastream": {"@iot.id": number}}
        listener.publish("v1.1/Observations", body, qos)
        assert listener.take()[0][1]["result"] == 8
        make(node, f"Datastreams({number})/Observations", result=9)
        assert listener.take()[0][1]["result"] == 9


def test_sets_entities_properties_and_selections_are_followed(node: Opened) -> None:
    with Listener(node.mqtt_port, "v1.1/Things?$select=description") as listener:
        number = thing(node)
        listener.take()  # what follows is told of changes alone: the making has been told
    topics = (
        "v1.1/Things",
        f"v1.1/Things({number})",
        f"v1.1/Things({number})/name",
        "v1.1/Things?$select=description",
        f"v1.1/Things({number})/Datastreams",
        "v1.1/Sensors",
    )
    with Listener(node.mqtt_port, *topics) as listener:
        httpx.patch(f"{node.root}/Things({number})", json={"name": "new"}).raise_for_status()
        whole = get(node, f"Things({number})")
        assert dict(listener.take(3)) == {topics[0]: whole, topics[1]: whole, topics[2]: {"name": "new"}}
        httpx.patch(f"{node.root}/Things({number})", json={"description": "x"}).raise_for_status()
        whole = get(node, f"Things({number})")
        assert dict(listener.take(3)) == {
            topics[0]: whole, topics[1]: whole, topics[3]: {"description": "x"},
        }  # fmt: skip
        other = int(make(node, "Things", name="other", description="y"))
        assert dict(listener.take(2)) == {
            topics[0]: get(node, f"Things({other})"), topics[3]: {"description": "y"},
        }  # fmt: skip


def test_what_a_deep_insert_makes_is_told_entity_by_entity(node: Opened) -> None:
    sets = ("Things", "Locations", "HistoricalLocations", "Datastreams", "Sensors", "FeaturesOfInterest")
    with Listener(node.mqtt_port, *(f"v1.1/{one}" for one in sets)) as listener:
        number = stream(node)
        heard = listener.take(5)
        assert {topic for topic, _ in heard} == {f"v1.1/{one}" for one in sets[:5]}
        for topic, body in heard:
            assert body == get(node, f"{topic.removeprefix('v1.1/')}({body['@iot.id']})")
        make(node, f"Datastreams({number})/Observations", result=1)  # makes the feature of the Location
        assert listener.take()[0][0] == "v1.1/FeaturesOfInterest"


def test_observations_that_are_changed_and_selected_are_told(node: Opened) -> None:
    number = stream(node)
    with Listener(node.mqtt_port, "v1.1/Observations") as listener:
        one = make(node, f"Datastreams({number})/Observations", result=1)
        listener.take()  # it has been told of; what comes below is of its change
    topic = f"v1.1/Datastreams({number})/Observations?$select=result"
    deep = f"v1.1/Datastreams({number})/Thing"
    with Listener(node.mqtt_port, topic, f"v1.1/Observations({one})/result", deep) as listener:
        httpx.patch(f"{node.root}/Observations({one})", json={"result": 2}).raise_for_status()
        assert dict(listener.take(2)) == {
            topic: {"result": 2},
            f"v1.1/Observations({one})/result": {"result": 2},
        }
        rows = [["2026-01-01T00:00:00Z", 3], ["2026-01-01T00:00:01Z", 4]]
        group = {
            "Datastream": {"@iot.id": number},
            "components": ["phenomenonTime", "result"],
            "dataArray": rows,
        }
        assert httpx.post(f"{node.root}/CreateObservations", json=[group]).status_code == 201
        assert sorted(body["result"] for _, body in listener.take(2)) == [3, 4]
        owner = get(node, f"Datastreams({number})/Thing")["@iot.id"]
        httpx.patch(f"{node.root}/Things({owner})", json={"name": "far"}).raise_for_status()
        [(heard, body)] = listener.take()
        assert heard == deep
        assert body["name"] == "far"


def test_wildcards_hear_each_plain_topic(node: Opened) -> None:
    number = stream(node)
    with Listener(node.mqtt_port, "v1.1/+/Observations") as listener:
        make(node, f"Datastreams({number})/Observations", result=5)
        heard = dict(listener.take(2))
        assert set(heard) >= {f"v1.1/Datastreams({number})/Observations"}
        assert all(body["result"] == 5 for body in heard.values())


def test_a_change_set_that_fails_is_not_told(node: Opened) -> None:
    with Listener(node.mqtt_port, "v1.1/Things") as listener:
        good = {"name": "good", "description": "d"}
        group = [
            {"id": "1", "atomicityGroup": "g", "method": "post", "url": "Things", "body": good},
            {"id": "2", "atomicityGroup": "g", "method": "post", "url": "Things", "body": {}},
        ]
        httpx.post(f"{node.root}/$batch", json={"requests": group}).raise_for_status()
        httpx.post(f"{node.root}/$batch", json={"requests": group[:1]}).raise_for_status()
        assert listener.take()[0][1]["name"] == "good"


def capability(node: Opened) -> tuple[int, int]:
    owner = thing(node)
    actuator = {"name": "a", "description": "d", "encodingType": "text/html", "metadata": "about:blank"}
    level = {
        "name": "level", "label": "level", "type": "Count",
        "constraint": {"type": "AllowedValues", "interval": [[0, 9]]},
    }  # fmt: skip
    made = make(
        node,
        "TaskingCapabilities",
        name="valve",
        description="d",
        taskingParameters={"type": "DataRecord", "field": [level]},
        Thing={"@iot.id": owner},
        Actuator=actuator,
    )
    return owner, int(made)


def state(node: Opened, task: int, wanted: str) -> Any:
    return until(lambda: get(node, f"Tasks({task})"), lambda seen: seen["status"] == wanted)


def test_a_task_reaches_the_device_and_its_answer_comes_back(node: Opened) -> None:
    owner, number = capability(node)
    task = make(node, f"TaskingCapabilities({number})/Tasks", taskingParameters={"level": 4})
    assert get(node, f"Tasks({task})")["status"] == "requested"  # the device is away
    with Listener(node.mqtt_port, f"nervure/tasks/{owner}", "v1.1/Tasks?$select=status") as device:
        (topic, asked), told = sorted(device.take(2))
        assert topic == f"nervure/tasks/{owner}"
        assert asked["@iot.id"] == task
        assert asked["taskingParameters"] == {"level": 4}
        assert told == ("v1.1/Tasks?$select=status", {"status": "dispatched"})
        device.publish(f"nervure/tasks/{owner}/{asked['id']}/status", {"status": "acknowledged"})
        device.publish(
            f"nervure/tasks/{owner}/{asked['id']}/status", {"status": "completed", "detail": "shut"}
        )
        done = state(node, task, "completed")
    assert [one["status"] for one in done["runLog"]] == [
        "requested",
        "checked",
        "dispatched",
        "acknowledged",
        "completed",
    ]
    assert done["runLog"][-1]["detail"] == "shut"


def test_a_task_is_made_by_mqtt(node: Opened) -> None:
    owner, number = capability(node)
    topic = f"v1.1/TaskingCapabilities({number})/Tasks"
    with Listener(node.mqtt_port, f"nervure/tasks/{owner}", topic) as client:
        client.publish(topic, {"taskingParameters": {"level": 3}})
        first, second = client.take(3)[:2]
        assert {first[0], second[0]} == {topic, f"nervure/tasks/{owner}"}
        body = {"taskingParameters": {"level": 2}, "TaskingCapability": {"@iot.id": number}}
        client.publish("v1.1/Tasks", body, qos=0)
        client.take(3)  # made, told to the device, dispatched
        client.publish(topic, {"taskingParameters": {"level": 99}})
        client.take(0)
    found = get(node, f"TaskingCapabilities({number})/Tasks?$orderby=id")["value"]
    assert [one["taskingParameters"]["level"] for one in found] == [3, 2]
    quarantine = httpx.get(f"{node.http}/status").json()["quarantine"]
    assert quarantine.get("malformed", 0) >= 0


def test_a_device_speaks_for_its_own_thing_only(node: Opened) -> None:
    owner, number = capability(node)
    task = make(node, f"TaskingCapabilities({number})/Tasks", taskingParameters={"level": 1})
    with Listener(node.mqtt_port, "nervure/tasks/987654321") as device:
        device.publish(f"nervure/tasks/{owner + 1000}/{task}/status", {"status": "completed"})
        device.publish(f"nervure/tasks/{owner}/{task}/status", {"status": "no such status"})
        device.take(0)
    assert get(node, f"Tasks({task})")["status"] == "requested"


def test_tasks_that_were_asked_are_told_after_a_restart(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("again")
    with opened(folder) as node:
        owner, number = capability(node)
        with Listener(node.mqtt_port, "v1.1/Things") as client:
            client.publish(f"v1.1/TaskingCapabilities({number})/Tasks", {"taskingParameters": {"level": 5}})
            task = make(node, "Tasks", taskingParameters={"level": 6}, TaskingCapability={"@iot.id": number})
    with opened(folder) as node:
        assert get(node, "Tasks?$count=true")["@iot.count"] == 2  # each once, however the node ended
        with Listener(node.mqtt_port, f"nervure/tasks/{owner}") as device:
            levels = [body["taskingParameters"]["level"] for _, body in device.take(2)]
        assert sorted(levels) == [5, 6]
        state(node, int(task), "dispatched")
