"""``nervure act run``: a controller joined to loops of a running node, by the doors of all programs."""

from __future__ import annotations

import json as plain
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from cyclopts import Parameter

from nervure.cli.foresee import Foreseen, foreseen, teller
from nervure.cli.history import moments
from nervure.cli.joining import Joining, sensible
from nervure.cli.option import Change, File, Json, read
from nervure.cli.output import say, write_json
from nervure.cli.progress import progress
from nervure.cli.seated import loops_of, model_of, tracing
from nervure.cli.telling import Door, Telling
from nervure.core.error import NervureError, NotFoundError, UsageError
from nervure.core.instant import SECOND_NS, duration_ns, to_ns
from nervure.core.settings import TOKEN

if TYPE_CHECKING:
    import httpx
    import paho.mqtt.client as paho

    from nervure.act.controller.api import Controller
    from nervure.act.seat import Seat
    from nervure.core.junction import Junction
    from nervure.core.settings import Settings
    from nervure.core.strange import Strange

__all__ = ["run"]

_KINDS = ("max-pressure", "webster", "greedy", "fixed", "learned", "schedule", "learned-start", "climate",
          "isolation")  # fmt: skip


def run(
    controller: Annotated[str, Parameter(help=f"Which: {', '.join(_KINDS)}.")],
    /,
    *,
    joining: Annotated[Joining | None, Parameter(name="*", show_default=True)] = None,
    json: Json = False,
    settings: File = None,
    change: Change = (),
) -> int:
    """Let a controller decide over loops of the running node, until it is stopped.

    It hears readings by MQTT and asks by Tasks, so the loops' interlocks and modes hold for it, and the
    devices' guards. When it ends, or loses its way to the platform, leases end and the devices' plans go on.
    """
    from nervure.cli.field import client

    asked = joining or Joining()
    if controller not in _KINDS:
        raise UsageError(f"there is no controller {controller!r}", hint=f"there are: {', '.join(_KINDS)}")
    sensible(controller, asked)
    loaded = read(settings, change)[0]
    with client(loaded, asked.token) as api, tempfile.TemporaryDirectory() as folder:
        node = _Node(api)
        ahead = foreseen(node.pages, asked.foresee)
        seat, made = _seat(controller, asked, loaded, node, Path(folder), ahead)
        _teach(seat, node, asked.history)
        _drive(seat, loaded, node, asked, _Forecasts(ahead.streams, teller(made, ahead)))
        found = {"controller": controller, "counts": dict(seat.counts), "trouble": seat.trouble} | _said(made)
    if json:
        write_json(found)
    else:
        say(", ".join(f"{name} {count:,}" for name, count in seat.counts.items()) or "nothing was heard")
        if seat.trouble:
            say(f"the last time that it could not decide: {seat.trouble}")
    return 0


def _said(made: Controller) -> dict[str, Any]:
    """Return what a controller has to say of itself."""
    import msgspec

    from nervure.act.controller.foretold import Foretold
    from nervure.act.controller.joined import Isolation, Rooms
    from nervure.act.controller.shield import Shield

    if isinstance(made, Rooms) and isinstance(made.ahead, Foretold):
        return {"planned_with": dict(made.ahead.counts)}

    if isinstance(made, Isolation):
        return {"begun_s": made.begun_s, "events": msgspec.to_builtins(list(made.events))}
    return {"verdicts": dict(made.verdicts)} if isinstance(made, Shield) else {}


