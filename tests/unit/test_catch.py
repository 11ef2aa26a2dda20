from __future__ import annotations

import asyncio

from nervure.stream.api import Address
from nervure.stream.catch import Catch
from nervure.stream.publish import Publisher

SUBJECT = b"v1//1.Datastreams(1).Observations"
NOWHERE = Address(host="127.0.0.1", port=1)


def waiting(*heard: tuple[bytes, bytes, bytes]) -> list[bytes]:
    """What is to be appended after hearing some messages."""

    async def run() -> list[bytes]:
        catch = Catch(NOWHERE, Publisher(NOWHERE, 1 << 20))
        for subject, headers, payload in heard:
            catch._hear(subject, headers, payload)
        return [payload for _, payload, _ in catch._waiting]

    return asyncio.run(run())


def test_only_what_no_stream_has_kept_is_taken_in() -> None:
    assert waiting(
        (SUBJECT, b"NATS/1.0\r\nNmqtt-Pub:0\r\n\r\n", b"qos 0"),
        (SUBJECT, b"NATS/1.0\r\nNmqtt-Pub:1\r\n\r\n", b"qos 1"),
        (SUBJECT, b"NATS/1.0\r\nNmqtt-Pub:2\r\n\r\n", b"qos 2"),
        (SUBJECT, b"NATS/1.0\r\nNats-Stream: $MQTT_msgs\r\nNats-Sequence: 3\r\n\r\n", b"passed on"),
        (SUBJECT, b"", b"from a NATS client"),
        (b"v1//1.Things", b"NATS/1.0\r\nNmqtt-Pub:0\r\n\r\n", b"no reading"),
    ) == [b"qos 0", b"from a NATS client"]


def test_when_too_much_waits_the_oldest_go_and_are_counted() -> None:
    async def run() -> None:
        catch = Catch(NOWHERE, Publisher(NOWHERE, 1 << 20))
        for number in range(40):
            catch._hear(SUBJECT, b"NATS/1.0\r\nNmqtt-Pub:0\r\n\r\n", bytes([number]) * (1 << 20))
        assert catch.shed == 8
        assert [payload[0] for _, payload, _ in catch._waiting] == list(range(8, 40))

    asyncio.run(run())
