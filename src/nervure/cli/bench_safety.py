"""``nervure bench safety``: hostile commands, a hostile wire, a platform that is killed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from nervure.cli.benched import Out
from nervure.cli.option import Json
from nervure.cli.output import complain, say, write_json
from nervure.cli.progress import progress

if TYPE_CHECKING:
    from nervure.bench.safety.run import Safety

__all__ = ["safety"]


def safety(
    *,
    only: Annotated[
        tuple[str, ...],
        Parameter(help="judge, guard, decision, wire, chaos, street, late; may be repeated."),
    ] = (),
    commands: Annotated[int, Parameter(help="Commands per interlock.", show_default=True)] = 1_000_000,
    orders: Annotated[
        int, Parameter(help="Orders to the guard of each plant.", show_default=True)
    ] = 1_000_000,
    wire: Annotated[int, Parameter(help="Commands from sensor to actuator.", show_default=True)] = 1_000,
    kills: Annotated[int, Parameter(help="How often the platform is killed.", show_default=True)] = 50,
    hours: Annotated[int, Parameter(help="Hours of a street, each side.", show_default=True)] = 10,
    seed: Annotated[int, Parameter(help="Where the chances begin.", show_default=True)] = 0,
    workers: Annotated[int, Parameter(help="Processes for judge, street and late.", show_default=True)] = 1,
    out: Out = None,
    json: Json = False,
) -> int:
    """Throw hostile commands at judge and guard beside a plain reference, time decisions, kill the platform.

    The whole takes about half an hour. Exit code 1 if anything unsafe was let pass.
    """
    from nervure.bench.safety.run import PARTS, failed, measure, put
    from nervure.core.error import UsageError

    unknown = set(only) - set(PARTS)
    if unknown:
        raise UsageError(f"there is no part {min(unknown)!r}", hint=f"one of: {', '.join(PARTS)}")
    size = {"commands": commands, "orders": orders, "wire": wire, "kills": kills, "hours": hours}
    with progress("bench safety") as tell:
        found = measure(parts=only or PARTS, seed=seed, workers=workers, tell=tell, **size)
    found.command = _words()
    wrong = failed(found)
    _show(found, json)
    if out is not None:
        for path in put(found, out):
            say(f"wrote {path}") if not json else None
    for one in wrong:
        complain(one[:20_000])
    return 1 if wrong else 0


def _words() -> str:
    given = sys.argv[1:]
    words = given[given.index("bench") :] if "bench" in given else ["bench", "safety"]
    return "nervure " + " ".join(word for word in words if word != "--json")


def _show(found: Safety, json: bool) -> None:
    from nervure.bench.safety.page import page

    write_json(found) if json else say(page(found))
