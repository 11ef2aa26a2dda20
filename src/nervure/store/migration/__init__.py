"""Bringing the catalogue's tables up to date, by Alembic; each change of them is a file in ``versions``."""

from __future__ import annotations

import threading
from pathlib import Path

import sqlalchemy as sa

from nervure.core.error import StoreError
from nervure.store import access, lease, loop, monitor  # noqa: F401 - their tables belong to the metadata
from nervure.store.database import Database

__all__ = ["HEAD", "migrate"]

HEAD = "0008"
"""The newest revision: where it stands already, Alembic is not even loaded."""

_FOLDER = Path(__file__).parent
_ONE_AT_A_TIME = threading.Lock()  # Alembic keeps its context in globals


def migrate(database: Database) -> None:
    """Bring the tables to :data:`HEAD` in one transaction; nothing happens when they are there."""
    if _stands_at_head(database):
        return
    try:
        with _ONE_AT_A_TIME, database.rebuild() as connection:
            present = _revision(connection)
            if present != HEAD:
                _upgrade(connection, present, database.where)
    except StoreError:
        if not _stands_at_head(database):  # another process may have done it at the same moment
            raise


def _stands_at_head(database: Database) -> bool:
    with database.read() as connection:
        return _revision(connection) == HEAD


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _upgrade(connection: sa.Connection, present: str | None, where: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if present is not None and present not in known:
        raise StoreError(
            f"the catalogue was written by a newer Nervure (revision {present})",
            where=where,
            hint="upgrade Nervure, or bring back the catalogue from before",
        )
    command.upgrade(config, HEAD)
