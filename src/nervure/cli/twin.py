"""``nervure twin``: simulators that take the place of the field, and questions asked of them."""

from __future__ import annotations

import math
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from nervure.cli.option import Change as Changes
from nervure.cli.option import File, Json, read
from nervure.cli.output import say, table, write_json
from nervure.cli.progress import progress
from nervure.core.error import UsageError

if TYPE_CHECKING:
    import httpx

    from nervure.bench.whatif.ask import Outcome
    from nervure.core.command import Evidence
    from nervure.core.settings import Settings
    from nervure.twin.api import Description
    from nervure.twin.fault import Faults
    from nervure.twin.run import Broker, Counts

__all__ = ["Going", "run", "twin", "whatif"]

twin = App(name="twin", help="Run simulators in place of the field; ask what would be if.")

twin.command("nervure.cli.twin_look:listing", name="list")
twin.command("nervure.cli.twin_look:film", name="film")

_TOKEN = "NERVURE_TOKEN"  # noqa: S105  # the name of a variable

Net = Annotated[
    str | None,
    Parameter(
        help="Of roads: crossing, corridor, resco/cologne1 (from your own sumo-rl) or a .sumocfg file; of "
        "pipes: district or an .inp file."
    ),
]
Token = Annotated[
    str | None,
    Parameter(help="A token that may make entities and devices, if one signs in; else from NERVURE_TOKEN."),
]


@dataclass(frozen=True, kw_only=True)
class Going:
    """How a twin runs."""

    net: Net = None
    speed: Annotated[
        float, Parameter(help="How many times as fast as life it goes, until it has caught up.")
    ] = 60.0
    back: Annotated[float, Parameter(help="Hours ago when it begins.")] = 1.0
    minutes: Annotated[float | None, Parameter(help="Simulated minutes to run; else until stopped.")] = None
    seed: Annotated[int, Parameter(help="The seed of all chance in it.")] = 0
    lease: Annotated[float, Parameter(help="Simulated seconds that a command holds without another.")] = 120.0
    fault: Annotated[
        tuple[str, ...],
        Parameter(
            help="A fault as KIND[:SHARE], such as drop:0.1 (delay, bias, stuck, spoof). May be repeated."
        ),
    ] = ()
    prefix: Annotated[str | None, Parameter(help="What stands before the names of its Things.")] = None
    token: Token = None


@twin.command
def run(
    name: Annotated[str, Parameter(help="Which twin: roads, ...")],
    /,
    *,
    going: Annotated[Going | None, Parameter(name="*", show_default=True)] = None,
    json: Json = False,
    settings: File = None,
    change: Changes = (),
) -> int:
    """Run a twin as field devices: readings over MQTT, commands from the Tasks of the running node.

    It registers what it has by the public API, once, and signs in with device credentials. When its
    commands end it goes on by its own plan.
    """
    asked = going or Going()
    if not asked.speed > 0 or asked.back < 0 or not asked.lease > 0:
        raise UsageError("--speed and --lease must be above 0, --back not below", hint="--speed 60 --back 1")
    counts = _field(name, asked, read(settings, change)[0], quiet=json)
    if json:
        write_json(counts)
    else:
        say(
            f"{counts.steps:,} steps, {counts.readings:,} readings sent, {counts.silent:,} lost by faults,"
            f" {counts.tasks:,} Tasks done, {counts.refused:,} refused, {counts.released:,} leases over"
        )
    return 0


@twin.command
def whatif(
    scenario: Annotated[
        str | None, Parameter(help="A question by its name, or a TOML file; without one they are listed.")
    ] = None,
    /,
    *,
    seeds: Annotated[int, Parameter(help="How many pairs of runs.", show_default=True)] = 10,
    jobs: Annotated[int, Parameter(help="How many processes at once.", show_default=True)] = 2,
    evidence: Annotated[
        Path | None, Parameter(help="Write it, signed with the node's key, as the evidence of a Task.")
    ] = None,
    json: Json = False,
    settings: File = None,
    change: Changes = (),
) -> int:
    """Run any twin with a measure and without, on the same seeds, and say what it changes.

    A file asks: twin = "pipes"; minutes = 120; [scenario] demand = 1.2; [do.commands] "PU/pump" = 0.
    """
    from nervure.bench.whatif import ask as asking
    from nervure.bench.whatif.question import find

    if scenario is None:
        return _questions(json=json)
    question = find(scenario)
    with progress(f"what if {scenario}") as tell:
        found = asking.ask(scenario, question, seeds=seeds, at_once=jobs, tell=tell)
    if evidence is not None:
        _swear(asking.evidence(found), evidence, read(settings, change)[0])
    if json:
        write_json(found)
    else:
        _show(found)
        say(f"wrote {evidence}") if evidence is not None else None
    return 0


