"""Loops in the catalogue: how each stands, who approved which Task, and the log of what was done.

Each line of a loop's log carries the hash of the line before (SHA-256) and the node's signature, so that
none can be changed, left out of the middle or put in without it showing; the newest hash stands in the
loop's own row, so that the end cannot be cut off by somebody who may write into the log only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from nervure.core.command import Approval
from nervure.store import sql

__all__ = [
    "Asked", "Line", "append", "approvals", "approve", "asked", "awaiting", "broken", "capabilities", "going",
    "head", "keep", "lines", "newest", "numbers", "standing", "waiting",
]  # fmt: skip

_CAPABILITY = sql.METADATA.tables["tasking_capability"]
_TASK = sql.METADATA.tables["task"]

loop = sa.Table(
    "loop", sql.METADATA,
    # No foreign key: what was done stays, whatever becomes of the capability.
    sa.Column(
        "capability_id", sa.BigInteger, primary_key=True, autoincrement=False,
        comment="Which TaskingCapability",
    ),
    sa.Column("state", sa.LargeBinary, nullable=False, comment="How the loop stands"),
    sa.Column("number", sa.BigInteger, nullable=False, comment="Number of the newest line of its log"),
    sa.Column("hash", sa.Text, nullable=False, comment="Hash of that line"),
    comment="Control loops: mode, evidence, slots",
)  # fmt: skip

loop_step = sa.Table(
    "loop_step", sql.METADATA,
    sa.Column(
        "capability_id", sa.BigInteger, primary_key=True, autoincrement=False,
        comment="Which TaskingCapability",
    ),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False, comment="Place in its log"),
    sa.Column("time_ns", sa.BigInteger, nullable=False, comment="When it was written"),
    sa.Column("task_id", sa.BigInteger, nullable=True, comment="Which Task it is about"),
    sa.Column("who", sa.Text, nullable=False, comment="Who did it"),
    sa.Column("what", sa.Text, nullable=False, comment="What was done"),
    sa.Column("detail", sa.Text, nullable=False, comment="How and why, as JSON"),
    sa.Column("before", sa.Text, nullable=False, comment="Hash of the line before"),
    sa.Column("hash", sa.Text, nullable=False, comment="Hash of this line"),
    sa.Column("seal", sa.Text, nullable=False, comment="Signature of the hash"),
    comment="What was done in each control loop, chained by hashes",
)  # fmt: skip

approval = sa.Table(
    "approval", sql.METADATA,
    sa.Column(
        "task_id", sql.KEY, sa.ForeignKey("task.id", ondelete="CASCADE"), primary_key=True,
        comment="Which Task",
    ),
    sa.Column("who", sa.Text, primary_key=True, comment="Who said yes"),
    sa.Column("time_ns", sa.BigInteger, nullable=False, comment="When"),
    sa.Column("digest", sa.Text, nullable=False, comment="Hash of the values they said yes to"),
    comment="Approvals of Tasks",
)  # fmt: skip


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A Task with what its capability declares, as far as a loop needs it (row ids)."""

    task: int
    capability: int
    thing: int
    project: int
    status: str
    creation_ns: int
    values: Any
    properties: Any
    run_log: list[dict[str, Any]]
    declared: Any
    parameters: Any


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a loop's log."""

    number: int
    time_ns: int
    task: int | None
    who: str
    what: str
    detail: str
    before: str
    hash: str
    seal: str = ""

    def content(self, capability: int) -> bytes:
        """Return what its hash is of."""
        parts = [
            capability,
            self.number,
            self.time_ns,
            self.task,
            self.who,
            self.what,
            self.detail,
            self.before,
        ]
        return msgspec.json.encode(parts)


def capabilities(connection: sa.Connection, project: int | None = None) -> list[Mapping[str, Any]]:
    """Return the capabilities with properties, as rows with id, name, thing_id, project_id, declarations."""
    c = _CAPABILITY.c
    query = sa.select(
        c.id, c.name, c.thing_id, c.project_id, c.properties, c.tasking_parameters, c.description
    ).order_by(c.id)
    if project is not None:
        query = query.where(c.project_id == project)
    return [dict(row) for row in connection.execute(query).mappings() if row["properties"]]


def asked(connection: sa.Connection, task: int) -> Asked | None:
    """Return a Task for its loop, or None where it is gone."""
    query = (
        sa.select(
            _TASK.c.id, _TASK.c.tasking_capability_id, _TASK.c.status, _TASK.c.creation_ns, _TASK.c.run_log,
            _TASK.c.tasking_parameters, _TASK.c.properties, _CAPABILITY.c.thing_id, _CAPABILITY.c.project_id,
            _CAPABILITY.c.properties.label("declared"), _CAPABILITY.c.tasking_parameters.label("parameters"),
        )
        .join(_CAPABILITY, _CAPABILITY.c.id == _TASK.c.tasking_capability_id)
        .where(_TASK.c.id == task)
    )  # fmt: skip
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return Asked(
        task=row.id, capability=row.tasking_capability_id, thing=row.thing_id, project=row.project_id,
        status=row.status, creation_ns=row.creation_ns, values=row.tasking_parameters,
        properties=row.properties, run_log=row.run_log, declared=row.declared, parameters=row.parameters,
    )  # fmt: skip


