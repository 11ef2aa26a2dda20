"""A twin in the field of the running node: opened, made known, guarded, run until it is told to stop."""

from __future__ import annotations

import math
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nervure.cli.progress import progress
from nervure.core.error import UsageError
from nervure.core.instant import to_ns
from nervure.core.settings import TOKEN

if TYPE_CHECKING:
    import httpx

    from nervure.cli.twin import Going
    from nervure.core.settings import Settings
    from nervure.twin.api import Description, Twin
    from nervure.twin.enrol import Place
    from nervure.twin.fault import Fault, Faults
    from nervure.twin.run import Broker, Counts, Field, Keep, Post

__all__ = ["broker", "client", "field", "network", "open_one", "post", "written"]

_OFFICE = ("Core_ZN", "Perimeter_ZN_1", "Perimeter_ZN_2", "Perimeter_ZN_3", "Perimeter_ZN_4")


def field(name: str, asked: Going, loaded: Settings, *, quiet: bool) -> Counts:
    """Run a twin as it was asked for."""
    from nervure.twin.enrol import unknown
    from nervure.twin.keep import keeps
    from nervure.twin.run import Counts, Field, Pace
    from nervure.twin.state import FOLDER

    with tempfile.TemporaryDirectory() as folder, _once(name, asked, loaded):
        opened = open_one(name, asked.net, Path(folder))
        try:
            opened.reset(seed=asked.seed, scenario=written(asked.scenario))
            about = opened.describe()
            kept = keeps(about, speed=asked.speed, lease_s=asked.lease)
            places = _places(name, asked, loaded, about, kept)
            if asked.enrol:
                return Counts()
            if asked.hold:
                print("known: waiting for a line", file=sys.stderr, flush=True)
                sys.stdin.readline()
            faults = _faults(asked.fault, about, asked.seed)
            pace = Pace(start_ns=_begin_ns(asked), speed=asked.speed)
            door = None if asked.alone else broker(loaded)
            guard = partial(post, memory=None if asked.alone else loaded.folder / FOLDER / "guards")
            keep = _keeping(name, asked, loaded)
            going = Field(opened, places, door, pace, guard, faults=faults, keep=keep)
            found = _run(going, name, asked, about, quiet=quiet)
            found.units = dict(about.kpis)
            if asked.beside:
                opened.reset(seed=asked.seed, scenario=written(asked.scenario))
                alone = Field(opened, unknown(about, kept), None, pace, post)
                found.alone = alone.run(found.steps).kpis
            return found
        finally:
            opened.close()


def _once(name: str, asked: Going, loaded: Settings) -> AbstractContextManager[None]:
    """Hold the place of a twin that the platform is to know."""
    from nervure.twin.once import once
    from nervure.twin.state import FOLDER

    if asked.alone:
        return nullcontext()
    return once(loaded.folder / FOLDER, name, _prefix(name, asked))


def _prefix(name: str, asked: Going) -> str:
    return asked.prefix if asked.prefix is not None else f"{name}/"


def _keeping(name: str, asked: Going, loaded: Settings) -> Keep | None:
    """Return what writes down where the twin is, if that is wanted."""
    from nervure.twin.state import keep, path_of

    if not asked.keep:
        return None
    path, scenario = path_of(loaded.folder, name), written(asked.scenario)
    return lambda twin, moment_ns, elapsed_s: keep(path, twin, moment_ns, elapsed_s, scenario)


def _run(going: Field, name: str, asked: Going, about: Description, *, quiet: bool) -> Counts:
    """Run until it is told to stop."""
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: going.stop())
    steps = math.inf if asked.minutes is None else max(1, round(asked.minutes * 60 / about.step_s))
    try:
        with progress(f"twin {name}") as tell:
            if quiet or math.isinf(steps):
                return going.run(steps)
            return going.run(steps, lambda done, _: tell(done.steps / steps, f"{done.readings:,} readings"))
    finally:
        going.close()


def post(place: Place, clock: Callable[[], int], memory: Path | None = None) -> Post:
    """Return the guard of a Thing with actuators: it keeps to what was declared.

    Of one that the platform knows, ``memory`` is the folder with what it has to remember over a restart.
    """
    from nervure.act.device import Device, installed
    from nervure.act.guard import Guard
    from nervure.core.interlock_check import declared, inputs
    from nervure.core.papers import papers
    from nervure.twin.api import TwinError
    from nervure.twin.run import Post

    read = declared(place.properties, place.parameters)
    if read is None or place.capability is None:
        raise TwinError(f"nothing is declared of {place.name}")
    low = {one["name"]: one["constraint"]["interval"][0][0] for one in place.parameters["field"]}
    start = low | (dict(read.plan[0].values) if read.plan else {})
    if place.papers:
        file = None if memory is None else _private(memory) / f"{place.capability}.memory"
        device = installed(papers(place.papers), start, clock=clock, memory=file)
    else:  # no platform knows of it, so nobody commands it
        device = Device(
            Guard(read, start, clock()), thing=place.thing, capability=place.capability, clock=clock
        )
    return Post(place.thing, device, place.fields, frozenset(inputs(read)))


def _private(folder: Path) -> Path:
    """Make a folder that is for whoever runs this alone."""
    from nervure.core.error import EnvironmentMissing

    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as cause:
        raise EnvironmentMissing(
            f"guards cannot keep what they have to remember: {cause.strerror}", where=str(folder)
        ) from cause
    return folder


