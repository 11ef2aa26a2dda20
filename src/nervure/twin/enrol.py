"""A twin introduces itself to a platform by the public API alone, as whoever installs a field gateway does.

Every Thing of the twin becomes a Thing with its Datastreams, one Actuator and TaskingCapability for what can
be set there, which declares its interlocks, and a device that signs in for it. What is there already is kept;
only the device gets something new to sign in with, and interlocks that the twin declares otherwise are
replaced; those that somebody has added stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from nervure.core.error import ConflictError, NervureError, NotFoundError
from nervure.core.settings import TOKEN
from nervure.twin.api import POSSIBLE, Actuator, Description, Sensor
from nervure.twin.keep import KINDS

__all__ = ["Place", "enrol", "refusal", "unknown"]

_MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
_TIMEOUT_S = 60.0
_ENGINEERS = ("rests", "promote")  # of a declaration: no twin says that


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A Thing as the platform knows it: keys by sensor, what can be set, and what its device signs in with.

    Without a token nobody signs in. ``fields`` are the actuators by the field of the capability,
    ``properties`` and ``parameters`` what the capability declares.
    """

    thing: int
    name: str
    datastreams: Mapping[str, int]
    username: str
    token: str
    capability: int | None = None
    fields: Mapping[str, str] = {}
    properties: Mapping[str, Any] = {}
    parameters: Mapping[str, Any] = {}
    papers: bytes = b""
    """What its guard is given by the platform, as JSON: with the key by which it knows orders."""


def enrol(
    client: httpx.Client, about: Description, prefix: str, *, kept: Mapping[str, Mapping[str, Any]],
    sign_in: bool = True,
) -> tuple[Place, ...]:  # fmt: skip
    """Make or find everything; ``prefix`` stands before the names of Things and devices.

    ``client`` has the platform's address and may make entities and devices there, and declare interlocks:
    ``kept`` are those of each Thing (:func:`nervure.twin.keep.keeps`). Where nobody signs in
    (``access.open``) there are no devices to make. Raises NotFoundError where nobody answers, NervureError
    with the platform's own words where it refuses.
    """
    api = _Api(client)
    things = dict.fromkeys([*(one.thing for one in about.sensors), *(one.thing for one in about.actuators)])
    return tuple(_thing(api, about, name, prefix, kept, sign_in=sign_in) for name in things)


def unknown(about: Description, kept: Mapping[str, Mapping[str, Any]]) -> tuple[Place, ...]:
    """Return the places of a twin that no platform knows of, for running it by its own plans."""
    things = dict.fromkeys([*(one.thing for one in about.sensors), *(one.thing for one in about.actuators)])
    found = []
    for number, thing in enumerate(things, start=1):
        actuators = [one for one in about.actuators if one.thing == thing]
        body = _capability(about, actuators, number, kept[thing]) if actuators else {}
        found.append(
            Place(
                thing=number, name=thing, username="", token="", capability=number if actuators else None,
                datastreams={one.name: 0 for one in about.sensors if one.thing == thing},
                fields={one.signal: one.name for one in actuators},
                properties=body.get("properties", {}), parameters=body.get("taskingParameters", {}),
            )
        )  # fmt: skip
    return tuple(found)


def _thing(
    api: _Api, about: Description, thing: str, prefix: str, kept: Mapping[str, Mapping[str, Any]], *,
    sign_in: bool,
) -> Place:  # fmt: skip
    name = f"{prefix}{thing}"
    sensors = [one for one in about.sensors if one.thing == thing]
    key = api.found("Things", name)
    if key is None:
        key = api.made(
            "Things", _entity(name, f"{thing}, simulated by {about.engine}") | _location(name, sensors)
        )
    streams = api.names(f"Things({key})/Datastreams")
    for one in sensors:
        if (declared := f"{prefix}{one.name}") in streams:  # by a solution that watches this Thing
            streams[one.name] = streams[declared]
        if one.name not in streams:
            streams[one.name] = api.made(f"Things({key})/Datastreams", _datastream(api, about, one))
    actuators = [one for one in about.actuators if one.thing == thing]
    body = _capability(about, actuators, key, kept[thing]) if actuators else {}
    capability, properties = _declared(api, key, body) if actuators else (None, {})
    username, token = api.device(_username(name), key) if sign_in else (_username(name), "")
    return Place(
        thing=key,
        name=name,
        datastreams={one.name: streams[one.name] for one in sensors},
        username=username,
        token=token,
        capability=capability,
        fields={one.signal: one.name for one in actuators},
        properties=properties,
        parameters=body.get("taskingParameters", {}),
        papers=api.papers(capability) if capability is not None else b"",
    )


