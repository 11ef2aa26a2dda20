"""``nervure twin``: simulators that take the place of the field, and questions asked of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from nervure.cli.option import Change as Changes
from nervure.cli.option import File, Json, read
from nervure.cli.output import say, table, write_json
from nervure.cli.progress import progress
from nervure.core.error import UsageError

if TYPE_CHECKING:
    from nervure.bench.whatif.ask import Outcome
    from nervure.core.command import Evidence
    from nervure.core.settings import Settings

__all__ = ["Going", "run", "twin", "whatif"]

twin = App(name="twin", help="Run simulators in place of the field; ask what would be if.")

twin.command("nervure.cli.twin_look:listing", name="list")
twin.command("nervure.cli.twin_look:film", name="film")
twin.command("nervure.cli.twin_fit:calibrate", name="calibrate")

Net = Annotated[
    str | None,
    Parameter(
        help="Of roads: crossing, corridor, resco/cologne1 (from your own sumo-rl) or a .sumocfg file;"
        " of pipes: hanoi, district, ltown (from your own epyt) or an .inp file; of energyplus: a model file."
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
    since: Annotated[
        str | None, Parameter(help="When it begins, instead of --back: 2026-01-05T00:00:00Z.")
    ] = None
    scenario: Annotated[
        tuple[str, ...], Parameter(help="What is different, as demand=1.2. May be repeated.")
    ] = ()
    lease: Annotated[
        float | None,
        Parameter(
            help="Simulated seconds that a command holds at most; else twelve steps, 1 s of ours at least."
        ),
    ] = None
    fault: Annotated[
        tuple[str, ...],
        Parameter(
            help="A fault as KIND[:SHARE][,of=PATTERN][,value=V][,begin=S][,end=S], such as drop:0.1 or"
            " spoof,of=hall/temperature,value=60 (drop, delay, bias, stuck, spoof). May be repeated."
        ),
    ] = ()
    prefix: Annotated[str | None, Parameter(help="What stands before the names of its Things.")] = None
    alone: Annotated[
        bool, Parameter(help="Without a platform, as fast as it goes: what comes of its own plans.")
    ] = False
    enrol: Annotated[bool, Parameter(help="Only make it known to the platform, and end.")] = False
    hold: Annotated[
        bool, Parameter(help="Make it known, say so on stderr, and begin when a line comes on stdin.")
    ] = False
    beside: Annotated[
        bool,
        Parameter(help="Run it once more afterwards, by its own plans alone, and tell what came of that."),
    ] = False
    keep: Annotated[
        bool, Parameter(help="Write down where it is, in the data folder, for nervure twin whatif --now.")
    ] = False
    token: Token = None


@twin.command
def run(
    name: Annotated[
        str,
        Parameter(help="Which twin: roads, pipes, building, energyplus, structure, machine or flood."),
    ],
    /,
    *,
    going: Annotated[Going | None, Parameter(name="*", show_default=True)] = None,
    json: Json = False,
    settings: File = None,
    change: Changes = (),
) -> int:
    """Run a twin as field devices: readings over MQTT, commands from the Tasks of the running node.

    It registers what it has by the public API, once, with the interlocks of its actuators, and signs in with
    device credentials. Beside each actuator stands a guard; when commands end, it goes on by its own plan.
    """
    from nervure.cli.field import field

    asked = going or Going()
    if not asked.speed > 0 or asked.back < 0 or (asked.lease is not None and not asked.lease > 0):
        raise UsageError("--speed and --lease must be above 0, --back not below", hint="--speed 60 --back 1")
    counts = field(name, asked, read(settings, change)[0], quiet=json)
    if json:
        write_json(counts)
    else:
        say(
            f"{counts.steps:,} steps, {counts.readings:,} readings sent, {counts.silent:,} lost by faults,"
            f" {counts.tasks:,} Tasks done, {counts.refused:,} refused, {counts.released:,} leases over"
        )
        say(", ".join(f"{name} {value:,.4g}" for name, value in counts.kpis.items()))
        if counts.alone:
            alone = ", ".join(f"{name} {value:,.4g}" for name, value in counts.alone.items())
            say(f"by its own plans alone: {alone}")
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
    now: Annotated[
        bool,
        Parameter(help="Begin where the twin that runs with --keep is now; what comes varies.", negative=""),
    ] = False,
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
    from nervure.twin.state import path_of

    if scenario is None:
        return _questions(json=json)
    question = find(scenario)
    state = path_of(read(settings, change)[0].folder, question.twin) if now else None
    with progress(f"what if {scenario}") as tell:
        found = asking.ask(scenario, question, seeds=seeds, at_once=jobs, tell=tell, state=state)
    if evidence is not None:
        _swear(asking.evidence(found), evidence, read(settings, change)[0])
    write_json(found) if json else _show(found)
    if evidence is not None and not json:
        say(f"wrote {evidence}")
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
