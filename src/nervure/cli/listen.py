"""``nervure listen``: readings and alerts as they come, by the same door as any MQTT client."""

from __future__ import annotations

import queue
import sys
import time
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import Parameter

from nervure.cli.option import Change, File, Json, read
from nervure.cli.output import say, write_line
from nervure.cli.reach import mqtt_address, mqtt_client
from nervure.cli.send import datastream_id
from nervure.core.error import NervureError, NotFoundError
from nervure.core.settings import Settings

__all__ = ["listen", "subscribe"]

PATIENCE_S = 10.0
_TICK_S = 0.2


def listen(
    datastream: Annotated[
        str | None, Parameter(help="One Datastream's key or name; all if left out.")
    ] = None,
    /,
    *,
    only: Annotated[Literal["readings", "alerts"] | None, Parameter(help="Leave out the other kind.")] = None,
    count: Annotated[int | None, Parameter(help="Stop after so many messages.")] = None,
    seconds: Annotated[float | None, Parameter(help="Stop after so many seconds.")] = None,
    settings: File = None,
    change: Change = (),
    json: Json = False,
) -> int:
    """Show readings, forecasts and alerts as they come, until Ctrl+C.

    With --json each message is one line: {"topic", "message"}.
    """
    loaded, _ = read(settings, change)
    topics = _topics(loaded, datastream, only)
    seen: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
    client = subscribe(loaded, topics, seen)
    sys.stderr.write(f"listening to {', '.join(topics)}; stop with Ctrl+C\n")
    sys.stderr.flush()
    end = None if seconds is None else time.monotonic() + seconds
    left = count
    try:
        while left != 0 and (end is None or time.monotonic() < end):
            try:
                topic, payload = seen.get(timeout=_TICK_S)
            except queue.Empty:
                continue
            _show(topic, payload, json=json)
            left = None if left is None else left - 1
    finally:
        client.disconnect()
        client.loop_stop()
    return 0


def _topics(settings: Settings, datastream: str | None, only: str | None) -> list[str]:
    from nervure.stream.subject import reading_topic

    topics = []
    if only != "alerts":
        topics.append(
            reading_topic(datastream_id(settings, datastream)) if datastream else "v1.1/+/Observations"
        )
    if only != "readings" and datastream is None:
        topics.append("nervure/alerts/+")
    return topics


def subscribe(settings: Settings, topics: list[str], seen: queue.SimpleQueue[tuple[str, bytes]]) -> Any:
    """Connect and subscribe; returns the client when the broker has said yes to each topic."""
    import paho.mqtt.client as paho

    client = mqtt_client(settings)
    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def connected(client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            answers.put(str(reason))
        else:
            client.subscribe([(topic, 0) for topic in topics])

    def subscribed(_client: Any, _data: Any, _message: Any, reasons: list[Any], _properties: Any) -> None:
        bad = [str(reason) for reason in reasons if reason.is_failure]
        answers.put(", ".join(bad) or None)

    client.on_connect = connected
    client.on_subscribe = subscribed
    client.on_message = lambda _client, _data, message: seen.put((message.topic, bytes(message.payload)))
    where = mqtt_address(settings)
    try:
        client.connect(settings.nats.mqtt_host, settings.nats.mqtt_port)
    except OSError as cause:
        raise NotFoundError(f"no node answers at {where}", hint="start one with: nervure up") from cause
    client.loop_start()
    try:
        refused = answers.get(timeout=PATIENCE_S)
    except queue.Empty:
        refused = "it does not answer"
    if refused is not None:
        client.loop_stop()
        raise NervureError(f"the broker at {where} refused: {refused}")
    return client


def _show(topic: str, payload: bytes, *, json: bool) -> None:
    try:
        message: Any = msgspec.json.decode(payload)
    except msgspec.DecodeError:
        message = payload.decode("utf-8", "replace")
    if json:
        write_line({"topic": topic, "message": message})
    elif topic.startswith("nervure/alerts/") and isinstance(message, dict):
        state = "active" if message.get("active") else "cleared"
        say(f"ALERT {message.get('severity')} ({state}) {message.get('text')}")
    else:
        body = message if isinstance(message, str) else msgspec.json.encode(message).decode()
        say(f"{topic.removeprefix('v1.1/').removesuffix('/Observations')}  {body[:200]}")
