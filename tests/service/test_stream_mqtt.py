"""Readings by MQTT, from clients that nobody here wrote, into the log."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import threading
from collections import Counter

import nats
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from nervure.core.error import StreamError
from nervure.core.settings import Settings
from nervure.stream.api import Address, log_in
from nervure.stream.log import Log, address_of
from nervure.stream.subject import OUT_PREFIX, alert_subject, reading_subject, reading_topic
from tests.patience import PATIENCE_S, eventually
from tests.support import collect, publish_mqtt, running

pytestmark = pytest.mark.service

MOSQUITTO_PUB = shutil.which("mosquitto_pub") or ""
needs_mosquitto = pytest.mark.skipif(not MOSQUITTO_PUB, reason="mosquitto_pub is not installed")


def mosquitto_pub(settings: Settings, topic: str, text: str, qos: int) -> subprocess.CompletedProcess[str]:
    command = [MOSQUITTO_PUB, "-p", str(settings.nats.mqtt_port), "-t", topic, "-q", str(qos), "-m", text]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_what_paho_publishes_is_read_in_order_without_gap(settings: Settings, qos: int) -> None:
    async def run() -> None:
        async with running(settings) as (_, log):
            items = [(reading_topic(i % 3), json.dumps({"result": i}).encode()) for i in range(2000)]
            port = settings.nats.mqtt_port
            assert await asyncio.to_thread(publish_mqtt, port, items, qos=qos) == len(items)
            found = await collect(log, 0, len(items))
            assert found.payload == [payload for _, payload in items]
            assert found.subject == [reading_subject(i % 3) for i in range(2000)]
            assert await log.first_last() == (1, 2000)

    asyncio.run(run())


@needs_mosquitto
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_what_mosquitto_pub_publishes_is_in_the_log(settings: Settings, qos: int) -> None:
    async def run() -> None:
        async with running(settings) as (_, log):
            for number in range(3):
                done = await asyncio.to_thread(mosquitto_pub, settings, reading_topic(7), str(number), qos)
                assert done.returncode == 0, done.stderr
                if qos == 0:
                    await collect(log, number, 1)
            found = await collect(log, 0, 3)
            assert found.payload == [b"0", b"1", b"2"]
            assert set(found.subject) == {reading_subject(7)}

    asyncio.run(run())


def test_devices_at_the_same_time_and_the_log_s_own_messages_make_one_order(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as (_, log):
            port = settings.nats.mqtt_port
            devices = [
                asyncio.to_thread(publish_mqtt, port, [(reading_topic(d), b"%d" % i) for i in range(200)])
                for d in range(1, 6)
            ]
            own = log.publish_many([(reading_subject(9), b"%d" % i, None) for i in range(200)])
            await asyncio.gather(own, *devices)
            found = await collect(log, 0, 1200)
            assert found.sequence == list(range(1, 1201))
            for datastream in (1, 2, 3, 4, 5, 9):
                subject = reading_subject(datastream)
                rows = zip(found.subject, found.payload, strict=True)
                assert [int(payload) for name, payload in rows if name == subject] == list(range(200))

    asyncio.run(run())


def test_listeners_hear_what_we_say_and_never_what_a_device_published(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as (_, log):
            heard: Counter[tuple[str, bytes]] = Counter()
            client, ready, full = _listener(settings, ["v1.1/#", "nervure/alerts/#"], heard, 3)
            port = settings.nats.mqtt_port
            try:
                assert await asyncio.to_thread(ready.wait, PATIENCE_S)
                for qos in (0, 1, 2):
                    await asyncio.to_thread(publish_mqtt, port, [(reading_topic(1), b"raw")], qos=qos)
                await log.publish(reading_subject(2), b"raw")
                selected = f"{reading_subject(1)}?$select=result"
                said = [f"{OUT_PREFIX}{reading_subject(1)}", f"{OUT_PREFIX}{selected}", alert_subject(3)]
                await log.send_many([(subject, b"said") for subject in said])
                assert await asyncio.to_thread(full.wait, PATIENCE_S)
            finally:
                client.disconnect()
                client.loop_stop()
            topics = (reading_topic(1), f"{reading_topic(1)}?$select=result", "nervure/alerts/3")
            assert heard == Counter((topic, b"said") for topic in topics)
            found = await collect(log, 0, 4)
            assert Counter(found.subject) == {reading_subject(1): 3, reading_subject(2): 1}

    asyncio.run(run())


def test_the_log_knows_who_follows_what(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as (_, log):
            assert await log.followed("v1//1.>") == set()
            topics = [
                "v1.1/Things(1)/name",
                "v1.1/Datastreams(1)/Observations?$select=result",
                "v1.1/+/Tasks",
            ]
            client, ready, _ = _listener(settings, [*topics, "nervure/alerts/#"], Counter(), 1)
            try:
                assert await asyncio.to_thread(ready.wait, PATIENCE_S)
                found = await log.followed("v1//1.>")
            finally:
                client.disconnect()
                client.loop_stop()
            assert found == {
                "v1//1.Things(1).name", "v1//1.Datastreams(1).Observations?$select=result", "v1//1.*.Tasks",
            }  # fmt: skip

    asyncio.run(run())

    asyncio.run(run())


def _listener(
    settings: Settings, topics: list[str], heard: Counter[tuple[str, bytes]], count: int
) -> tuple[mqtt.Client, threading.Event, threading.Event]:
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    ready, full = threading.Event(), threading.Event()

    def on_message(_: object, __: object, message: mqtt.MQTTMessage) -> None:
        heard[message.topic, bytes(message.payload)] += 1
        if heard.total() >= count:
            full.set()

    client.on_message = on_message
    client.on_subscribe = lambda *_: ready.set()
    client.connect("127.0.0.1", settings.nats.mqtt_port)
    client.subscribe([(topic, 1) for topic in topics])
    client.loop_start()
    return client, ready, full


FOREIGN = [
    "$JS/API/STREAM/DELETE/$MQTT_msgs",
    "$JS/API/STREAM/PURGE/$MQTT_msgs",
    "$MQTT/msgs/v1.1/Observations",
    "nv/log/v1.1/Observations",
    "nv/out/v1.1/Things(1)",
    "nv/in/x",
    "nervure/alerts/1",
    "v1.1/Things",
    "v1.1/Datastreams(1)/Observations/x",
    "other",
]


def test_a_device_cannot_publish_elsewhere(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as (_, log):
            await log.publish(reading_subject(1), b"first")
            address = address_of(settings)
            client = await nats.connect(address.url, user=address.user, password=address.password)
            heard = await client.subscribe(">")
            await client.flush()
            port = settings.nats.mqtt_port
            for topic in FOREIGN:
                await asyncio.to_thread(publish_mqtt, port, [(topic, b"foreign")])
            await asyncio.to_thread(publish_mqtt, port, [(reading_topic(1), b"last")])
            found = await collect(log, 0, 2)
            assert found.payload == [b"first", b"last"]
            while (message := await heard.next_msg(2)).data != b"last":
                assert message.data != b"foreign", message.subject
            await client.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        ("#", 0x80),
        ("$JS/API/#", 0x80),
        ("$JS/#", 0x80),
        ("$MQTT/msgs/#", 0x80),
        ("$SYS/#", 0x80),
        ("nv/#", 0x80),
        ("nervure/#", 0x80),
        ("_INBOX/#", 0x80),
        ("v1.1/#", 1),
        (reading_topic(1), 1),
        ("nervure/alerts/#", 1),
        ("nervure/alerts/3", 1),
    ],
)
def test_a_device_hears_readings_and_alerts_only(settings: Settings, topic: str, code: int) -> None:
    async def run() -> None:
        async with running(settings):
            answers: list[int] = []
            done = threading.Event()
            client = mqtt.Client(CallbackAPIVersion.VERSION2)

            def on_subscribe(*given: object) -> None:
                answers.extend(reason.value for reason in given[3])  # type: ignore[attr-defined]
                done.set()

            client.on_subscribe = on_subscribe
            client.connect("127.0.0.1", settings.nats.mqtt_port)
            client.subscribe(topic, qos=1)
            client.loop_start()
            try:
                assert await asyncio.to_thread(done.wait, PATIENCE_S)
            finally:
                client.disconnect()
                client.loop_stop()
            assert answers == [code]

    asyncio.run(run())


def test_the_device_s_name_opens_no_other_door(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings):
            for user in ("device", None):
                address = Address(host="127.0.0.1", port=settings.nats.port, user=user, password="")
                with pytest.raises(StreamError, match="does not know us"):
                    await log_in(address, "device")

    asyncio.run(run())


def test_a_topic_with_a_blank_is_refused_and_the_next_message_is_taken(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as (_, log):
            port = settings.nats.mqtt_port
            assert (
                await asyncio.to_thread(_publish_once, port, "v1.1/Data streams(1)/Observations", b"x") == 0
            )
            assert await asyncio.to_thread(_publish_once, port, reading_topic(1), b"y") == 1
            assert (await collect(log, 0, 1)).payload == [b"y"]

    asyncio.run(run())


def test_a_message_over_the_limit_is_not_acknowledged_and_others_are_undisturbed(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as (_, log):
            port, limit = settings.nats.mqtt_port, settings.nats.max_payload_bytes
            assert await asyncio.to_thread(_publish_once, port, reading_topic(1), b"x" * (limit + 1)) == 0
            assert await asyncio.to_thread(_publish_once, port, reading_topic(1), b"x" * (10 << 20)) == 0
            assert await asyncio.to_thread(_publish_once, port, reading_topic(1), b"y" * (limit - 1024)) == 1
            assert [len(payload) for payload in (await collect(log, 0, 1)).payload] == [limit - 1024]

    asyncio.run(run())


def _publish_once(port: int, topic: str, payload: bytes) -> int:
    """Publish one message with QoS 1; return how many acknowledgements came before the line was cut."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    ended = threading.Event()
    acknowledged: list[int] = []

    def on_publish(*_: object) -> None:
        acknowledged.append(1)
        ended.set()

    client.on_publish = on_publish
    client.on_disconnect = lambda *_: ended.set()
    client.connect("127.0.0.1", port)
    client.publish(topic, payload, qos=1)
    client.loop_start()
    assert ended.wait(PATIENCE_S), "neither an acknowledgement nor a disconnect"
    client.disconnect()
    client.loop_stop()
    return len(acknowledged)


def test_a_log_can_be_read_by_another_connection(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as (_, log):
            other = await Log.connect(settings)
            await other.publish(reading_subject(4), b"x")
            assert (await collect(log, 0, 1)).payload == [b"x"]
            await other.close()

    asyncio.run(run())


def test_what_a_device_was_refused_is_counted(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        async with running(settings) as (server, _):
            port = settings.nats.mqtt_port
            await asyncio.to_thread(
                publish_mqtt, port, [("other", b"x")] * 3 + [(reading_topic(1), b"x")] * 3
            )
            assert await eventually(lambda: server.refused, lambda seen: seen >= 3) == 3

    asyncio.run(run())
    assert 'Publish Violation - Subject "other"' in caplog.text
