"""An MQTT listener outside the node: hears forecasts and alerts as any client would, and times them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import paho.mqtt.client as mqtt
from numpy.typing import NDArray
from paho.mqtt.enums import CallbackAPIVersion

from nervure.core.instant import to_ns

__all__ = ["Ear", "Heard"]

ALERTS = "nervure/alerts/#"


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """A forecast as it was heard: of which stream, issued when, and its first value with band."""

    stream: int
    issued_ns: int
    value: float
    low: float
    high: float


class _Band(msgspec.Struct, frozen=True):
    low: float | None = None
    high: float | None = None


class _Observation(msgspec.Struct):
    """One step of a forecast; the steps of one forecast are heard in their order."""

    resultTime: datetime  # noqa: N815 - as SensorThings writes it
    result: float | None = None
    parameters: _Band = _Band()


class Ear:
    """Listens to the forecasts of some streams and to all alerts, and notes when each was heard."""

    def __init__(self, port: int, source_of: Mapping[int, int], *, on_alert: Callable[[bytes], None]) -> None:
        self._source_of = source_of
        self._on_alert = on_alert
        self._heard: dict[tuple[int, int], int] = {}
        self._last: dict[int, Heard] = {}
        self._decoder = msgspec.json.Decoder(_Observation)
        self._ready = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="nervure-demo-ear")
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def wait(self, seconds: float = 10.0) -> bool:
        """Wait until the subscriptions stand."""
        return self._ready.wait(seconds)

    def _connected(self, client: mqtt.Client, *_: Any) -> None:
        topics = [(f"v1.1/Datastreams({stream})/Observations", 0) for stream in self._source_of]
        client.subscribe([*topics, (ALERTS, 0)])

    def _message(self, _client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        now = time.time_ns()
        if message.topic.startswith("nervure/alerts"):
            self._on_alert(bytes(message.payload))
            return
        stream = int(message.topic.partition("(")[2].partition(")")[0])
        with contextlib.suppress(msgspec.DecodeError, msgspec.ValidationError):
            self._note(self._source_of[stream], self._decoder.decode(message.payload), now)

    def _note(self, stream: int, step: _Observation, now: int) -> None:
        moment = to_ns(step.resultTime)
        if (stream, moment) in self._heard:
            return
        self._heard[stream, moment] = now
        first = [
            np.nan if one is None else one for one in (step.result, step.parameters.low, step.parameters.high)
        ]
        self._last[stream] = Heard(
            stream=stream, issued_ns=moment, value=first[0], low=first[1], high=first[2]
        )

    @property
    def heard(self) -> int:
        """How many forecasts have been heard."""
        return len(self._heard)

    def last(self) -> dict[int, Heard]:
        """Return the newest forecast of each stream."""
        return dict(self._last)

    def latency_ms(self, sent: Mapping[tuple[int, int], int]) -> NDArray[np.float64]:
        """Return for each reading the milliseconds from its publish to its forecast: ``[reading]``.

        ``sent`` maps ``(stream, reading time)`` to the clock at its publish.
        """
        spans = [(now - sent[key]) / 1e6 for key, now in list(self._heard.items()) if key in sent]
        return np.asarray(spans, dtype=np.float64)

    def close(self) -> None:
        """Stop listening."""
        self._client.disconnect()
        self._client.loop_stop()
