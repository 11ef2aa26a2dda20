"""Questions of what if: which twin, in which circumstances, what is done, and beside what."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from nervure.core.error import DataError, UsageError

__all__ = ["SCENARIOS", "Measure", "Then", "WhatIf", "find"]


class Then(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is commanded, or given back, some minutes after the start."""

    after: Annotated[float, Meta(ge=0)]
    commands: dict[str, float] = {}
    release: tuple[str, ...] = ()


class Measure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done: commands that are held from the start, others later, a controller, other circumstances.

    Without any of it the twin follows its own plan: nothing is done.
    """

    controller: str = ""
    commands: dict[str, float] = {}
    then: tuple[Then, ...] = ()
    scenario: dict[str, float] = {}


class WhatIf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question: what changes in this twin, in these circumstances, if ``do`` is done instead of ``base``.

    ``net`` is a twin's network: of roads a name or a .sumocfg file, of pipes ``district`` or an .inp file.
    """

    title: str = ""
    twin: str = "roads"
    net: str = ""
    minutes: Annotated[float, Meta(gt=0)] = 60.0
    scenario: dict[str, float] = {}
    do: Measure
    base: Measure = Measure()

    @property
    def place(self) -> str:
        """The twin and its network, as evidence names them.

        >>> WhatIf(net="nets/town.sumocfg", do=Measure()).place
        'roads/town'
        """
        return f"{self.twin}/{Path(self.net).stem}" if self.net else self.twin


_ADAPT = Measure(controller="max-pressure")
_BURST = {"burst_pipe": 4.0, "burst_after_min": 30.0}
_STORM = {"rain_mm": 110.0}
_WORN = {"start": 0.1, "rate": 0.5}
_QUAKE = {"earthquake_after_s": 2.0, "peak_m_s2": 3.0}

SCENARIOS: Mapping[str, WhatIf] = {
    "rush": WhatIf(title="A third more traffic on a corridor: adaptive signals", net="corridor",
                   scenario={"demand": 1.3}, do=_ADAPT),
    "rain": WhatIf(title="A wet crossing: adaptive signals", net="crossing",
                   scenario={"wet": 1.0}, do=_ADAPT),
    "shut": WhatIf(title="A lane of a crossing is shut: adaptive signals", net="crossing",
                   scenario={"shut_lane": 1.0}, do=_ADAPT),
    "shutting": WhatIf(title="Shutting a lane of a crossing", net="crossing",
                       do=Measure(scenario={"shut_lane": 1.0})),
    "hold": WhatIf(title="Holding the first phase of a crossing, as a broken command would", net="crossing",
                   do=Measure(commands={"mid/phase": 0.0}), minutes=15.0),
    "burst": WhatIf(title="A pipe in the middle of a district bursts", twin="pipes", net="district",
                    do=Measure(scenario=_BURST), minutes=180.0),
    "isolate": WhatIf(title="A burst pipe is shut in after a quarter of an hour", twin="pipes",
                      net="district", scenario=_BURST, minutes=180.0,
                      do=Measure(then=(Then(after=45.0, commands={"H22@J22/valve": 0.0,
                                                                  "H22@J23/valve": 0.0}),))),
    "search": WhatIf(title="A burst pipe is found and shut in by the search for valves", twin="pipes",
                     net="district", scenario=_BURST, minutes=180.0, do=Measure(controller="isolation")),
    "pump-off": WhatIf(title="The pump of a district stands still for half a day", twin="pipes",
                       net="district", do=Measure(commands={"PU/pump": 0.0}), minutes=720.0),
    "heat-wave": WhatIf(title="Three days in July are six degrees warmer", twin="building", minutes=4320.0,
                        scenario={"start_day": 196.0}, do=Measure(scenario={"warmer_k": 6.0})),
    "shade": WhatIf(title="A heat wave: rooms are let to come to 27 degrees", twin="building", minutes=4320.0,
                    scenario={"start_day": 196.0, "warmer_k": 6.0},
                    do=Measure(commands={"living/cool_setpoint": 27.0, "sleeping/cool_setpoint": 27.0})),
    "price": WhatIf(title="Electricity costs twice as much: heating by schedule", twin="building",
                    minutes=10080.0, scenario={"price": 2.0}, do=Measure(controller="schedule")),
    "earthquake": WhatIf(title="An earthquake of 3 m/s2", twin="structure", minutes=0.75,
                         do=Measure(scenario=_QUAKE)),
    "damped": WhatIf(title="An earthquake of 3 m/s2: the damper is on", twin="structure", minutes=0.75,
                     scenario=_QUAKE, do=Measure(commands={"damper/added": 0.1})),
    "traffic": WhatIf(title="Thirty lorries a minute beside a building", twin="structure", minutes=1.0,
                      do=Measure(scenario={"traffic_a_minute": 30.0})),
    "run-on": WhatIf(title="A worn bearing runs on for two days, beside one that is new", twin="machine",
                     minutes=2880.0, do=Measure(scenario=_WORN)),
    "slow-down": WhatIf(title="A worn bearing: half speed", twin="machine", minutes=2880.0, scenario=_WORN,
                        do=Measure(commands={"drive/speed": 0.5})),
    "stop": WhatIf(title="A worn bearing: the machine stands still", twin="machine", minutes=2880.0,
                   scenario=_WORN, do=Measure(commands={"drive/speed": 0.0})),
    "storm": WhatIf(title="A storm of 110 mm instead of 80", twin="flood", minutes=2880.0,
                    do=Measure(scenario=_STORM)),
    "gate": WhatIf(title="A storm of 110 mm: the gate of the basin opens", twin="flood", minutes=2880.0,
                   scenario=_STORM, do=Measure(commands={"basin/gate": 1.0})),
    "throttle": WhatIf(title="A cloudburst of 55 mm: a sewer's gate is half shut", twin="sewer",
                       minutes=1440.0, scenario={"rain_mm": 55.0},
                       do=Measure(commands={"Gate/gate": 0.5})),
}  # fmt: skip
"""Questions to begin with; a TOML file asks others."""


def find(name: str) -> WhatIf:
    """Return a question by its name, or from a TOML file.

    Raises UsageError for a name that is none, DataError for a file that asks nothing that can be answered.
    """
    if name in SCENARIOS:
        return SCENARIOS[name]
    if not name.endswith(".toml"):
        raise UsageError(
            f"there is no what-if {name!r}", hint=f"there are {', '.join(SCENARIOS)}; or give a .toml file"
        )
    try:
        found = msgspec.convert(tomllib.loads(Path(name).read_text("utf-8")), WhatIf)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as cause:
        raise DataError(
            f"this what-if cannot be read: {cause}", where=name,
            hint='twin = "flood", and below [do.commands]: "basin/gate" = 1',
        ) from cause  # fmt: skip
    _sensible(found, name)
    return found


def _sensible(asked: WhatIf, where: str) -> None:
    """Refuse numbers that are none, and what would be done after the end: it would change nothing."""
    for side, measure in (("do", asked.do), ("base", asked.base)):
        for one in measure.then:
            if not one.after < asked.minutes:
                raise DataError(
                    f"after {one.after:g} minutes nothing is done any more: the runs take {asked.minutes:g}",
                    where=f"{where} {side}.then", hint="give more minutes, or an earlier after",
                )  # fmt: skip
        numbers = {"minutes": asked.minutes} | asked.scenario | measure.scenario | measure.commands
        for name, value in [
            *numbers.items(),
            *(pair for one in measure.then for pair in one.commands.items()),
        ]:
            if not math.isfinite(value):
                raise DataError(f"{name} cannot be {value}", where=f"{where} {side}", hint="give a number")