def network(net: str | None, folder: Path) -> Path:
    """Return the file of a water network: hanoi, ltown, or one's own."""
    from nervure.learn.detect.leak.network import hanoi_text, ltown

    if net == "ltown":
        return ltown()
    if net not in (None, "hanoi"):
        return Path(str(net))
    file = folder / "hanoi.inp"
    file.write_text(hanoi_text(), "utf-8")
    return file


def client(loaded: Settings, token: str | None) -> httpx.Client:
    """Return a client of the node that comes in by the token, where one signs in."""
    from nervure.cli.reach import http_address, http_client

    found = http_client(loaded, base_url=http_address(loaded))
    secret = token or os.environ.get(TOKEN)
    if not loaded.access.open:
        if secret is None:
            found.close()
            raise UsageError(
                "who registers or commands something needs a token, of an engineer or admin to register",
                hint=f"nervure token add OWNER twin, then --token or {TOKEN}",
            )
        found.headers["authorization"] = f"Bearer {secret}"
    return found


def broker(loaded: Settings) -> Broker:
    """Return where the node's MQTT door is."""
    from nervure.cli.reach import trusting
    from nervure.twin.run import Broker

    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(loaded.nats.mqtt_host, loaded.nats.mqtt_host)  # noqa: S104
    return Broker(host, loaded.nats.mqtt_port, trusting(loaded) if loaded.tls.on else None)


def open_one(name: str, net: str | None, folder: Path) -> Twin:
    """Open a twin by its name, of roads and pipes with a net."""
    from nervure.twin.find import open_twin

    if name == "pipes":
        if net in (None, "hanoi"):
            from nervure.learn.detect.leak.network import HANOI_SENSORS as SENSORS
        elif net == "ltown":
            from nervure.learn.detect.leak.network import LTOWN_SENSORS as SENSORS
        else:
            if net != "district" and not Path(net).is_file():
                raise UsageError(
                    f"there is no network {net!r}", hint="hanoi, district, ltown or an .inp file"
                )
            return open_twin(name, net=net)
        return open_twin(name, path=network(net, folder), pressure=SENSORS.pressure, flow=SENSORS.flow)
    if name == "energyplus":
        from nervure.twin.energyplus import small_office

        if net is None:
            return open_twin(name, model=small_office(), zones=_OFFICE)
        raise UsageError("only the small office runs in the field yet", hint="leave --net out")
    return open_twin(name, net=net)


def _places(
    name: str, asked: Going, loaded: Settings, about: Description, kept: Mapping[str, Mapping[str, Any]]
) -> tuple[Place, ...]:
    """Make the twin known to the node, unless it is to run alone."""
    from nervure.twin.enrol import enrol, unknown

    if asked.alone:
        return unknown(about, kept)
    with client(loaded, asked.token) as api:
        return enrol(api, about, _prefix(name, asked), kept=kept, sign_in=not loaded.access.open)


def _begin_ns(asked: Going) -> int:
    if asked.since is None:
        return time.time_ns() - round(asked.back * 3600e9)
    try:
        return to_ns(datetime.fromisoformat(asked.since))
    except ValueError as cause:
        raise UsageError(f"--since cannot read {asked.since!r}", hint="2026-01-05T00:00:00Z") from cause


def written(words: Sequence[str]) -> dict[str, float]:
    """Read a scenario as it is written at the command line.

    >>> written(("demand=1.2", "wet=1"))
    {'demand': 1.2, 'wet': 1.0}
    """
    found = {}
    for word in words:
        key, _, value = word.partition("=")
        try:
            found[key] = float(value)
        except ValueError as cause:
            raise UsageError(f"--scenario cannot read {word!r}", hint="demand=1.2") from cause
        if not math.isfinite(found[key]):
            raise UsageError(f"--scenario {word!r}: that is no number to simulate with", hint="demand=1.2")
    return found


def _faults(words: Sequence[str], about: Description, seed: int) -> Faults | None:
    """Read faults as they are written at the command line."""
    from nervure.twin.fault import Faults

    found = [_fault(word) for word in words]
    return Faults(found, [one.name for one in about.sensors], seed=seed) if found else None


def _fault(word: str) -> Fault:
    """Read one fault.

    >>> one = _fault("spoof:0.5,of=hall/*,value=60,begin=600")
    >>> one.kind, one.share, one.of, one.value, one.begin_s, one.end_s
    ('spoof', 0.5, 'hall/*', 60.0, 600.0, inf)
    """
    from nervure.twin.fault import KINDS, Fault

    head, *rest = word.split(",")
    name, _, share = head.partition(":")
    try:
        kind: Literal["drop", "delay", "bias", "stuck", "spoof"] = next(one for one in KINDS if one == name)
        more = dict(one.split("=", 1) for one in rest)
        of, value = more.pop("of", "*"), float(more.pop("value", 2.0 if kind == "bias" else 0.0))
        begin, end = float(more.pop("begin", 0.0)), float(more.pop("end", math.inf))
        if more:
            raise ValueError(word)  # noqa: TRY301  # told below, with all else that is wrong
        return Fault(kind=kind, share=float(share or 1.0), of=of, value=value, begin_s=begin, end_s=end)
    except (StopIteration, ValueError) as cause:
        raise UsageError(
            f"--fault cannot read {word!r}", hint=f"drop:0.1, spoof,of=hall/*,value=60; {', '.join(KINDS)}"
        ) from cause
