"""``nervure send``: one reading in, by the same door as a device's."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Annotated, Any

from cyclopts import Parameter

from nervure.cli.option import Change, File, Json, read
from nervure.cli.output import say, write_json
from nervure.cli.reach import http_address, http_client, mqtt_address, mqtt_client
from nervure.cli.status import ask
from nervure.core.error import NervureError, NotFoundError, UsageError
from nervure.core.instant import iso, to_ns
from nervure.core.settings import Settings

__all__ = ["datastream_id", "send"]

PATIENCE_S = 10.0


def send(
    datastream: Annotated[str, Parameter(help="The Datastream's key or name.")],
    value: Annotated[str, Parameter(help="The result: a number, or text.", allow_leading_hyphen=True)],
    /,
    *,
    time: Annotated[
        datetime | None,
        Parameter(help="When it was observed, ISO 8601, UTC if it does not say; now if left out."),
    ] = None,
    unit: Annotated[
        str | None, Parameter(help="UCUM unit of the value, if not the Datastream's own.")
    ] = None,
    http: Annotated[bool, Parameter(help="Send it over HTTP instead of MQTT.")] = False,
    settings: File = None,
    change: Change = (),
    json: Json = False,
) -> int:
    """Send one reading, as a device would, and wait until the log has it.

    Over MQTT with QoS 1 the broker's acknowledgement says so, over HTTP the answer 201.
    """
    loaded, _ = read(settings, change)
    key = datastream_id(loaded, datastream)
    body: dict[str, Any] = {"result": _result(value)}
    if time is not None:
        body["phenomenonTime"] = iso(to_ns(time))
    if unit is not None:
        body["unit"] = unit
    found = _post(loaded, key, body) if http else _publish(loaded, key, body)
    if json:
        write_json({"datastream": key, "sent": body, **found})
    else:
        say(f"Datastream {key}: {body['result']} is in the log")
    return 0


def datastream_id(settings: Settings, asked: str) -> int:
    """Return the key of a Datastream that is named by key or by its full name."""
    if asked.isdecimal():
        return int(asked)
    known: list[dict[str, Any]] = []
    page: str | None = "/v1.1/Datastreams?$select=id,name&$top=1000"
    while page:
        answer = ask(settings, page)
        known += answer["value"]
        link = answer.get("@iot.nextLink")
        page = link[link.index("/v1.1/") :] if link else None
    keys = [int(one["@iot.id"]) for one in known if one["name"] == asked]
    if len(keys) == 1:
        return keys[0]
    if keys:
        raise UsageError(f"{len(keys)} Datastreams are named {asked!r}", hint=f"give the key: one of {keys}")
    names = ", ".join(repr(one["name"]) for one in known[:8])
    raise NotFoundError(
        f"there is no Datastream named {asked!r}", hint=f"the first are {names}" if names else None
    )


def _result(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _publish(settings: Settings, key: int, body: dict[str, Any]) -> dict[str, Any]:
    import msgspec
    import paho.mqtt.client as paho

    from nervure.stream.subject import reading_topic

    client = mqtt_client(settings)
    acknowledged, refused = threading.Event(), []

    def connected(client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            refused.append(str(reason))
            acknowledged.set()
        else:
            client.publish(reading_topic(key), msgspec.json.encode(body), qos=1)

    client.on_connect = connected
    client.on_publish = lambda *_: acknowledged.set()
    where = mqtt_address(settings)
    try:
        client.connect(settings.nats.mqtt_host, settings.nats.mqtt_port)
    except OSError as cause:
        raise NotFoundError(f"no node answers at {where}", hint="start one with: nervure up") from cause
    client.loop_start()
    try:
        if not acknowledged.wait(PATIENCE_S) or refused:
            raise NervureError(
                f"the reading was not acknowledged at {where}" + "".join(f": {one}" for one in refused)
            )
    finally:
        client.disconnect()
        client.loop_stop()
    return {"over": where}


def _post(settings: Settings, key: int, body: dict[str, Any]) -> dict[str, Any]:
    import httpx

    where = f"{http_address(settings)}/ingest/Datastreams({key})"
    try:
        with http_client(settings, timeout=PATIENCE_S) as client:
            answer = client.post(where, json=body)
    except httpx.TransportError as cause:
        raise NotFoundError(f"no node answers at {where}", hint="start one with: nervure up") from cause
    if answer.status_code != httpx.codes.CREATED:
        raise NervureError(f"the node answered {answer.status_code}: {answer.text[:500]}", where=where)
    return {"over": where, "location": answer.headers.get("location")}
