"""Tasks: what is asked of a TaskingCapability, and what becomes of it (17-079, section 8.2.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nervure.core.error import ConflictError, DeclarationError, DeniedError, QueryError
from nervure.core.instant import iso
from nervure.core.interlock_check import ACT, declared
from nervure.core.loop import LOOP, capability
from nervure.core.sensorthings import BY_NAME
from nervure.core.task import STATES, State, ways, word
from nervure.solutions import find, names
from nervure.store.write import swe
from nervure.store.write.form import Touched
from nervure.store.write.work import Work

__all__ = ["asked", "check", "filled", "keeps", "note"]

_TASK = BY_NAME["Task"]
_CAPABILITY = BY_NAME["TaskingCapability"]
_THING = BY_NAME["Thing"]


def asked(work: Work, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Check a new Task against its TaskingCapability and return its first state."""
    check(work, values["tasking_capability_id"], values["tasking_parameters"], where)
    line = {"time": iso(work.now_ns), "status": STATES[0], "by": work.scope.who, "as": work.scope.kind}
    return {"creation_ns": work.now_ns, "status": STATES[0], "run_log": [line]}


def check(work: Work, capability: int, parameters: object, where: str) -> None:
    """Check what is asked against what may be asked."""
    description = work.find(_CAPABILITY, capability)["tasking_parameters"]
    swe.check(description, parameters, f"{where}.taskingParameters")


def filled(work: Work, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return what a new TaskingCapability gets from the solution whose loop it says it is, if it says so."""
    properties = values.get("properties")
    if not isinstance(properties, Mapping) or ACT in properties:
        return {}
    mark = properties.get(LOOP)
    if not isinstance(mark, str):
        return {}
    solution, _, command = mark.partition("/")
    if solution not in names():  # not a file: who writes names what is installed
        raise QueryError(
            f"there is no solution {solution!r}", where=f"{where}.properties.{LOOP}",
            hint=f"there are: {', '.join(names())}",
        )  # fmt: skip
    try:
        known = find(solution)
        thing = str(work.find(_THING, values["thing_id"])["name"])
        asked, declares = capability(known.loop(command), solution, known.inputs(thing))
    except DeclarationError as cause:
        raise QueryError(cause.what, where=f"{where}.properties.{LOOP}", hint=cause.hint) from cause
    return {"tasking_parameters": asked, "properties": {**properties, **declares}}


def keeps(work: Work, before: Mapping[str, Any], after: Mapping[str, Any], where: str) -> None:
    """Check the interlocks that a TaskingCapability declares; changing them takes a right of its own."""
    old, new = _act(before), _act(after)
    if old is None and new is None:
        return
    fields = before.get("tasking_parameters") != after.get("tasking_parameters")
    if (old != new or fields) and not work.scope.interlocks:
        raise DeniedError(
            f"{work.scope.who} may not change interlocks: it takes the right to configure-interlock",
            hint="an admin can give it",
        )
    try:
        declared(after.get("properties"), after.get("tasking_parameters"), where=f"{where}.properties.{ACT}")
    except DeclarationError as cause:
        raise QueryError(cause.what, where=cause.where, hint=cause.hint) from cause


def _act(row: Mapping[str, Any]) -> Any:
    properties = row.get("properties")
    return properties.get(ACT) if isinstance(properties, Mapping) else None


def note(work: Work, id: int, status: str, detail: str) -> tuple[State, ...]:
    """Add a state to the run log of a Task, with those that lie between, and return them.

    The same again changes nothing, an end is an end.
    """
    wanted = word(status)
    if wanted not in STATES:
        raise QueryError(f"{status!r} is no status of a Task", hint=f"it is one of {', '.join(STATES)}")
    row = work.find(_TASK, id)
    if row["status"] == wanted:
        return ()
    found = ways(row["status"], wanted)
    if not found:
        raise ConflictError(f"Task {id} is {row['status']}: it cannot become {wanted}")
    lines = [{"time": iso(work.now_ns), "status": one} for one in found]
    if detail:
        lines[-1]["detail"] = detail
    work.update(_TASK, id, {"status": wanted, "run_log": [*row["run_log"], *lines]})
    work.changed.append(Touched(kind="Task", id=id, properties=frozenset({"status", "runLog"})))
    return found
