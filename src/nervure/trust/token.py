"""Bearer tokens of users, and sessions of their browsers: known by their hash, both end by themselves."""

from __future__ import annotations

import time

import msgspec
import sqlalchemy as sa

from nervure.core.error import UsageError
from nervure.store import access
from nervure.trust import row
from nervure.trust.right import Right
from nervure.trust.secret import SESSION, TOKEN, digest, make_token
from nervure.trust.user import User

__all__ = ["Session", "Token", "add", "add_session", "end_session", "revoke", "sessions", "tokens"]

DAY_NS = 86_400_000_000_000


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A bearer token: whose, what for, until when, and what it may do at most."""

    id: int
    account_id: int
    name: str
    hash: str
    rights: tuple[Right, ...]
    created_ns: int
    expires_ns: int
    revoked_ns: int | None = None

    def __repr__(self) -> str:
        return f"Token({self.id}, {self.name!r})"

    def holds(self, now_ns: int) -> bool:
        """Tell whether it is good at that instant."""
        return self.revoked_ns is None and now_ns < self.expires_ns


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session of a browser; ``csrf`` must come with every change."""

    hash: str
    account_id: int
    csrf: str
    address: str
    created_ns: int
    expires_ns: int

    def __repr__(self) -> str:
        return f"Session({self.account_id})"


def tokens(connection: sa.Connection, account: int | None = None) -> list[Token]:
    """Return the tokens by their key, all or those of one user."""
    query = sa.select(access.token).order_by(access.token.c.id)
    if account is not None:
        query = query.where(access.token.c.account_id == account)
    return row.rows(connection, Token, query)


def add(
    connection: sa.Connection,
    owner: User,
    name: str,
    rights: tuple[Right, ...],
    days: float,
    *,
    latest_ns: int | None = None,
) -> tuple[Token, str]:
    """Add a token, good until ``latest_ns`` at most, and return it with its secret, shown this once."""
    over = set(rights) - owner.rights
    if over:
        raise UsageError(
            f"a token cannot do more than its owner: {owner.name} may not {', '.join(sorted(over))}"
        )
    if not 0 < days <= 3650:
        raise UsageError("a token is good for more than 0 and at most 3,650 days")
    secret, now = make_token(TOKEN), time.time_ns()
    expires = now + int(days * DAY_NS)
    values = {
        "account_id": owner.id,
        "name": name,
        "hash": digest(secret),
        "rights": list(rights),
        "created_ns": now,
        "expires_ns": expires if latest_ns is None else min(expires, latest_ns),
    }
    key = row.add(connection, access.token, values, "token")
    query = sa.select(access.token).where(access.token.c.id == key)
    return row.one(connection, Token, query, f"token {key}"), secret


def revoke(connection: sa.Connection, id: int, account: int | None = None) -> Token:
    """Take a token back; of one user only, if ``account`` says so."""
    query = sa.select(access.token).where(access.token.c.id == id)
    if account is not None:
        query = query.where(access.token.c.account_id == account)
    found = row.one(connection, Token, query, f"token {id}")
    if found.revoked_ns is None:
        values = {"revoked_ns": time.time_ns()}
        connection.execute(sa.update(access.token).where(access.token.c.id == id).values(values))
    return row.one(connection, Token, query, f"token {id}")


def sessions(connection: sa.Connection) -> list[Session]:
    """Return every session that has not ended."""
    query = sa.select(access.session).where(access.session.c.expires_ns > time.time_ns())
    return row.rows(connection, Session, query)


def add_session(connection: sa.Connection, owner: User, address: str, hours: float) -> tuple[Session, str]:
    """Begin a session and return it with the value of its cookie; those that ended are forgotten."""
    secret, now = make_token(SESSION), time.time_ns()
    made = Session(
        hash=digest(secret),
        account_id=owner.id,
        csrf=make_token(""),
        address=address,
        created_ns=now,
        expires_ns=now + int(hours * DAY_NS / 24),
    )
    connection.execute(sa.delete(access.session).where(access.session.c.expires_ns <= now))
    connection.execute(sa.insert(access.session).values(msgspec.structs.asdict(made)))
    return made, secret


def end_session(connection: sa.Connection, *, hash: str | None = None, account: int | None = None) -> None:
    """End one session, or all of a user."""
    chosen = access.session.c.hash == hash if account is None else access.session.c.account_id == account
    connection.execute(sa.delete(access.session).where(chosen))
