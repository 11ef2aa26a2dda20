"""Tasks: what is asked of a TaskingCapability, and what becomes of it (17-079, section 8.2.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nervure.core.error import ConflictError, QueryError
from nervure.core.instant import iso
from nervure.core.sensorthings import BY_NAME
from nervure.store.write import swe
from nervure.store.write.form import Touched
from nervure.store.write.work import Work

__all__ = ["FINAL", "STATES", "asked", "check", "note"]

STATES = ("requested", "dispatched", "acknowledged", "rejected", "failed", "completed")
"""What may become of a Task, after the status of SensorThings 2.0 (OGC 23-019)."""

FINAL = frozenset({"rejected", "failed", "completed"})

_TASK = BY_NAME["Task"]
_CAPABILITY = BY_NAME["TaskingCapability"]


def asked(work: Work, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Check a new Task against its TaskingCapability and return its first state."""
    check(work, values["tasking_capability_id"], values["tasking_parameters"], where)
    return {
        "creation_ns": work.now_ns,
        "status": STATES[0],
        "run_log": [{"time": iso(work.now_ns), "status": STATES[0]}],
    }


def check(work: Work, capability: int, parameters: object, where: str) -> None:
    """Check what is asked against what may be asked."""
    description = work.find(_CAPABILITY, capability)["tasking_parameters"]
    swe.check(description, parameters, f"{where}.taskingParameters")


def note(work: Work, id: int, status: str, detail: str) -> None:
    """Add a state to the run log of a Task; the same again changes nothing, an end is an end."""
    if status not in STATES:
        raise QueryError(f"{status!r} is no status of a Task", hint=f"it is one of {', '.join(STATES)}")
    row = work.find(_TASK, id)
    if row["status"] == status:
        return
    if row["status"] in FINAL:
        raise ConflictError(f"Task {id} is {row['status']}: it cannot become {status}")
    line = {"time": iso(work.now_ns), "status": status} | ({"detail": detail} if detail else {})
    work.update(_TASK, id, {"status": status, "run_log": [*row["run_log"], line]})
    work.changed.append(Touched(kind="Task", id=id, properties=frozenset({"status", "runLog"})))
