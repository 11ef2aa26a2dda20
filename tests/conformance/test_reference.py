"""Linking and unlinking by ``$ref`` (OData 4.0 part 1, section 11.4.6, which 18-088 takes its paths from)."""

from __future__ import annotations

import pytest

from tests.conformance.client import Client, Id, link
from tests.conformance.requirement import requirement
from tests.conformance.sample import datastream, location, observed_property, sensor, thing

LINK = requirement("create-update-delete/link-to-existing-entities")
SHAPES = ["@iot.id", "@odata.id", "@iot.selfLink", "id"]


def _body(client: Client, entities: str, key: Id, shape: str) -> dict[str, object]:
    if shape in {"@iot.id", "id"}:
        return {shape: key}
    return {shape: f"{client.root}/{entities}({key})"}


@LINK
@pytest.mark.parametrize("shape", SHAPES[:3])
def test_a_location_is_linked_to_a_thing(client: Client, shape: str) -> None:
    top, place = client.create("Things", thing()), client.create("Locations", location())
    body = _body(client, "Locations", place, shape)
    answer = client.send("POST", f"Things({top})/Locations/$ref", body)
    if shape == "@iot.selfLink" and answer.status_code == 400:
        return  # not a form the standards name
    assert answer.status_code in {200, 201, 204}, answer.text
    assert client.ids(f"Things({top})/Locations") == [place]


@LINK
def test_a_datastream_is_moved_to_another_thing(client: Client) -> None:
    stream = client.create("Datastreams", datastream(Thing=thing()))
    top = client.create("Things", thing())
    answer = client.send("PUT", f"Datastreams({stream})/Thing/$ref", link(top))
    assert answer.status_code in {200, 204}, answer.text
    assert client.get(f"Datastreams({stream})/Thing")["@iot.id"] == top


@LINK
def test_a_stream_is_put_below_a_thing(client: Client) -> None:
    stream = client.create("Datastreams", datastream(Thing=thing()))
    top = client.create("Things", thing())
    answer = client.send("POST", f"Things({top})/Datastreams/$ref", link(stream))
    assert answer.status_code in {200, 201, 204}, answer.text
    assert client.ids(f"Things({top})/Datastreams") == [stream]


@LINK
@pytest.mark.parametrize("form", ["path", "id", "relative"])
def test_a_location_is_taken_from_a_thing(client: Client, form: str) -> None:
    places = [client.create("Locations", location(encodingType=kind)) for kind in ("text/plain", "other")]
    top = client.create("Things", thing(Locations=[link(key) for key in places]))
    tails = {
        "path": f"Locations({places[0]})/$ref",
        "id": f"Locations/$ref?$id={client.root}/Locations({places[0]})",
        "relative": f"Locations/$ref?$id=../../Locations({places[0]})",
    }
    answer = client.send("DELETE", f"Things({top})/{tails[form]}")
    assert answer.status_code == 204, answer.text
    assert not answer.content
    assert client.ids(f"Things({top})/Locations") == [places[1]]
    assert client.there(f"Locations({places[0]})")


@LINK
@requirement("request-data/status-code")
@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "Things({top})/Locations/$ref", {"@iot.id": 987654321}, {400, 404, 409}),
        ("POST", "Things({top})/Locations/$ref", {}, {400}),
        ("POST", "Things(987654321)/Locations/$ref", {"@iot.id": 1}, {404}),
        ("POST", "Things({top})/Nothings/$ref", {"@iot.id": 1}, {404}),
        ("DELETE", "Things({top})/Locations(987654321)/$ref", None, {404}),
        ("DELETE", "Datastreams({stream})/Sensor/$ref", None, {400, 405, 409}),
        ("PUT", "Datastreams({stream})/Sensor/$ref", {"@iot.id": 987654321}, {400, 404, 409}),
        ("DELETE", "Things/$ref", None, {400, 404, 405}),
    ],
)
def test_what_cannot_be_linked(
    client: Client, method: str, path: str, body: dict[str, object] | None, expected: set[int]
) -> None:
    top = client.create("Things", thing())
    stream = client.create("Datastreams", datastream(Thing=link(top)))
    client.refuse(method, path.format(top=top, stream=stream), body, *expected)


@LINK
def test_put_of_a_sensor_and_a_property(client: Client) -> None:
    stream = client.create("Datastreams", datastream(Thing=thing()))
    tool = client.create("Sensors", sensor())
    watched = client.create("ObservedProperties", observed_property())
    for name, key in (("Sensor", tool), ("ObservedProperty", watched)):
        assert client.send("PUT", f"Datastreams({stream})/{name}/$ref", link(key)).status_code in {200, 204}
        assert client.get(f"Datastreams({stream})/{name}")["@iot.id"] == key