def going(connection: sa.Connection, capability: int) -> list[int]:
    """Return the Tasks of a capability that its device has taken and that have not ended."""
    mine = (_TASK.c.tasking_capability_id == capability, _TASK.c.status.in_(("acknowledged", "running")))
    return sorted(connection.execute(sa.select(_TASK.c.id).where(*mine)).scalars())


def awaiting(connection: sa.Connection, capability: int) -> list[int]:
    """Return the Tasks of a capability that wait for people, the oldest first."""
    mine = (_TASK.c.status == "awaiting approval", _TASK.c.tasking_capability_id == capability)
    return sorted(connection.execute(sa.select(_TASK.c.id).where(*mine)).scalars())


def newest(connection: sa.Connection) -> int:
    """Return the highest number of a Task, 0 where there is none."""
    return int(connection.execute(sa.select(sa.func.max(_TASK.c.id))).scalar_one_or_none() or 0)


def standing(connection: sa.Connection, capability: int) -> bytes | None:
    """Return how a loop stood when it was last kept."""
    query = sa.select(loop.c.state).where(loop.c.capability_id == capability)
    found: bytes | None = connection.execute(query).scalar_one_or_none()
    return found


def keep(connection: sa.Connection, capability: int, state: bytes) -> None:
    """Keep how a loop stands."""
    known = connection.execute(
        sa.update(loop).where(loop.c.capability_id == capability).values(state=state)
    ).rowcount
    if not known:
        values = {"capability_id": capability, "state": state, "number": 0, "hash": ""}
        connection.execute(sa.insert(loop).values(values))


def append(
    connection: sa.Connection,
    capability: int,
    now_ns: int,
    who: str,
    what: str,
    detail: Mapping[str, Any],
    *,
    task: int | None = None,
    seal: Callable[[bytes], str],
) -> Line:
    """Write the next line of a loop's log; the loop is there (:func:`keep`)."""
    number, before = head(connection, capability)
    draft = Line(
        number=number + 1, time_ns=now_ns, task=task, who=who[:200], what=what,
        detail=msgspec.json.encode(detail, order="deterministic").decode(), before=before, hash="",
    )  # fmt: skip
    digest = hashlib.sha256(draft.content(capability)).hexdigest()
    line = msgspec.structs.replace(draft, hash=digest, seal=seal(digest.encode()))
    row = msgspec.structs.asdict(line)
    row["task_id"] = row.pop("task")
    connection.execute(sa.insert(loop_step).values({"capability_id": capability, **row}))
    mine = loop.c.capability_id == capability
    connection.execute(sa.update(loop).where(mine).values(number=line.number, hash=digest))
    return line


def head(connection: sa.Connection, capability: int) -> tuple[int, str]:
    """Return number and hash of the newest line."""
    query = sa.select(loop.c.number, loop.c.hash).where(loop.c.capability_id == capability)
    row = connection.execute(query).one_or_none()
    return (0, "") if row is None else (row.number, row.hash)


def numbers(connection: sa.Connection) -> dict[int, int]:
    """Return the number of the newest line of every loop that has a log."""
    query = sa.select(loop.c.capability_id, loop.c.number)
    return {row.capability_id: row.number for row in connection.execute(query)}


def waiting(connection: sa.Connection) -> dict[int, int]:
    """Return how many Tasks of each capability wait for approval; those of which none does are left out."""
    capability = _TASK.c.tasking_capability_id
    query = sa.select(capability, sa.func.count().label("tasks")).group_by(capability)
    found = connection.execute(query.where(_TASK.c.status == "awaiting approval"))
    return {row.tasking_capability_id: row.tasks for row in found}


def lines(connection: sa.Connection, capability: int, limit: int, before: int | None = None) -> list[Line]:
    """Return the log of a loop, the newest line first, from before a number on."""
    columns = loop_step.c
    query = sa.select(loop_step).where(columns.capability_id == capability).order_by(columns.number.desc())
    if before is not None:
        query = query.where(columns.number < before)
    return [
        Line(
            number=row.number, time_ns=row.time_ns, task=row.task_id, who=row.who, what=row.what,
            detail=row.detail, before=row.before, hash=row.hash, seal=row.seal,
        )
        for row in connection.execute(query.limit(limit))
    ]  # fmt: skip


def broken(
    capability: int, found: Iterable[Line], newest: tuple[int, str], check: Callable[[bytes, str], bool]
) -> int | None:
    """Return the number of the first line (from the newest on) that is not as it was written, or None."""
    number, digest = newest
    for line in found:
        same = hashlib.sha256(line.content(capability)).hexdigest() == line.hash
        if (
            line.number != number
            or line.hash != digest
            or not same
            or not check(line.hash.encode(), line.seal)
        ):
            return number
        number, digest = line.number - 1, line.before
    return None


def approve(connection: sa.Connection, task: int, given: Approval) -> bool:
    """Note that somebody said yes; whether that is new."""
    mine = (approval.c.task_id == task, approval.c.who == given.who)
    values = {"time_ns": given.time_ns, "digest": given.of}
    if connection.execute(sa.update(approval).where(*mine).values(values)).rowcount:
        return False
    connection.execute(sa.insert(approval).values({"task_id": task, "who": given.who, **values}))
    return True


def approvals(connection: sa.Connection, task: int) -> tuple[Approval, ...]:
    """Return who said yes to a Task."""
    query = sa.select(approval).where(approval.c.task_id == task).order_by(approval.c.who)
    return tuple(
        Approval(who=row.who, time_ns=row.time_ns, of=row.digest) for row in connection.execute(query)
    )
