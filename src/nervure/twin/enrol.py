"""A twin introduces itself to a platform by the public API alone, as whoever installs a field gateway does.

Every Thing of the twin becomes a Thing with its Datastreams, an Actuator and a TaskingCapability each for
what can be set, and a device that signs in for it. What is there already is kept; only the device gets
something new to sign in with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from nervure.core.error import ConflictError, NervureError, NotFoundError
from nervure.twin.api import Actuator, Description, Sensor

__all__ = ["Place", "enrol"]

_MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
_TIMEOUT_S = 60.0


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A Thing as the platform knows it: keys by sensor and by actuator, and what its device signs in with.

    Without a token nobody signs in.
    """

    thing: int
    name: str
    datastreams: Mapping[str, int]
    capabilities: Mapping[int, str]
    username: str
    token: str


def enrol(
    client: httpx.Client, about: Description, prefix: str, *, sign_in: bool = True
) -> tuple[Place, ...]:  # fmt: skip
    """Make or find everything; ``prefix`` stands before the names of Things and devices.

    ``client`` has the platform's address and may make entities and devices there; where nobody signs in
    (``access.open``) there are no devices to make. Raises NotFoundError where nobody answers, NervureError
    with the platform's own words where it refuses.
    """
    api = _Api(client)
    things = dict.fromkeys([*(one.thing for one in about.sensors), *(one.thing for one in about.actuators)])
    return tuple(_thing(api, about, name, f"{prefix}{name}", sign_in=sign_in) for name in things)


def _thing(api: _Api, about: Description, thing: str, name: str, *, sign_in: bool) -> Place:
    sensors = [one for one in about.sensors if one.thing == thing]
    key = api.found("Things", name)
    if key is None:
        key = api.made(
            "Things", _entity(name, f"{thing}, simulated by {about.engine}") | _location(name, sensors)
        )
    streams = api.names(f"Things({key})/Datastreams")
    for one in sensors:
        if one.name not in streams:
            streams[one.name] = api.made(f"Things({key})/Datastreams", _datastream(api, about, one))
    known = api.names(f"Things({key})/TaskingCapabilities")
    for actuator in about.actuators:
        if actuator.thing == thing and actuator.name not in known:
            known[actuator.name] = api.made("TaskingCapabilities", _capability(about, actuator, key))
    username, token = api.device(_username(name), key) if sign_in else (_username(name), "")
    wanted = {one.name for one in about.actuators}
    return Place(
        thing=key,
        name=name,
        datastreams={one.name: streams[one.name] for one in sensors},
        capabilities={at: one for one, at in known.items() if one in wanted},
        username=username,
        token=token,
    )


def _entity(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "description": description}


def _location(name: str, sensors: list[Sensor]) -> dict[str, Any]:
    place = next((one.place for one in sensors if one.place is not None), None)
    if place is None:
        return {}
    point = {"type": "Point", "coordinates": list(place)}
    about = {"encodingType": "application/geo+json", "location": point}
    return {"Locations": [_entity(name, "where it stands") | about]}


def _datastream(api: _Api, about: Description, one: Sensor) -> dict[str, Any]:
    unit = {"name": one.unit, "symbol": one.unit, "definition": f"https://ucum.org/ucum#{one.unit}"}
    document = {"encodingType": "text/plain", "metadata": about.engine}
    seen, source = api.found("ObservedProperties", one.signal), api.found("Sensors", about.name)
    more = {
        "observationType": _MEASUREMENT,
        "unitOfMeasurement": unit,
        "ObservedProperty": {"@iot.id": seen}
        if seen is not None
        else _entity(one.signal, one.signal) | {"definition": f"urn:nervure:{one.signal}"},
        "Sensor": {"@iot.id": source}
        if source is not None
        else _entity(about.name, "sensors of a twin") | document,
    }
    return _entity(one.name, f"{one.signal} of {one.thing}") | more


def _capability(about: Description, one: Actuator, thing: int) -> dict[str, Any]:
    field: dict[str, Any] = {
        "name": one.signal,
        "label": one.name,
        "type": "Quantity",
        "uom": {"code": one.unit},
        "constraint": {"type": "AllowedValues", "interval": [[one.low, one.high]]},
    }
    document = {"encodingType": "text/plain", "metadata": about.engine}
    return _entity(one.name, f"sets {one.signal} of {one.thing}") | {
        "taskingParameters": {"type": "DataRecord", "field": [field]},
        "properties": dict(one.about),
        "Thing": {"@iot.id": thing},
        "Actuator": _entity(one.name, f"{one.signal} of {one.thing}") | document,
    }


def _username(name: str) -> str:
    """Return a name for a device.

    >>> _username("crossing/mid 1")
    'crossing-mid-1'
    """
    return "".join(one if one.isalnum() else "-" for one in name.lower())[:60].strip("-")


class _Api:
    """The few requests that enrolment takes."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._found: dict[tuple[str, str], int] = {}

    def found(self, kind: str, name: str) -> int | None:
        """Return the key of what has this name, or None; the first if there are several."""
        if (kind, name) in self._found:
            return self._found[kind, name]
        quoted = name.replace("'", "''")
        answer = self._ask("GET", f"/v1.1/{kind}", params={"$filter": f"name eq '{quoted}'", "$select": "id"})
        values = answer.json()["value"]
        if values:
            self._found[kind, name] = int(values[0]["@iot.id"])
        return int(values[0]["@iot.id"]) if values else None

    def names(self, path: str) -> dict[str, int]:
        """Return the keys of all entities of a relation, by name."""
        found: dict[str, int] = {}
        page: str | None = f"/v1.1/{path}?$select=id,name&$top=1000"
        while page:
            answer = self._ask("GET", page).json()
            found |= {one["name"]: int(one["@iot.id"]) for one in answer["value"]}
            link = answer.get("@iot.nextLink")
            page = link[link.index("/v1.1/") :] if link else None
        return found

    def made(self, path: str, body: dict[str, Any]) -> int:
        """Make an entity and return its key."""
        where = self._ask("POST", f"/v1.1/{path}", json=body).headers["location"]
        return int(where[where.rindex("(") + 1 : where.rindex(")")])

    def device(self, name: str, thing: int) -> tuple[str, str]:
        """Make a device of a Thing, or give the one there is a new token."""
        try:
            answer = self._ask("POST", "/api/devices", json={"name": name, "thing": thing})
        except ConflictError:
            answer = self._ask("POST", f"/api/devices/{name}/rotate", json={})
        told = answer.json()
        return told["username"], told["token"]

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            answer = self._client.request(method, path, timeout=_TIMEOUT_S, **more)
        except httpx.TransportError as cause:
            raise NotFoundError(
                f"no node answers at {self._client.base_url}: {cause}", hint="start one with: nervure up"
            ) from cause
        if answer.status_code == httpx.codes.CONFLICT:
            raise ConflictError(answer.text[:500], where=path)
        if answer.is_error:
            raise NervureError(
                f"the node answered {answer.status_code}: {answer.text[:500]}", where=f"{method} {path}",
                hint="a token of an engineer is needed: nervure token add"
                if answer.status_code in (401, 403) else None,
            )  # fmt: skip
        return answer
