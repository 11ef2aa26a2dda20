"""``nervure twin calibrate``: fit a twin to readings of one's own."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from nervure.bench.markdown import number
from nervure.cli.option import Json
from nervure.cli.output import say, table, write_json
from nervure.cli.progress import progress

if TYPE_CHECKING:
    from nervure.twin.api import Twin
    from nervure.twin.record import Observed

__all__ = ["calibrate"]

_HELD, _PLAIN = "held_out", "uncalibrated_"
_WORDS = {
    "efficiency": "efficiency (Nash and Sutcliffe; 1 at best)",
    "rmse_m": "root mean square error, m",
    "rmse_k": "root mean square error, K",
    "share": "error, as a share of what was measured",
    "flow": "error of flows, as a share of them",
    "power": "error of electricity, as a share of it",
    "error": "error of all arrivals, as a share of them",
    "loop_error": "error of arrivals detector by detector, as a share of them",
    "queue_error": "error of mean queues, vehicles",
}


def calibrate(
    name: Annotated[str, Parameter(help="Which twin: nervure twin list tells.")],
    record: Annotated[
        Path | None,
        Parameter(
            help="A CSV file: the first line names sensors and actuators as the twin does, each further one"
            " is a step. Empty cells were not measured; a column time tells how long a step is."
            " Without a file it lists what columns there can be."
        ),
    ] = None,
    /,
    *,
    net: Annotated[
        str | None, Parameter(help="Of roads and pipes: as of nervure twin run. Of sewer: an .inp file.")
    ] = None,
    scenario: Annotated[
        tuple[str, ...], Parameter(help="What is known to be different, as hour=0. May be repeated.")
    ] = (),
    json: Json = False,
) -> int:
    """Fit a twin's own quantities to readings, and tell the error on the last third, which it did not see.

    What it prints as --scenario goes into nervure twin run and into the scenario of a what-if.
    """
    from nervure.cli.field import written
    from nervure.twin.record import Observed, read_record

    observed = Observed({}, None) if record is None else read_record(record)
    with tempfile.TemporaryDirectory() as folder, progress(f"calibrate {name}"):
        twin = _opened(name, net, observed, Path(folder))
        try:
            if record is None:
                return _columns(twin, json=json)
            _fits(twin, observed, record)
            twin.reset(scenario=written(scenario))
            found = dict(twin.calibrate(observed.readings))
        finally:
            twin.close()
    write_json(found) if json else _show(name, found)
    return 0


def _opened(name: str, net: str | None, observed: Observed, folder: Path) -> Twin:
    """Open the twin that has what was measured."""
    from nervure.cli.field import network, open_one
    from nervure.twin.find import open_twin

    things = {what: _things(observed, what) for what in ("pressure", "flow", "acceleration")}
    if name == "pipes":
        step = {} if observed.step_s is None else {"step_s": observed.step_s}
        return open_twin(
            name, path=network(net, folder), pressure=things["pressure"], flow=things["flow"], **step
        )
    if name == "structure":
        storeys = len(set(things["acceleration"]) - {"ground"})
        return open_twin(name, storeys=storeys or None)
    if name == "sewer":
        return open_twin(name, path=None if net is None else Path(net))
    return open_one(name, net, folder)


def _things(observed: Observed, what: str) -> tuple[str, ...]:
    return tuple(one.rsplit("/", 1)[0] for one in observed.readings if one.endswith(f"/{what}"))


def _columns(twin: Twin, *, json: bool) -> int:
    """List what can be observed of a twin."""
    about = twin.describe()
    if json:
        write_json(about)
        return 0
    rows = [(one.name, one.signal, one.unit) for one in about.sensors]
    rows += [(one.name, one.signal, one.unit) for one in about.actuators]
    table(("column", "signal", "unit"), rows, title=f"{about.name}: a row is {about.step_s:g} s")
    return 0


def _fits(twin: Twin, observed: Observed, record: Path) -> None:
    """Refuse columns that the twin does not have, and steps that are not its own."""
    from nervure.twin.api import TwinError

    about = twin.describe()
    known = [one.name for one in about.sensors] + [one.name for one in about.actuators]
    if odd := [one for one in observed.readings if one not in known]:
        raise TwinError(
            f"the twin has no {odd[0]!r}", where=str(record), hint=f"it has {', '.join(known[:12])}, …"
        )
    step = observed.step_s
    if step is not None and not math.isclose(step, about.step_s, rel_tol=1e-3):
        raise TwinError(
            f"rows are {step:g} s apart, a step of the twin is {about.step_s:g} s", where=str(record),
            hint="take means over its steps",
        )  # fmt: skip


def _told(name: str) -> str:
    """Return what a figure of the last third is, with its unit.

    >>> _told("held_out_rmse_m"), _told("held_out_efficiency")
    ('root mean square error, m', 'efficiency (Nash and Sutcliffe; 1 at best)')
    """
    what = name.removeprefix(f"{_HELD}_")
    return _WORDS.get(what, what)


def _show(name: str, found: dict[str, float]) -> None:
    own = {one: value for one, value in found.items() if not one.startswith((_HELD, _PLAIN))}
    table(("fitted", "value"), [(one, number(value)) for one, value in own.items()], title=name)
    rows = [
        (_told(one), number(value), number(found.get(f"{_PLAIN}{one}")))
        for one, value in found.items()
        if one.startswith(_HELD)
    ]
    plain = any(one.startswith(_PLAIN) for one in found)
    columns = ("on the last third", "fitted", "as it comes")
    table(columns if plain else columns[:2], rows if plain else [row[:2] for row in rows])
    if _no_better(found):
        say(
            "On the last third it foretells no better than the twin as it comes: do not use it. Look at the"
            " units of the file (the column's is what nervure twin calibrate lists), at readings that cannot"
            " be, and at whether anything happens in its first two thirds."
        )
    say(" ".join(f"--scenario {one}={value:.4g}" for one, value in own.items()))


def _no_better(found: Mapping[str, float]) -> bool:
    """Tell whether no figure of the last third is better than that of the twin as it comes.

    >>> _no_better({"held_out_rmse_m": 2.0, "uncalibrated_held_out_rmse_m": 2.0})
    True
    >>> _no_better({"held_out_efficiency": 0.9, "uncalibrated_held_out_efficiency": 0.5})
    False
    """
    pairs = [
        (one, found[one], found[f"{_PLAIN}{one}"])
        for one in found
        if one.startswith(_HELD) and f"{_PLAIN}{one}" in found
    ]
    return bool(pairs) and not any(
        fitted > plain if one.endswith("efficiency") else fitted < plain for one, fitted, plain in pairs
    )
