"""A Thing in the words of others: as an NGSI-LD entity and as a W3C WoT Thing Description.

    GET /v1.1/Things(1)/ngsi-ld   ETSI GS CIM 009, 4.5: a Property for each Datastream's last result
    GET /v1.1/Things(1)/td        WoT Thing Description 1.1: how to read, to follow and to act

Both are read from the same rows as the Thing itself, when they are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

__all__ = ["QUERY", "VIEWS", "ngsi_ld", "thing_description"]

QUERY = (
    "$expand=Locations,"
    "Datastreams($expand=Observations($top=1;$orderby=phenomenonTime%20desc),ObservedProperty),"
    "MultiDatastreams($expand=Observations($top=1;$orderby=phenomenonTime%20desc)),"
    "TaskingCapabilities"
)
"""What both views read of a Thing."""

_CORE = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld"
_TD = "https://www.w3.org/2022/wot/td/v1.1"
_LAST = "Observations?$top=1&$orderby=phenomenonTime%20desc&$select=result,phenomenonTime"

_UNIT_CODES = {
    "Cel": "CEL", "m": "MTR", "mm": "MMT", "km": "KMT", "m/s": "MTS", "km/h": "KMH", "L/s": "G51",
    "m3/h": "MQH", "m3": "MTQ", "L": "LTR", "Pa": "PAL", "hPa": "A97", "bar": "BAR", "W": "WTT",
    "kW": "KWT", "kW.h": "KWH", "V": "VLT", "A": "AMP", "Hz": "HTZ", "s": "SEC", "min": "MIN", "h": "HUR",
    "kg": "KGM", "g": "GRM", "ug/m3": "GQ", "mg/m3": "GP", "%": "P1", "[ppm]": "59", "[ppb]": "61",
    "lx": "LUX", "dB": "2N", "deg": "DD",
}  # fmt: skip
"""UN/CEFACT codes, which NGSI-LD asks for, of UCUM codes."""

_TYPES = {
    "OM_Measurement": "number",
    "OM_CountObservation": "integer",
    "OM_TruthObservation": "boolean",
    "OM_CategoryObservation": "string",
}
_SIMPLE = {
    "Boolean": "boolean", "Quantity": "number", "Count": "integer", "Text": "string",
    "Category": "string", "Time": "string",
}  # fmt: skip


def ngsi_ld(thing: Mapping[str, Any], base: str) -> dict[str, Any]:
    """Write a Thing, read with :data:`QUERY`, as an NGSI-LD entity."""
    found: dict[str, Any] = {
        "id": _urn("Thing", thing["@iot.id"]),
        "type": "Thing",
        "name": _property(thing["name"]),
        "description": _property(thing["description"]),
        "sameAs": _property(thing["@iot.selfLink"]),
    }
    if thing.get("properties"):
        found["properties"] = _property(thing["properties"])
    for location in thing["Locations"]:
        if place := _geometry(location["location"]):
            found["location"] = {"type": "GeoProperty", "value": place}
            break
    for stream, name in _named(thing["Datastreams"] + thing["MultiDatastreams"], taken=found):
        if stream["Observations"]:
            found[name] = _measured(stream, stream["Observations"][0], base)
    found["@context"] = [_CORE]
    return found


def thing_description(
    thing: Mapping[str, Any], base: str, *, mqtt: Sequence[str] = (), signed_in: bool = False
) -> dict[str, Any]:
    """Write a Thing, read with :data:`QUERY`, as a WoT Thing Description.

    ``mqtt`` are the addresses of the MQTT door; ``signed_in``: a bearer token is needed.
    """
    scheme = {"scheme": "bearer", "in": "header"} if signed_in else {"scheme": "nosec"}
    streams = thing["Datastreams"] + thing["MultiDatastreams"]
    return {
        "@context": [_TD, {"sta": "http://www.opengis.net/spec/iot_sensing/1.1/"}],
        "@type": "sta:Thing",
        "id": _urn("Thing", thing["@iot.id"]),
        "title": thing["name"],
        "description": thing["description"],
        "securityDefinitions": {"access": scheme},
        "security": ["access"],
        "base": f"{base}/",
        "links": [
            {"href": _path(thing["@iot.selfLink"], base), "rel": "alternate", "type": "application/json"}
        ],
        "properties": {name: _affordance(one, base, mqtt) for one, name in _named(streams)},
        "actions": {name: _action(one, base) for one, name in _named(thing["TaskingCapabilities"])},
    }


VIEWS = {"ngsi-ld": "application/ld+json", "td": "application/td+json"}
"""The views by the last word of their path, and their media types."""


def _urn(kind: str, name: int | str) -> str:
    return f"urn:ngsi-ld:{kind}:{quote(str(name), safe='')}"


def _property(value: Any) -> dict[str, Any]:
    return {"type": "Property", "value": value}


def _geometry(location: Any) -> Any:
    """Return the GeoJSON geometry in a location, or None."""
    if not isinstance(location, dict):
        return None
    inner = location.get("geometry") if location.get("type") == "Feature" else location
    return inner if isinstance(inner, dict) and "coordinates" in inner else None


def _named(
    entities: Sequence[Mapping[str, Any]], taken: Mapping[str, Any] | None = None
) -> list[tuple[Mapping[str, Any], str]]:
    """Give each entity a name of letters, digits and ``_``, no two the same.

    >>> [name for _, name in _named([{"name": "air °C", "@iot.id": 1}, {"name": "air/C", "@iot.id": 2}])]
    ['air_C', 'air_C_2']
    """
    used = set(taken or ())
    found = []
    for one in entities:
        name = re.sub(r"[^A-Za-z0-9]+", "_", one["name"]).strip("_") or "stream"
        name = f"_{name}" if name[0].isdigit() else name
        if name in used:
            name = f"{name}_{re.sub(r'[^A-Za-z0-9]+', '_', str(one['@iot.id']))}"
        used.add(name)
        found.append((one, name))
    return found


def _measured(stream: Mapping[str, Any], last: Mapping[str, Any], base: str) -> dict[str, Any]:
    found = _property(last["result"]) | {"observedAt": last["phenomenonTime"].rpartition("/")[2]}
    unit = stream.get("unitOfMeasurement") or {}
    code = str(unit.get("definition") or "").removeprefix("ucum:")
    symbol = str(unit.get("symbol") or "")
    if known := _UNIT_CODES.get(code) or _UNIT_CODES.get(symbol):
        found["unitCode"] = known
    if symbol:
        found["unit"] = _property(
            {name: unit[name] for name in ("name", "symbol", "definition") if name in unit}
        )
    if stream.get("ObservedProperty"):
        found["observedProperty"] = _property(stream["ObservedProperty"].get("definition"))
    kind = "Datastream" if "ObservedProperty" in stream else "MultiDatastream"
    found["datastream"] = {"type": "Relationship", "object": _urn(kind, stream["@iot.id"])}
    found["sameAs"] = _property(_path(stream["@iot.selfLink"], base))
    return found


def _path(address: str, base: str) -> str:
    return address.removeprefix(f"{base}/")


def _affordance(stream: Mapping[str, Any], base: str, mqtt: Sequence[str]) -> dict[str, Any]:
    place = _path(stream["@iot.selfLink"], base)
    forms: list[dict[str, Any]] = [
        {"href": f"{place}/{_LAST}", "contentType": "application/json", "op": "readproperty"}
    ]
    forms += [
        {
            "href": door,
            "mqv:filter": f"{urlsplit(base).path.strip('/')}/{place}/Observations",
            "mqv:controlPacket": "subscribe",
            "contentType": "application/json",
            "op": ["observeproperty", "unobserveproperty"],
        }
        for door in mqtt
    ]
    found: dict[str, Any] = {
        "title": stream["name"],
        "description": stream["description"],
        "readOnly": True,
        "observable": bool(mqtt),
        "forms": forms,
    }
    if kind := _TYPES.get(str(stream.get("observationType")).rpartition("/")[2]):
        found["type"] = kind
    elif "multiObservationDataTypes" in stream:
        found["type"] = "array"
    if symbol := (stream.get("unitOfMeasurement") or {}).get("symbol"):
        found["unit"] = symbol
    return found


def _action(capability: Mapping[str, Any], base: str) -> dict[str, Any]:
    place = _path(capability["@iot.selfLink"], base)
    return {
        "title": capability["name"],
        "description": capability["description"],
        "input": {
            "type": "object",
            "properties": {"taskingParameters": _schema(capability["taskingParameters"])},
            "required": ["taskingParameters"],
        },
        "safe": False,
        "idempotent": False,
        "forms": [
            {
                "href": f"{place}/Tasks",
                "htv:methodName": "POST",
                "contentType": "application/json",
                "op": "invokeaction",
            }
        ],
    }


def _schema(component: Any) -> dict[str, Any]:
    """Return the JSON Schema of a SWE Common component (OGC 08-094), as far as it says one.

    >>> _schema({"type": "Count", "constraint": {"type": "AllowedValues", "interval": [[0, 9]]}})
    {'type': 'integer', 'minimum': 0, 'maximum': 9}
    """
    if not isinstance(component, dict):
        return {}
    kind = str(component.get("type"))
    found: dict[str, Any] = {}
    if kind in {"DataRecord", "Vector"}:
        fields = [one for one in component.get("field", ()) if isinstance(one, dict) and "name" in one]
        found["type"] = "object"
        found["properties"] = {one["name"]: _schema(one) for one in fields}
        found["required"] = [one["name"] for one in fields if not one.get("optional")]
    elif kind.endswith("Range") and kind.removesuffix("Range") in _SIMPLE:
        found["type"] = "array"
        found["items"] = {"type": _SIMPLE[kind.removesuffix("Range")]}
        found |= {"minItems": 2, "maxItems": 2}
    elif kind in _SIMPLE:
        found["type"] = _SIMPLE[kind]
        found |= _constraint(component)
    elif kind == "DataArray":
        found["type"] = "array"
        found["items"] = _schema(component.get("elementType"))
    for name, key in (("label", "title"), ("description", "description")):
        if isinstance(component.get(name), str):
            found[key] = component[name]
    unit = component.get("uom")
    if isinstance(unit, dict) and isinstance(unit.get("code"), str):
        found["unit"] = unit["code"]
    return found


def _constraint(component: Mapping[str, Any]) -> dict[str, Any]:
    given = component.get("constraint")
    found: dict[str, Any] = {}
    if not isinstance(given, dict):
        return found
    values = given.get("value")
    intervals = given.get("interval")
    if isinstance(values, list) and not intervals:
        found["enum"] = values
    if isinstance(intervals, list) and len(intervals) == 1 and not values and len(intervals[0]) == 2:
        found["minimum"], found["maximum"] = intervals[0]
    if isinstance(given.get("pattern"), str):
        found["pattern"] = given["pattern"]
    return {name: value for name, value in found.items() if _written(value)}


def _written(value: Any) -> bool:
    """Whether JSON Schema takes a value here: an open end of an interval is no number."""
    try:
        msgspec.json.encode(value)
    except (TypeError, ValueError):
        return False
    return value not in {"-INF", "INF"} if isinstance(value, str) else True