def _questions(*, json: bool) -> int:
    from nervure.bench.whatif.question import SCENARIOS

    if json:
        write_json(SCENARIOS)
    else:
        rows = [(name, one.place, one.title) for name, one in SCENARIOS.items()]
        table(("question", "twin", "about"), rows)
    return 0


def _swear(found: Evidence, path: Path, loaded: Settings) -> None:
    """Write evidence, signed with the key of the node whose settings these are."""
    import msgspec

    from nervure.core.error import EnvironmentMissing
    from nervure.trust.signature import SigningKey
    from nervure.trust.testimony import sworn

    said = sworn(found, SigningKey.load_or_create(loaded.folder))
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(said), indent=1) + b"\n")
    except OSError as cause:
        raise EnvironmentMissing(f"cannot write {path}: {cause.strerror}") from cause


def _show(found: Outcome) -> None:
    lines = [
        (
            f"{one.kpi}, {one.unit}", one.base, one.do, one.difference.mean,
            f"{one.difference.low:,.4g} to {one.difference.high:,.4g}", one.difference.p,
        )
        for one in found.changes
    ]  # fmt: skip
    columns = ("figure", "nothing done", "done", "difference", "95 % interval", "p")
    about = f"{found.question.title or found.name}, {found.question.place}, {len(found.seeds)} pairs of runs"
    table(columns, lines, title=about)


def _field(name: str, asked: Going, loaded: Settings, *, quiet: bool) -> Counts:
    """Open the twin, enrol it, and run it until it is told to stop."""
    from nervure.twin.enrol import enrol
    from nervure.twin.find import open_twin
    from nervure.twin.run import Field, Pace

    opened = open_twin(name, net=asked.net)
    opened.reset(seed=asked.seed)
    about = opened.describe()
    faults = _faults(asked.fault, about, asked.seed)
    prefix = asked.prefix if asked.prefix is not None else f"{name}/"
    with _client(loaded, asked.token) as client:
        places = enrol(client, about, prefix, sign_in=not loaded.access.open)
    pace = Pace(start_ns=time.time_ns() - round(asked.back * 3600e9), speed=asked.speed)
    field = Field(opened, places, _broker(loaded), pace, faults=faults, lease_s=asked.lease)
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: field.stop())
    steps = math.inf if asked.minutes is None else max(1, round(asked.minutes * 60 / about.step_s))
    try:
        with progress(f"twin {name}") as tell:
            if quiet or math.isinf(steps):
                return field.run(steps)
            return field.run(steps, lambda done, _: tell(done.steps / steps, f"{done.readings:,} readings"))
    finally:
        field.close()


def _faults(words: tuple[str, ...], about: Description, seed: int) -> Faults | None:
    """Read faults as they are written at the command line."""
    from nervure.twin.fault import KINDS, Fault, Faults

    found = []
    for word in words:
        kind, _, share = word.partition(":")
        try:
            literal: Literal["drop", "delay", "bias", "stuck", "spoof"] = next(
                one for one in KINDS if one == kind
            )
            found.append(Fault(kind=literal, share=float(share or 1.0), value=2.0 if kind == "bias" else 0.0))
        except (StopIteration, ValueError) as cause:
            raise UsageError(f"--fault cannot read {word!r}", hint=f"drop:0.1; {', '.join(KINDS)}") from cause
    return Faults(found, [one.name for one in about.sensors], seed=seed) if found else None


def _client(loaded: Settings, token: str | None) -> httpx.Client:
    """Return a client of the node that comes in by the token, where one signs in."""
    from nervure.cli.reach import http_address, http_client

    client = http_client(loaded, base_url=http_address(loaded))
    secret = token or os.environ.get(_TOKEN)
    if not loaded.access.open:
        if secret is None:
            client.close()
            raise UsageError(
                "a twin that registers itself needs a token of an engineer or admin",
                hint=f"nervure token add OWNER twin, then --token or {_TOKEN}",
            )
        client.headers["authorization"] = f"Bearer {secret}"
    return client


def _broker(loaded: Settings) -> Broker:
    from nervure.cli.reach import trusting
    from nervure.twin.run import Broker

    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(loaded.nats.mqtt_host, loaded.nats.mqtt_host)  # noqa: S104
    return Broker(host, loaded.nats.mqtt_port, trusting(loaded) if loaded.tls.on else None)
