"""What tests of the MQTT door share: a server that asks, who may come in, and a client that tries."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from nervure.core.entity import Datastream, ObservedProperty, Sensor, Thing
from nervure.core.settings import Settings
from nervure.node.door import Door
from nervure.store.catalogue import Catalogue
from nervure.stream.conf import Gate, Wrapped
from nervure.stream.log import Log, address_of
from nervure.stream.server import Server
from nervure.trust.authority import Authority
from nervure.trust.nkey import AccountKey
from nervure.trust.office import Office
from nervure.trust.register import Register
from tests.patience import PATIENCE_S, until


class Place:
    """A running server with a door, and the office where devices are added."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.catalogue = Catalogue.open(folder / "catalogue.db")
        self.authority = Authority.load_or_create(folder / "tls")
        self.office = Office(Register(self.catalogue.database), folder / "tls")
        self.folder = folder
        self.server: Server
        self.log: Log
        self.door: Door

    def thing(self, name: str, count: int = 1) -> tuple[int, list[int]]:
        """Make a Thing with some Datastreams, and return their keys."""
        thing = self.catalogue.ensure_thing(Thing(name=name)).id
        sensor = self.catalogue.ensure_sensor(Sensor(name=f"{name} gauge")).id
        seen = self.catalogue.ensure_property(ObservedProperty(name="level", definition="level")).id
        found = [
            self.catalogue.ensure_datastream(
                Datastream(
                    name=f"{name} {number}", unit="m", thing=thing, sensor=sensor, observed_property=seen
                )
            ).id
            for number in range(count)
        ]
        return thing, found

    def audit(self, what: str) -> list[dict[str, Any]]:
        """Return the details of what was written down under a name."""
        return [one.detail | {"who": one.who} for one in self.catalogue.audits(1000) if one.what == what]


@contextlib.asynccontextmanager
async def guarded(
    settings: Settings, folder: Path, *, tls: bool = False, require: bool = False
) -> AsyncIterator[Place]:
    """Run a server at whose door everybody signs in, as long as the block lasts."""
    place = Place(settings, folder)
    key = AccountKey()
    gate = Gate(issuer=key.public, secret=secrets.token_urlsafe(32))
    if tls:
        gate = wrapped(place, key, require=require)
    place.server = await Server.start(settings, gate=gate)
    place.door = Door(place.office.register, place.catalogue, key, settings.limits.per_device_s)
    place.log = await Log.connect(settings)
    running = asyncio.create_task(place.door.run(place.server, address_of(settings)))
    try:
        async with asyncio.timeout(PATIENCE_S):
            await place.door.listening.wait()
        yield place
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await place.log.close()
        await place.server.stop()
        place.catalogue.close()


def wrapped(place: Place, key: AccountKey, *, require: bool) -> Gate:
    """Return a gate whose MQTT listener speaks TLS."""
    ours = place.authority.server(["127.0.0.1", "localhost"], 30)
    files = {"server.pem": ours.certificate, "server.key": ours.key, "ca.pem": place.authority.pem}
    probe = place.authority.device("probe", 30)
    files |= {"probe.pem": probe.certificate, "probe.key": probe.key}
    for name, text in files.items():
        (place.folder / name).write_text(text)
    context = ssl.create_default_context(cafile=str(place.folder / "ca.pem"))
    context.load_cert_chain(place.folder / "probe.pem", place.folder / "probe.key")
    return Gate(
        issuer=key.public,
        secret=secrets.token_urlsafe(32),
        tls=Wrapped(
            certificate=str(place.folder / "server.pem"),
            key=str(place.folder / "server.key"),
            authority=str(place.folder / "ca.pem"),
            require=require,
        ),
        context=context,
    )


class Caller:
    """A paho client, and what it was told."""

    def __init__(
        self,
        port: int,
        name: str | None,
        secret: str | None = None,
        *,
        client: str = "",
        tls: tuple[Path, Path | None, Path | None] | None = None,
        bind: str = "",
        clean: bool = True,
        will: tuple[str, bytes] | None = None,
    ) -> None:
        self.answer: int | None = None
        self.subscribed: list[int] = []
        self.heard: list[tuple[str, bytes]] = []
        self.published = 0
        self.closed = threading.Event()
        self._told = threading.Event()
        self.mqtt = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client, clean_session=clean)
        self.mqtt.on_connect = self._connected
        self.mqtt.on_subscribe = self._subscribed
        self.mqtt.on_message = lambda *given: self.heard.append((given[2].topic, bytes(given[2].payload)))
        self.mqtt.on_publish = self._published
        self.mqtt.on_disconnect = lambda *_: self.closed.set()
        if name is not None:
            self.mqtt.username_pw_set(name, secret)
        if tls is not None:
            ca, certificate, key = tls
            self.mqtt.tls_set(str(ca), str(certificate) if certificate else None, str(key) if key else None)
        if will is not None:
            self.mqtt.will_set(will[0], will[1], qos=1)
        self._bind = bind
        self._port = port

    def knock(self) -> int | None:
        """Connect and return what the server says: 0 for welcome, None if it hung up."""
        try:
            self.mqtt.connect("127.0.0.1", self._port, bind_address=self._bind)
        except (OSError, ssl.SSLError):
            return None
        self.mqtt.loop_start()
        until(lambda: self._told.is_set() or self.closed.is_set())
        return self.answer

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        before = self.published
        self.mqtt.publish(topic, payload, qos=qos, retain=retain)
        until(lambda: self.published, lambda seen: seen > before)

    def subscribe(self, topic: str, qos: int = 1) -> int:
        """Subscribe and return the code that the server answers with: 128 for no."""
        before = len(self.subscribed)
        self.mqtt.subscribe(topic, qos)
        until(lambda: len(self.subscribed), lambda seen: seen > before)
        return self.subscribed[-1]

    def leave(self) -> None:
        welcome = self.mqtt.is_connected()
        self.mqtt.disconnect()
        if welcome:
            until(self.closed.is_set)
        self.mqtt.loop_stop()
        self.mqtt.reinitialise()  # closes what a thread that was dialling anew left open

    def _connected(self, *given: Any) -> None:
        self.answer = int(given[3].value)
        self._told.set()

    def _subscribed(self, *given: Any) -> None:
        self.subscribed += [int(reason.value) for reason in given[3]]

    def _published(self, *_: Any) -> None:
        self.published += 1
