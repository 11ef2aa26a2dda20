"""The connection to the catalogue's database: SQLite by default, PostgreSQL by URL."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import event

from nervure.core.error import EnvironmentMissing, SettingError, StoreError
from nervure.store.select.spoken import FUNCTIONS

__all__ = ["Database", "url_of"]

BUSY_MS = 10_000
_WRITE = {"nervure_write": True}
_REBUILD = 0x6E657276  # the key of PostgreSQL's lock for migrations


def url_of(place: str | Path) -> sa.URL:
    """Read a database URL, or take a path as a SQLite file.

    >>> str(url_of("catalogue.db"))
    'sqlite:///catalogue.db'
    """
    if isinstance(place, Path) or "://" not in place:
        return sa.URL.create("sqlite", database=str(place))
    try:
        return sa.make_url(place)
    except sa.exc.ArgumentError as cause:
        raise SettingError(
            "the catalogue's address is not a database URL",
            hint="write a path, or postgresql+psycopg://user@host/name with the password in ~/.pgpass",
        ) from cause


class Database:
    """Connections that any thread may borrow; writers of this process go one after the other."""

    def __init__(self, place: str | Path) -> None:
        self.url = url_of(place)
        self.changes = 0
        """How often this process has changed something."""
        self._turn = threading.RLock()
        self._joined = threading.local()  # the connection of the transaction that this thread is in
        try:
            self._engine = sa.create_engine(
                self.url,
                json_serializer=lambda value: msgspec.json.encode(value).decode(),
                json_deserializer=msgspec.json.decode,
                enable_from_linting=False,  # a filter that is false by itself swallows what joins its tables
                pool_pre_ping=self.url.get_backend_name() != "sqlite",
            )
        except (sa.exc.NoSuchModuleError, ModuleNotFoundError) as cause:
            raise EnvironmentMissing(
                f"no driver for {self.url.drivername} is installed",
                hint="pip install 'psycopg[binary]' and write postgresql+psycopg://...",
            ) from cause
        if self.url.get_backend_name() == "sqlite":
            _tune_sqlite(self._engine)

    @property
    def where(self) -> str:
        """The address, without a password."""
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Lend a connection to read with: one consistent picture."""
        joined = getattr(self._joined, "connection", None)
        if joined is not None:
            yield joined
            return
        with self._explained("read"), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Lend a connection whose changes are kept all together, or not at all.

        Within :meth:`together` it is the connection of that transaction.
        """
        joined = getattr(self._joined, "connection", None)
        if joined is not None:
            yield joined
            return
        with self._explained("write"), self._turn, self._engine.connect() as connection:
            writer = connection.execution_options(**_WRITE)
            with writer.begin():
                yield writer
            self.changes += 1

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make one transaction of all that this thread reads and writes meanwhile.

        An error that leaves the block takes all of it back. One within another is part of it.
        """
        if getattr(self._joined, "connection", None) is not None:
            yield
            return
        later: list[Callable[[], None]] = []
        with self.write() as connection:
            self._joined.connection, self._joined.later = connection, later
            try:
                yield
            finally:
                self._joined.connection = None
        for work in later:
            work()

    def after(self, work: Callable[[], None]) -> None:
        """Do something once what this thread has changed is kept: at once, or after :meth:`together`."""
        if getattr(self._joined, "connection", None) is None:
            work()
        else:
            self._joined.later.append(work)

    @property
    def joined(self) -> bool:
        """Whether this thread is within :meth:`together`, and reads what is not yet kept."""
        return getattr(self._joined, "connection", None) is not None

    @contextmanager
    def rebuild(self) -> Iterator[sa.Connection]:
        """Lend a connection to change tables with: as :meth:`write`, and nobody else changes them.

        SQLite changes a table by copying it and dropping the old one, which with foreign keys would
        take along the rows that refer to it; they are checked at the end instead.
        """
        with self._explained("change the tables of"), self._turn, self._engine.connect() as connection:
            sqlite = self.url.get_backend_name() == "sqlite"
            if sqlite:
                _foreign_keys(connection, "OFF")
            try:
                writer = connection.execution_options(**_WRITE)
                with writer.begin():
                    if not sqlite:
                        writer.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _REBUILD})
                    yield writer
                    if sqlite and writer.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
                        raise StoreError("rows refer to what is not there", where=self.where)
            finally:
                if sqlite:
                    _foreign_keys(connection, "ON")

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def _explained(self, verb: str) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as cause:
            text = str(getattr(cause, "orig", None) or cause).partition("\n")[0]
            known = isinstance(cause, sa.exc.IntegrityError)
            hint = "it contradicts what the catalogue holds: nothing was changed" if known else _hint(text)
            raise StoreError(f"cannot {verb} the catalogue: {text}", where=self.where, hint=hint) from cause


def _foreign_keys(connection: sa.Connection, state: str) -> None:
    """Switch SQLite's foreign keys; inside of a transaction that would do nothing."""
    driver = connection.connection.driver_connection
    if driver is not None:
        driver.execute(f"PRAGMA foreign_keys={state}")


def _hint(text: str) -> str:
    if "full" in text:
        return "make room on the disk; nothing that was committed is lost"
    if "locked" in text:
        return "another process holds the catalogue: stop it, or wait"
    if "malformed" in text or "not a database" in text:
        return "the file is damaged: bring it back from a copy, then start again; the log refills the views"
    return "check that the address is right and that this user may read and write there"


def _tune_sqlite(engine: sa.Engine) -> None:
    """Make SQLite behave as PostgreSQL does: real transactions, foreign keys, readers beside a writer."""

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself
        for pragma in (
            f"busy_timeout={BUSY_MS}",
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")
        for name, (arguments, function) in FUNCTIONS.items():
            connection.create_function(name, arguments, function, deterministic=True)

    @event.listens_for(engine, "begin")
    def _begun(connection: sa.Connection) -> None:
        """A writer takes its lock at once: one that reads first and then waits could never get it."""
        write = connection.get_execution_options().get("nervure_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