class _Node:
    """What is asked of the node over HTTP."""

    def __init__(self, api: httpx.Client) -> None:
        self._api = api

    def get(self, path: str) -> Any:
        """Return what is there, or raise NervureError with the node's own words."""
        try:
            return self._send("GET", path).json()
        except ValueError as cause:  # a proxy, or somebody else at this address
            raise NervureError("what answers is no node: it sends no JSON", where=path) from cause

    def pages(self, path: str) -> list[dict[str, Any]]:
        """Return all pages of a set."""
        found: list[dict[str, Any]] = []
        page: str | None = f"/v1.1/{path}"
        while page:
            answer = self.get(page)
            found += answer["value"]
            link = answer.get("@iot.nextLink")
            page = link[link.index("/v1.1/") :] if link else None
        return found

    def ask(self, capability: int, body: dict[str, object]) -> int:
        """Make a Task and return its id."""
        answer = self._send("POST", f"/v1.1/TaskingCapabilities({capability})/Tasks", json=body)
        where = answer.headers.get("location", "")
        try:
            return int(where[where.rindex("(") + 1 : where.rindex(")")])
        except ValueError as cause:
            raise NervureError(f"the node does not say which Task it made: {where!r:.100}") from cause

    def states(self, tasks: Iterable[int]) -> Mapping[int, str]:
        """Return how Tasks do."""
        wanted = sorted(tasks)
        path = f"Tasks?$filter=id ge {wanted[0]} and id le {wanted[-1]}&$select=id,status&$top=1000"
        return {int(one["@iot.id"]): str(one["status"]) for one in self.get(f"/v1.1/{path}")["value"]}

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        import httpx

        from nervure.twin.enrol import refusal

        try:
            answer = self._api.request(method, path, timeout=10.0, **more)
        except httpx.RequestError as cause:
            raise NotFoundError(f"no node answers at {self._api.base_url}", hint="nervure up") from cause
        if answer.is_error:
            raise refusal(answer, f"{method} {path}")
        return answer


class _Forecasts(NamedTuple):
    """The Datastreams of forecasts that are heard, and who is told of them."""

    streams: Mapping[int, Any]
    tell: Callable[[int, Mapping[str, Any]], bool]


def _seat(
    name: str, asked: Joining, loaded: Settings, node: _Node, folder: Path, ahead: Foreseen
) -> tuple[Seat, Controller]:  # fmt: skip
    """Find the loops and readings, make the controller, and seat it."""
    from nervure.act.seat import Seat

    prefix = asked.prefix if asked.prefix is not None else _prefix(name)
    things = {
        int(one["@iot.id"])
        for one in node.pages("Things?$select=id,name&$top=1000")
        if one["name"].startswith(prefix)
    }
    capabilities = _capabilities(node, things)
    streams = _streams(node, things, prefix)
    if not capabilities or not streams:
        raise NotFoundError(f"no Thing {prefix}... has loops and readings", hint="nervure twin run; --prefix")
    loops = loops_of(capabilities)
    acts = {int(one["@iot.id"]): one["properties"]["act"] for one in capabilities}
    leases = {key: _lease(act, asked.lease) for key, act in acts.items()}
    seen = {key: duration_ns(act["seen"]) / SECOND_NS for key, act in acts.items() if "seen" in act}
    told = [one["properties"] for one in capabilities]
    made, strange = _made(name, asked, loaded, told, folder, ahead.rests)
    seat = Seat(
        made, loops, streams, ask=node.ask, states=node.states, lease_s=leases, seen_s=seen, strange=strange,
        tell=tracing(asked.trace),
    )  # fmt: skip
    return seat, made


def _capabilities(node: _Node, things: set[int]) -> list[dict[str, Any]]:
    """Return the loops of Things: their TaskingCapabilities that say what they keep to."""
    return [
        one
        for one in node.pages("TaskingCapabilities?$expand=Thing($select=id)&$top=1000")
        if int(one["Thing"]["@iot.id"]) in things and "act" in (one.get("properties") or {})
    ]


def _streams(node: _Node, things: set[int], prefix: str) -> dict[int, str]:
    """Return what the Things read, by the names that their twin has for it; forecasts are no readings."""
    from nervure.act.controller.foretold import FORECAST

    return {
        int(one["@iot.id"]): str(one["name"]).removeprefix(prefix)
        for one in node.pages("Datastreams?$select=id,name&$expand=Thing($select=id)&$top=1000")
        if int(one["Thing"]["@iot.id"]) in things and not one["name"].endswith(FORECAST)
    }


def _prefix(name: str) -> str:
    from nervure.act.controller.joined import ROOMS

    return "building/" if name in ROOMS else "pipes/" if name == "isolation" else "roads/"


def _lease(act: Mapping[str, Any], wanted: float | None) -> float:
    """Return how long commands hold, in seconds of the device: what was asked, within what is allowed."""
    longest = duration_ns(act.get("lease", "1min")) / SECOND_NS
    return longest if wanted is None else min(wanted, longest)


