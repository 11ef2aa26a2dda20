"""River + paho: a subscriber on an MQTT broker, windows in `river.utils.Rolling`, one score at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from nervure.bench.speed.engines.seat import SENSORS, WINDOW, Seat, aside, decode, free_port, load, server

__all__ = ["main"]

_CONFIGURATION = """
host: "127.0.0.1"
port: {port}
server_name: "bench"
jetstream {{ store_dir: "{folder}" }}
mqtt {{ host: "127.0.0.1", port: {mqtt}, max_ack_pending: 65535 }}
"""


class _Held:
    """What `Rolling` rolls over: it keeps nothing, as the window itself is what is wanted."""

    def update(self, *_: float) -> None:
        """Take a value."""

    def revert(self, *_: float) -> None:
        """Let a value go."""


def main() -> None:
    """Start broker and sender, subscribe, score each message in the callback."""
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    seat, port, inner = Seat.taken(), free_port(), free_port()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="job")
    client.on_message = _heard(seat)
    with tempfile.TemporaryDirectory() as folder, _broker(Path(folder), inner, port) as broker:
        topics = Path(folder) / "topics"
        topics.write_text("".join(f"readings/D{sensor}\n" for sensor in range(SENSORS)))
        arguments = (str(seat.folder), seat.file, str(port), str(topics))
        with load("nervure.bench.speed.engines.sender", *arguments) as sender:

            def steer() -> None:
                seat.ready(load=sender.pid, broker=broker)
                sender.go()
                seat.complete()
                seat.done()
                client.disconnect()

            def on_subscribe(*_: Any) -> None:
                aside(steer)

            client.on_subscribe = on_subscribe
            client.on_connect = lambda connected, *_: connected.subscribe("readings/+", 1)
            client.connect("127.0.0.1", port)
            client.loop_forever()


def _heard(seat: Seat) -> Callable[[Any, Any, Any], None]:
    """Return what is done with a message."""
    from river.utils import Rolling

    rolling: dict[str, Any] = {}
    seat.score(np.zeros((1, WINDOW), dtype=np.float32))

    def on_message(_client: Any, _userdata: Any, message: Any) -> None:
        key = message.topic[len("readings/") :]
        turn, value = decode(message.payload)
        held = rolling.get(key)
        if held is None:
            held = rolling[key] = Rolling(_Held(), window_size=WINDOW)
        held.update(value)
        if len(held.window) == WINDOW:
            seat.put([seat.number(key, turn)], [np.array([one for (one,), _ in held.window], np.float32)])

    return on_message


def _broker(folder: Path, port: int, mqtt: int) -> AbstractContextManager[int]:
    """Run the same broker as ours: a NATS server with its MQTT door."""
    from shutil import which
    from sys import executable

    program = which("nats-server", path=str(Path(executable).parent))
    if program is None:
        raise RuntimeError("nats-server is not installed")
    (folder / "nats.conf").write_text(_CONFIGURATION.format(port=port, mqtt=mqtt, folder=folder / "store"))
    return server([program, "-c", str(folder / "nats.conf")], mqtt)


if __name__ == "__main__":
    main()