def _declared(api: _Api, thing: int, body: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
    """Return the key of a capability that declares what it is to, and its properties; else it is changed."""
    known = api.names(f"Things({thing})/TaskingCapabilities")
    properties: dict[str, Any] = body["properties"]
    if body["name"] not in known:
        return api.made("TaskingCapabilities", dict(body)), properties
    key = known[body["name"]]
    there = api.there(f"TaskingCapabilities({key})").get("properties")
    properties = properties | {"act": _with(properties["act"], (there or {}).get("act") or {})}
    api.let(f"TaskingCapabilities({key})", {**body, "properties": properties})
    return key, properties


def _with(act: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a twin declares, with what an engineer has added to it: a twin knows nothing of people.

    Rules of kinds that twins do not declare stay, and those with a name that it does not give; so does what
    the loop rests on, and what it has to show for another mode.

    >>> mine = {"lease": "30s", "interlocks": [{"kind": "range", "of": "gate", "low": 0, "high": 1}]}
    >>> yes = {"kind": "approve", "k": 2}
    >>> before = {"lease": "9s", "rests": ["m"], "interlocks": [mine["interlocks"][0] | {"high": 2}, yes]}
    >>> found = _with(mine, before)
    >>> found["lease"], found["rests"], found["interlocks"] == [*mine["interlocks"], yes]
    ('30s', ['m'], True)
    """
    rules = list(act["interlocks"])
    names = {one.get("name", "") for one in rules} | {""}
    rules += [
        one
        for one in there.get("interlocks", ())
        if one.get("kind") not in KINDS or one.get("name", "") not in names
    ]
    more = {name: there[name] for name in _ENGINEERS if name in there}
    return {**more, **act, "interlocks": rules}


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
    if one.signal in POSSIBLE:
        more["properties"] = {"possible": POSSIBLE[one.signal]}
    return _entity(one.name, f"{one.signal} of {one.thing}") | more


def _capability(
    about: Description, actuators: list[Actuator], thing: int, act: Mapping[str, Any]
) -> dict[str, Any]:  # fmt: skip
    """Return what a Thing's actuators can be told, as one capability: a command to several comes whole."""
    fields = [
        {
            "name": one.signal, "label": one.name, "type": "Quantity", "uom": {"code": one.unit},
            "constraint": {"type": "AllowedValues", "interval": [[one.low, one.high]]},
        }
        for one in actuators
    ]  # fmt: skip
    name = actuators[0].name if len(actuators) == 1 else actuators[0].thing
    document = {"encodingType": "text/plain", "metadata": about.engine}
    sets = f"{', '.join(one.signal for one in actuators)} of {actuators[0].thing}"
    properties = {key: value for one in actuators for key, value in one.about.items()}
    return _entity(name, f"sets {sets}") | {
        "taskingParameters": {"type": "DataRecord", "field": fields},
        "properties": properties | {"act": dict(act)},
        "Thing": {"@iot.id": thing},
        "Actuator": _entity(name, sets) | document,
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

    def let(self, path: str, body: Mapping[str, Any]) -> None:
        """Let a capability declare this: it is changed where it is otherwise, which takes the right to."""
        there = self.there(path)
        part = {name: body[name] for name in ("taskingParameters", "properties")}
        if any(there.get(name) != value for name, value in part.items()):
            self._ask("PATCH", f"/v1.1/{path}", json=part)

    def there(self, path: str) -> dict[str, Any]:
        """Return an entity as it is."""
        found: dict[str, Any] = self._ask("GET", f"/v1.1/{path}").json()
        return found

    def papers(self, capability: int) -> bytes:
        """Return what the guard of a capability is given."""
        return self._ask("POST", f"/api/loops/{capability}/guard", json={}).content

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
            raise refusal(answer, f"{method} {path}")
        return answer


def refusal(answer: httpx.Response, where: str) -> NervureError:
    """Return a node's refusal in its own words, with what to do where somebody may not do what they ask.

    >>> told = httpx.Response(403, json={"message": "ann may not do this", "hint": "an admin can give it"})
    >>> refusal(told, "POST /v1.1/Tasks").what
    'the node answered 403: ann may not do this'
    """
    try:
        told = msgspec.json.decode(answer.content, type=_Refusal)
    except msgspec.DecodeError:
        told = _Refusal(message=answer.text[:500])
    hint = told.hint or None
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        hint = f"a token that is good: nervure token add OWNER NAME, then --token or {TOKEN}"
    elif answer.status_code == httpx.codes.FORBIDDEN:
        hint = (
            "an admin gives rights by name, then a new token has them: nervure user change OWNER"
            " --grant act --grant configure-interlock; nervure token add OWNER NAME"
        )
    return NervureError(
        f"the node answered {answer.status_code}: {told.message or answer.text[:500]}", where=where, hint=hint
    )


class _Refusal(msgspec.Struct):
    message: str = ""
    hint: str | None = None