def _made(
    name: str, asked: Joining, loaded: Settings, told: list[dict[str, Any]], folder: Path,
    rests: tuple[str, ...],
) -> tuple[Controller, Callable[[], Strange | None]]:  # fmt: skip
    """Return the controller, and what says how strange to it is what it sees."""
    from nervure.act.controller.joined import ROOMS, rooms, signals

    if name in ROOMS:
        return rooms(name, told, learn_h=asked.learn_h, rests=rests), lambda: None
    if name == "isolation":
        return _isolation(asked.net, asked.hours, folder), lambda: None
    if name != "learned":
        return signals(name, told), lambda: None
    from nervure.act.controller.watched import Watched
    from nervure.trust.signature import trusted

    model, kept = model_of(asked.model), list[Watched]()

    def make(junctions: Sequence[Junction]) -> Controller:
        kept.append(Watched(model, trusted(loaded.folder), junctions))
        return kept[-1]

    return signals(name, told, make), lambda: kept[-1].strange


def _isolation(net: str | None, hours: tuple[float, ...], folder: Path) -> Controller:
    """Ask the network's model what a burst would do at every place, at hours of the day."""
    from nervure.act.controller.joined import Isolation
    from nervure.bench.twin.water import foretold, own
    from nervure.cli.field import network
    from nervure.learn.detect.leak.network import HANOI_SENSORS, LTOWN_SENSORS
    from nervure.twin.find import network as file_of

    ltown = net == "ltown"
    sensors = LTOWN_SENSORS if ltown else HANOI_SENSORS
    if not hours:
        raise UsageError("bursts are foretold at one hour at least", hint="--hours 12")
    size = 6.0 if ltown else 60.0
    if net in (None, "hanoi", "ltown"):
        yard = foretold(network(net, folder), sensors.pressure, sensors.inflow, hours, size=size)
    else:  # it is measured as its twin does by itself
        yard = own(file_of(str(net)), hours)
    twin = yard.twin()
    return Isolation(yard.control(twin, hours[0]), yard.ways, yard.owes)


def _teach(seat: Seat, node: _Node, hours: float) -> None:
    """Let the controller live through the newest stored readings of its streams."""
    if not hours > 0:
        return
    with progress(f"history of {hours:g} h") as tell:
        for moment, values in moments(node, seat.names, hours, tell).items():
            seat.teach(moment, values)


def _drive(seat: Seat, loaded: Settings, node: _Node, asked: Joining, ahead: _Forecasts) -> None:
    """Hear and decide until told to stop."""
    import gc
    import time

    stopped = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: stopped.set())
    ear = _ear(seat, loaded, node, asked, ahead)
    gc.collect()
    gc.freeze()  # else the collector of cycles looks at all that was loaded while orders wait
    telling = Telling(seat)
    end = time.monotonic() + (asked.seconds if asked.seconds is not None else float("inf"))
    try:
        while not stopped.is_set() and time.monotonic() < end:
            seat.step(0.2)
            telling.look()
    finally:
        ear.disconnect()
        ear.loop_stop()
        gc.unfreeze()


def _ear(seat: Seat, loaded: Settings, node: _Node, asked: Joining, ahead: _Forecasts) -> paho.Client:
    """Connect to the node's MQTT door, again and again if need be, and hear all readings of the seat."""
    import os

    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    from nervure.cli.field import broker

    door = broker(loaded)
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    if not loaded.access.open:
        secret = asked.token or os.environ.get(TOKEN, "")
        client.username_pw_set(str(node.get("/api/me")["name"]), secret)
    if door.tls is not None:
        client.tls_set_context(door.tls)
    client.reconnect_delay_set(1, 5)
    topics = [(f"v1.1/Datastreams({one})/Observations", 0) for one in (*seat.names, *ahead.streams)]

    told = Door(f"{door.host}:{door.port}", len(seat.names))

    def connected(client: paho.Client, _data: object, _flags: object, reason: Any, _more: object) -> None:
        if not told.opened(reason):
            return
        for begin in range(0, len(topics), 100):
            client.subscribe(topics[begin : begin + 100])

    def heard(_client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        stream = int(message.topic.partition("(")[2].partition(")")[0])
        with suppress(ValueError, KeyError, TypeError, OverflowError, RecursionError, AttributeError):
            said = plain.loads(message.payload)
            if ahead.tell(stream, said):
                return
            seat.hear(stream, _ns(said["phenomenonTime"]), float(said["result"]), _ns(said.get("resultTime")))

    client.on_connect, client.on_message = connected, heard
    client.on_connect_fail = lambda *_: told.shut()
    client.connect_async(door.host, door.port, keepalive=30)
    client.loop_start()
    return client


def _ns(text: str | None) -> int:
    return 0 if not text else to_ns(datetime.fromisoformat(text))
