"""``nervure twin``: simulators that take the place of the field, and questions asked of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from nervure.cli.option import Change as Changes
from nervure.cli.option import File, Json, read
from nervure.cli.output import named, number, plain, say, table, write_json
from nervure.cli.progress import progress
from nervure.cli.twin_fit import calibrate
from nervure.cli.twin_look import film, listing
from nervure.core.error import UsageError
from nervure.core.settings import TOKEN

if TYPE_CHECKING:
    from nervure.bench.whatif.ask import Change, Outcome
    from nervure.bench.whatif.question import WhatIf
    from nervure.core.command import Evidence
    from nervure.core.settings import Settings

__all__ = ["Going", "run", "twin", "whatif"]

_TELLING = 6  # pairs of runs from which on p can be below .05

twin = App(name="twin", help="Run simulators in place of the field; ask what would be if.")

twin.command(listing, name="list")
twin.command(film)
twin.command(calibrate)

Net = Annotated[
    str | None,
    Parameter(
        help="Of roads: crossing, corridor, resco/cologne1 (from your own sumo-rl) or a .sumocfg file;"
        " of pipes: hanoi, district, ltown (from your own epyt) or an .inp file; of energyplus: a model file."
    ),
]
Token = Annotated[
    str | None,
    Parameter(help=f"A token that may make entities and devices, if one signs in; else from {TOKEN}."),
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
        Parameter(help="Which twin: roads, pipes, building, energyplus, structure, machine, flood or sewer."),
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
    _sensible(asked)
    counts = field(name, asked, read(settings, change)[0], quiet=json)
    if json:
        write_json(counts)
    elif asked.enrol and not asked.alone:
        say(f"the node knows the twin {name} now; to let it go on, without --enrol: nervure twin run {name}")
    else:
        say(
            f"{counts.steps:,} steps, {counts.readings:,} readings sent, {counts.silent:,} lost by faults,"
            f" {counts.tasks:,} Tasks done, {counts.refused:,} refused, {counts.released:,} leases over"
        )
        say(_kpis(counts.kpis, counts.units))
        if counts.alone:
            say(f"by its own plans alone: {_kpis(counts.alone, counts.units)}")
    return 0


def _sensible(asked: Going) -> None:
    """Refuse numbers by which no time can go."""
    for name, value in (("speed", asked.speed), ("lease", asked.lease), ("minutes", asked.minutes)):
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"--{name} has to be above 0 and finite, not {value:g}", hint=f"--{name} 60")
    if asked.seed < 0:
        raise UsageError(f"--seed {asked.seed} draws nothing", hint="--seed 0, or any whole number above it")
    if not 0 <= asked.back < math.inf:
        raise UsageError(f"it cannot begin {asked.back:g} hours ago", hint="--back 1")


def _kpis(values: Mapping[str, float], units: Mapping[str, str]) -> str:
    shown = ((name, number(value), plain(units.get(name, ""))) for name, value in values.items())
    return ", ".join(" ".join(filter(None, one)) for one in shown)


def _share(one: Change) -> str:
    """Return a difference as a share of what is when nothing is done, where that is anything.

    >>> from nervure.bench.whatif.ask import Change
    >>> from nervure.core.paired import paired
    >>> found = paired([3.0, 5.0], [4.0, 6.0])
    >>> _share(Change(kpi="wait", unit="s", base=5.0, do=4.0, low=3.0, high=5.0, difference=found))
    '-20 %'
    """
    gap = one.difference.mean
    if not one.base or not math.isfinite(gap / one.base):
        return ""
    return f"{100 * gap / abs(one.base):+,.3g} %" if gap else "0 %"


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
    if evidence is not None:
        _swearable(question, evidence)
    state = path_of(read(settings, change)[0].folder, question.twin) if now else None
    with progress(f"what if {scenario}") as tell:
        found = asking.ask(scenario, question, seeds=seeds, at_once=jobs, tell=tell, state=state)
    if evidence is not None:
        _swear(asking.evidence(found), evidence, read(settings, change)[0])
    write_json(found) if json else _show(found, evidence)
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


def _swearable(question: WhatIf, path: Path) -> None:
    """Refuse what would be evidence of nothing, or could not be written, before it runs for half an hour."""
    from nervure.bench.whatif.ask import swearable
    from nervure.core.error import EnvironmentMissing

    swearable(question)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise EnvironmentMissing(f"cannot write {path}", hint="a file in a folder that is there")


def _show(found: Outcome, evidence: Path | None) -> None:
    lines = [
        (
            named(one.kpi, one.unit), one.base, one.do, one.difference.mean, _share(one),
            f"{number(one.difference.low)} to {number(one.difference.high)}"
            if math.isfinite(one.difference.low) else "not known",
            one.difference.p,
        )
        for one in found.changes
    ]  # fmt: skip
    columns = ("figure", "nothing done", "done", "difference", "of it", "95 % interval", "p")
    about = f"{found.question.title or found.name}, {found.question.place}, {len(found.seeds)} pairs of runs"
    table(columns, lines, title=about)
    pairs = len(found.seeds)
    if pairs < _TELLING:
        say(f"p cannot fall below {2 / 2**pairs:.2g} with {pairs} pairs of runs: --seeds {_TELLING} or more")
    if evidence is not None:
        say(f"wrote {evidence}")
