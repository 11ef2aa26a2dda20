"""``nervure new``: a commented file to start from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from nervure.cli.output import say
from nervure.core.error import EnvironmentMissing, UsageError

__all__ = ["new", "project", "solution"]

new = App(name="new", help="Write a commented file to start from: a solution, a project.")

Folder = Annotated[Path, Parameter(help="Where to write it; here if left out.")]

_SOLUTION = '''"""{Title}: what is sensed, what is asked of it, and what is said about it."""

from nervure.core.declaration import Rule, Signal, Solution
from nervure.core.problem import AlarmPolicy, Anomaly, Forecast

solution = Solution(
    name="{name}",
    title="{Title}",
    thing="place",  # what has sensors: a district, a pump, a junction
    signals=(
        # A reading outside low..high is stored, but no model sees it. Units are UCUM codes.
        Signal(name="level", unit="m", every="15min", low=0, high=10, phenomenon="Level"),
    ),
    problems=(
        # Foresee the next day from the last three, with 80 % bands.
        Forecast(of="level", horizon="1d", window="3d"),
        # Tell when a reading is not what was foreseen, at no more than this many alarms a day.
        Anomaly(
            of=("level",), window="3d", residual="forecast-level", lead="6h",
            policy=AlarmPolicy(alarms_per_day=0.5, min_duration="1h", merge_gap="12h"),
        ),
    ),
    rules=(
        Rule(
            name="unusual", when="score > limit for 1h", severity="major", problem="anomaly-level",
            say="Unusual level at {{thing}}: {{value}} {{unit}}, not {{expected}}, since {{since}}.",
        ),
        Rule(
            name="silent", when="silent > 1h", severity="warning", of=("level",),
            say="No level from {{thing}} since {{since}}.",
        ),
    ),
    # What is set at each place, and what every command keeps to (docs/act.md); or as TOML in {name}.toml.
    # from nervure.core.interlock import Fresh, Range, Step; from nervure.core.loop import Loop, Setting
    # loops=(
    #     Loop(
    #         command="pump", sets=(Setting(name="speed", unit="%"),), rests=("forecast-level",),
    #         interlocks=(Range(of="speed", low=0, high=100), Fresh(inputs=("level",), within="1h")),
    #         plan=(Step(hold="1h", values={{"speed": 40.0}}),),
    #     ),
    # ),
    # data=Source(…) names the real data that train and judge it; nervure/solutions/water.py has one.
)
'''
_NEXT = """Read it back with: nervure solutions {path}
To give it to others, name it in your package's pyproject.toml:
[project.entry-points."nervure.solutions"]
{name} = "YOUR_PACKAGE.{name}:solution"
"""


@new.command
def solution(
    name: Annotated[str, Parameter(help="Its name: small letters, digits and _.")],
    /,
    *,
    folder: Folder = Path(),
) -> int:
    """Write NAME.py, a solution to fill in: signals, problems, rules, loops."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name):
        raise UsageError(f"{name!r} is no name for a solution", hint="use small letters, digits and _: noise")
    path = _write(
        folder / f"{name}.py", _SOLUTION.format(name=name, Title=name.replace("_", " ").capitalize())
    )
    say(f"wrote {path}\n{_NEXT.format(path=path, name=name)}")
    return 0


@new.command
def project(*, folder: Folder = Path()) -> int:
    """Write nervure.toml with every setting, its meaning and its default."""
    from nervure.cli.reference import settings_file

    path = _write(folder / "nervure.toml", settings_file())
    say(f"wrote {path}; every line in it is a default until you change it")
    return 0


def _write(path: Path, text: str) -> Path:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as cause:
        raise UsageError(
            f"{path} is there already", hint="nothing is overwritten: move it away first"
        ) from cause
    except OSError as cause:
        raise EnvironmentMissing(f"cannot write {path}: {cause.strerror}") from cause
    return path
