"""A bare paho-mqtt subscriber as a process of its own: the least that anyone in Python would run.

It decodes each message's JSON with the standard library, counts, and keeps nothing.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

__all__ = ["main"]


def main(port: int, wanted: int) -> None:
    """Subscribe to all readings, say ``ready``, and print count and CPU seconds once all have come."""
    count = 0
    begun = 0.0

    def on_message(_client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        nonlocal count, begun
        if not count:
            begun = time.process_time()
        json.loads(message.payload)
        count += 1
        if count >= wanted:
            client.disconnect()

    def on_subscribe(*_: Any) -> None:
        print("ready", flush=True)

    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="nervure-bench-peer")
    client.on_connect = lambda connected, *_: connected.subscribe("v1.1/+/Observations", 1)
    client.on_subscribe = on_subscribe
    client.on_message = on_message
    client.connect("127.0.0.1", port)
    client.loop_forever()
    print(json.dumps({"count": count, "cpu_s": time.process_time() - begun}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
