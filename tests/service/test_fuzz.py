"""Whatever comes to either door: no 500, nothing hangs, and the node goes on."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx
import paho.mqtt.client as paho
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

from nervure.core.sensorthings import KINDS
from tests.opened import Opened, opened
from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.service

HANGS_S = 10.0  # 2 s on a quiet machine; tests share theirs
NAMES = sorted({one.entities for one in KINDS} | {rel.name for one in KINDS for rel in one.relations})
WORDS = [
    *(
        "name",
        "result",
        "phenomenonTime",
        "properties/a/b[0]",
        "Datastream/Thing/name",
        "@iot.id",
        "location",
    ),
    *(
        "eq",
        "gt",
        "and",
        "or",
        "not",
        "add",
        "div",
        "in",
        "null",
        "true",
        "1",
        "-2.5",
        "1e400",
        "'x'",
        "''''",
    ),
    *("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z/2021-01-01T00:00:00Z", "duration'P1D'"),
    *("geography'POINT (1 2)'", "st_within(location,", "geo.distance(", "substring(", "year(", "now()"),
    *("(", ")", ",", "/", "$it", "%", "\\", "'", "\u00e9", "\U0001f30a"),
]
STEPS = st.sampled_from(
    [
        *NAMES,
        *(f"{name}(1)" for name in NAMES),
        *("$ref", "$value", "$count", "name", "result", "properties/a", "Things('a''b')", "Things(-1)"),
        *(f"Things({2**63})", "Things(", "Things()", "..", "%2e", "$batch", "%01", ""),
    ]
)
CLAUSES = st.tuples(
    st.sampled_from(
        [
            "$filter",
            "$orderby",
            "$expand",
            "$select",
            "$top",
            "$skip",
            "$count",
            "$resultFormat",
            "$skiptoken",
            "$x",
        ]
    ),
    st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=4)), max_size=8).map(" ".join),
)
BODY = [
    *("name", "description", "definition", "metadata", "encodingType", "location", "feature", "properties"),
    *(
        "unitOfMeasurement",
        "observationType",
        "result",
        "resultTime",
        "phenomenonTime",
        "validTime",
        "parameters",
    ),
    *(
        "taskingParameters",
        "time",
        "@iot.id",
        "Thing",
        "Datastream",
        "FeatureOfInterest",
        "requests",
        "components",
    ),
    *("dataArray", "op", "path", "value"),
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*NAMES, *BODY]), inner, max_size=4)
    ),
    max_leaves=12,
)
THING: dict[str, Any] = {
    "name": "pier",
    "description": "a pier",
    "Datastreams": [
        {
            "name": "level",
            "description": "of the water",
            "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
            "unitOfMeasurement": {"name": "metre", "symbol": "m", "definition": "m"},
            "Sensor": {"name": "s", "description": "s", "encodingType": "text/plain", "metadata": "s"},
            "ObservedProperty": {"name": "l", "definition": "http://example.org/l", "description": "l"},
        }
    ],
    "Locations": [
        {
            "name": "l",
            "description": "l",
            "encodingType": "application/geo+json",
            "location": {"type": "Point", "coordinates": [8.0, 46.0]},
        }
    ],
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    with opened(tmp_path_factory.mktemp("fuzz")) as one:
        assert httpx.post(f"{one.root}/Things", json=THING).status_code == 201
        yield one


@pytest.fixture(scope="module")
def client(node: Opened) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=node.root, timeout=HANGS_S) as one:
        yield one


FUZZ = settings(
    max_examples=250,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@FUZZ
@given(st.lists(STEPS, max_size=5).map("/".join), st.lists(CLAUSES, max_size=4))
def test_whatever_is_asked_is_answered(client: httpx.Client, path: str, query: list[tuple[str, str]]) -> None:
    answer = client.get(f"/{path}?{urlencode(query)}")
    assert answer.status_code in {200, 204, 400, 404, 405, 501}, answer.text


@FUZZ
@given(
    st.sampled_from(["POST", "PATCH", "PUT", "DELETE"]),
    st.lists(STEPS, min_size=1, max_size=3).map("/".join),
    VALUES,
    st.sampled_from(
        ["application/json", "application/json-patch+json", "multipart/mixed; boundary=x", "text/plain"]
    ),
)
def test_whatever_is_sent_is_answered(
    client: httpx.Client, method: str, path: str, value: Any, kind: str
) -> None:
    body = httpx.Request("POST", "http://x", json=_finite(value)).content
    answer = client.request(method, f"/{path}", content=body, headers={"content-type": kind})
    assert answer.status_code < 500 or answer.status_code == 501, answer.text


@FUZZ
@given(st.binary(max_size=64), st.sampled_from(["Things", "Observations", "$batch", "CreateObservations"]))
def test_bytes_that_are_no_json_are_refused(client: httpx.Client, body: bytes, place: str) -> None:
    answer = client.post(f"/{place}", content=body)
    assert 400 <= answer.status_code < 500 or answer.status_code in {200, 201}, answer.text


def test_whatever_is_published_the_node_goes_on(node: Opened, client: httpx.Client) -> None:
    thing = httpx.post(f"{node.root}/Things", json=THING).headers["location"]
    stream = httpx.get(f"{thing}/Datastreams").json()["value"][0]["@iot.id"]
    own = f"v1.1/Datastreams({stream})/Observations"
    chance = random.Random(7)
    topics = ["v1.1/Observations", own, "v1.1/Datastreams(999)/Observations"]
    topics += [
        "v1.1/Tasks",
        "v1.1/TaskingCapabilities(1)/Tasks",
        "nervure/tasks/1/2/status",
        "v1.1/Things",
        "a/b",
    ]
    seeds = [
        b'{"result": 1}',
        b'{"t0": 1, "dt": 1, "v": [1]}',
        b'[{"n": "a", "v": 1}]',
        b'{"taskingParameters": {}}',
    ]
    device = paho.Client(CallbackAPIVersion.VERSION2)
    device.connect("127.0.0.1", node.mqtt_port)
    device.loop_start()
    try:
        for _ in range(600):
            payload = bytearray(chance.choice(seeds))
            for _ in range(chance.randrange(4)):
                payload[chance.randrange(len(payload))] = chance.randrange(256)
            device.publish(chance.choice(topics), bytes(payload), qos=chance.randrange(2))
        device.publish(own, b'{"result": 4711}', qos=1).wait_for_publish(30)
    finally:
        device.disconnect()
        device.loop_stop()
    until(lambda: client.get("/Observations", params={"$filter": "result eq 4711"}).json()["value"])
    assert httpx.get(f"{node.http}/health").json() == {"status": "ok", "problems": []}


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    match value:
        case float():
            return value if abs(value) < 1e308 else str(value)
        case list():
            return [_finite(one) for one in value]
        case dict():
            return {name: _finite(one) for name, one in value.items()}
        case _:
            return value
