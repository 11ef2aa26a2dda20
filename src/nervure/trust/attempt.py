"""Sign-ins that went wrong: each makes the next wait longer, by name, by address, and by both.

Guessing one name from one address waits first; a name that is guessed from everywhere, or an
address that guesses every name, only after more, so that strangers cannot easily lock a user out.
Where somebody has signed in before, they wait only for what went wrong there with their own name:
strangers who guess on for ever keep nobody out of their usual place.
"""

from __future__ import annotations

import contextlib
import time

import sqlalchemy as sa

from nervure.core.error import BusyError
from nervure.store import access
from nervure.trust.secret import digest

__all__ = ["fail", "require_patience", "succeed"]

_FREE = {"both": 5, "name": 25, "address": 50}
"""How many failures in a row cost nothing."""

_LONGEST_S = 900.0
_FORGET_S = 3600.0
_KNOWN_S = 90 * 86_400.0
"""For how long the address of a sign-in that went right is somebody's usual place."""

_MOST = 100_000


def require_patience(connection: sa.Connection, name: str, address: str) -> None:
    """Return if they may try now, else raise ``BusyError`` with how long to wait."""
    now = time.time_ns()
    keys = _keys(name, address)
    table, place = access.attempt, _place(name, address)
    rows = connection.execute(sa.select(table).where(table.c.key.in_([*keys, place]))).all()
    usual = any(found.key == place and found.last_ns > now for found in rows)
    for found in rows:
        if found.key == place or (usual and keys[found.key] != "both"):
            continue
        over = found.failures - _FREE[keys[found.key]]
        if over < 0:
            continue
        wait_s = min(_LONGEST_S, 2.0 ** min(over, 20)) - (now - found.last_ns) / 1e9
        if wait_s > 0:
            raise BusyError("too many sign-ins went wrong", retry_s=wait_s, hint=f"wait {wait_s:.0f} s")


def fail(connection: sa.Connection, name: str, address: str) -> None:
    """Note that a sign-in went wrong."""
    table, now = access.attempt, time.time_ns()
    connection.execute(sa.delete(table).where(table.c.last_ns < now - int(_FORGET_S * 1e9)))
    for key in _keys(name, address):
        again = sa.update(table).where(table.c.key == key).values(failures=table.c.failures + 1, last_ns=now)
        if not connection.execute(again).rowcount and _count(connection) < _MOST:
            connection.execute(sa.insert(table).values(key=key, failures=1, last_ns=now))


def succeed(connection: sa.Connection, name: str, address: str) -> None:
    """Forget what went wrong with this name from this address, which is their usual place from now on.

    That is a line whose time lies ahead, so that it is not forgotten with the old failures.
    """
    table, place = access.attempt, _place(name, address)
    keys = [key for key, kind in _keys(name, address).items() if kind != "address"]
    connection.execute(sa.delete(table).where(table.c.key.in_([*keys, place])))
    until = time.time_ns() + int(_KNOWN_S * 1e9)
    with contextlib.suppress(sa.exc.IntegrityError), connection.begin_nested():  # signed in twice at once
        connection.execute(sa.insert(table).values(key=place, failures=0, last_ns=until))


def _count(connection: sa.Connection) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(access.attempt)).scalar_one())


def _place(name: str, address: str) -> str:
    return digest(f"place|{name.strip().casefold()}|{address}")


def _keys(name: str, address: str) -> dict[str, str]:
    small = name.strip().casefold()
    return {
        digest(f"both|{small}|{address}"): "both",
        digest(f"name|{small}"): "name",
        digest(f"address|{address}"): "address",
    }
