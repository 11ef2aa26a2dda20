"""Leases: which worker may commit which partition of the score view, and which workers there are.

A lease has no hour at which it ends, as clocks are set: it is good as long as its worker's beat goes on.
Whoever sees a beat stand still for long enough takes the worker out. That is safe however wrong it is,
as every commit of a partition checks its lease in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from nervure.core.error import StoreError
from nervure.store import sql
from nervure.store.database import Database

__all__ = ["Lease", "LeaseLost", "Leases", "Standing", "Worker", "view_of"]

lease = sa.Table(
    "lease", sql.METADATA,
    sa.Column(
        "partition", sa.Integer, primary_key=True, autoincrement=False, comment="Number of the partition"
    ),
    sa.Column("worker", sa.Text, nullable=False, comment="Who holds it; empty: nobody"),
    sa.Column("epoch", sa.BigInteger, nullable=False, comment="How often it was taken or taken away"),
    comment="Who may commit each partition of the score view",
)  # fmt: skip

worker = sa.Table(
    "worker", sql.METADATA,
    sa.Column("name", sa.Text, primary_key=True, comment="Name that the worker gave itself"),
    sa.Column("beat", sa.BigInteger, nullable=False, comment="Rises while it lives"),
    sa.Column("about", sa.JSON, nullable=False, comment="What it says of itself"),
    comment="Workers that hold partitions of the score view",
)  # fmt: skip


class LeaseLost(StoreError):
    """Somebody else may commit this partition now."""


class Lease(msgspec.Struct, frozen=True):
    """Who holds a partition; ``epoch`` rises whenever that changes, so that no old lease fits."""

    partition: int
    worker: str
    epoch: int


class Worker(msgspec.Struct, frozen=True):
    """A worker, its beat, and what it says of itself."""

    name: str
    beat: int
    about: dict[str, Any]


class Standing(msgspec.Struct, frozen=True):
    """All leases by partition, and all workers by name."""

    leases: tuple[Lease, ...]
    workers: tuple[Worker, ...]


class Leases:
    """The leases in a catalogue's database; its methods may be called from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def standing(self) -> Standing:
        """Return who there is and who holds what."""
        with self._database.read() as connection:
            return _standing(connection)

    def attend(self, name: str, about: Mapping[str, Any]) -> Standing:
        """Say that a worker lives, and return how things stand.

        One that was taken out comes back as a new one, which holds nothing.
        """
        beat = worker.c.beat + 1
        with self._database.write() as connection:
            raised = sa.update(worker).where(worker.c.name == name).values(beat=beat, about=dict(about))
            if not connection.execute(raised).rowcount:
                connection.execute(sa.insert(worker).values(name=name, beat=1, about=dict(about)))
            return _standing(connection)

    def take(self, found: Lease, name: str) -> Lease | None:
        """Give a lease to a worker (``""``: to nobody), if it is still as it was ``found``."""
        same = (lease.c.partition == found.partition, lease.c.epoch == found.epoch)
        changed = sa.update(lease).where(*same).values(worker=name, epoch=found.epoch + 1)
        with self._database.write() as connection:
            taken = connection.execute(changed).rowcount
        return Lease(found.partition, name, found.epoch + 1) if taken else None

    def free(self, name: str, beat: int | None = None) -> bool:
        """Take a worker out and free what it held; with ``beat``, only if that is still its last one."""
        gone = sa.delete(worker).where(worker.c.name == name)
        if beat is not None:
            gone = gone.where(worker.c.beat == beat)
        freed = sa.update(lease).where(lease.c.worker == name).values(worker="", epoch=lease.c.epoch + 1)
        with self._database.write() as connection:
            if not connection.execute(gone).rowcount and beat is not None:
                return False
            connection.execute(freed)
        return True

    def require(self, held: Lease) -> None:
        """Raise ``LeaseLost`` unless a lease holds; within `Catalogue.together` it holds until that ends."""
        mine = (
            lease.c.partition == held.partition,
            lease.c.worker == held.worker,
            lease.c.epoch == held.epoch,
        )
        with self._database.write() as connection:
            if not connection.execute(sa.update(lease).where(*mine).values(epoch=lease.c.epoch)).rowcount:
                raise LeaseLost(f"partition {held.partition} belongs to another worker now")

    def lay(self, count: int) -> None:
        """Make so many partitions, which nobody holds, and forget the views of those before.

        Whoever held one has lost it. It belongs into one transaction with the views of the new ones.
        """
        with self._database.write() as connection:
            known = {row.partition: row.epoch for row in connection.execute(sa.select(lease))}
            connection.execute(sa.delete(lease))
            for one in known:
                for name in (sql.view.c.name, sa.func.substr(sql.view.c.name, 1, len(view_of(one)) + 1)):
                    wanted = view_of(one) if name is sql.view.c.name else f"{view_of(one)}/"
                    connection.execute(sa.delete(sql.view).where(name == wanted))
            epoch = 1 + max(known.values(), default=0)
            rows = [{"partition": one, "worker": "", "epoch": epoch} for one in range(count)]
            if rows:
                connection.execute(sa.insert(lease), rows)

    def positions(self) -> dict[int, int]:
        """Return how far each partition is committed."""
        named = {view_of(one.partition): one.partition for one in self.standing().leases}
        query = sa.select(sql.view.c.name, sql.view.c.sequence).where(sql.view.c.name.in_(named))
        with self._database.read() as connection:
            return {named[row.name]: int(row.sequence) for row in connection.execute(query)}


def _standing(connection: sa.Connection) -> Standing:
    leases = connection.execute(sa.select(lease).order_by(lease.c.partition))
    workers = connection.execute(sa.select(worker).order_by(worker.c.name))
    return Standing(
        leases=tuple(Lease(*row) for row in leases), workers=tuple(Worker(*row) for row in workers)
    )


def view_of(partition: int) -> str:
    """Return the name of the view of a partition.

    >>> view_of(3)
    'share-3'
    """
    return f"share-{partition}"
