"""The tables of who may do what: projects, users, what they sign in with, devices and their credentials.

No secret stands in them: a password as its argon2id hash, a token, a session or a device's token as
the SHA-256 of 256 random bits, a certificate as its fingerprint.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from nervure.store import sql

__all__ = ["account", "attempt", "credential", "device", "project", "session", "token"]


KEY, METADATA = sql.KEY, sql.METADATA


def _key() -> sa.Column[int]:
    return sa.Column("id", KEY, primary_key=True, comment="Key, given by the catalogue")


def _of(target: str, comment: str, *, required: bool = True) -> sa.Column[int]:
    foreign = sa.ForeignKey(f"{target}.id", ondelete="CASCADE")
    return sa.Column(f"{target}_id", KEY, foreign, nullable=not required, index=True, comment=comment)


def _text(name: str, comment: str, *, required: bool = True) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=not required, comment=comment)


def _instant(name: str, comment: str, *, required: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=not required, comment=comment)


def _list(name: str, comment: str) -> sa.Column[Any]:
    return sa.Column(name, sa.JSON, nullable=False, comment=comment)


project = sa.Table(
    "project", METADATA, _key(),
    _text("name", "What people call it"),
    _text("description", "What it is, in a sentence"),
    _instant("created_ns", "Since when", required=True),
    sa.UniqueConstraint("name"),
    comment="Tenants: what belongs to one is not there for another",
    sqlite_autoincrement=True,  # what a removed project left behind must not fall to a new one
)  # fmt: skip

account = sa.Table(
    "account", METADATA, _key(),
    _of("project", "The only project they see; null: every one", required=False),
    _text("name", "The name to sign in with, in small letters"),
    _text("role", "viewer, operator, engineer or admin"),
    _list("granted", "Rights given by name: act, configure-interlock, train"),
    _text("secret", "Hash of the password, argon2id; null: signs in elsewhere only", required=False),
    _text("issuer", "The OpenID provider they sign in at", required=False),
    _text("subject", "Who they are there", required=False),
    sa.Column("active", sa.Boolean, nullable=False, comment="Whether they may sign in"),
    _instant("created_ns", "Since when", required=True),
    sa.UniqueConstraint("name"),
    sa.UniqueConstraint("issuer", "subject"),
    comment="Users",
)  # fmt: skip

token = sa.Table(
    "token", METADATA, _key(),
    _of("account", "Whose it is"),
    _text("name", "What it is for"),
    _text("hash", "SHA-256 of it"),
    _list("rights", "What it may do at most; never more than its owner"),
    _instant("created_ns", "Since when", required=True),
    _instant("expires_ns", "Until when", required=True),
    _instant("revoked_ns", "When it was taken back"),
    sa.UniqueConstraint("hash"),
    comment="Bearer tokens of users",
)  # fmt: skip

session = sa.Table(
    "session", METADATA,
    sa.Column("hash", sa.Text, primary_key=True, comment="SHA-256 of its cookie"),
    _of("account", "Whose it is"),
    _text("csrf", "What a change must carry beside the cookie"),
    _text("address", "From where they signed in"),
    _instant("created_ns", "Since when", required=True),
    _instant("expires_ns", "Until when", required=True),
    comment="Sessions of browsers",
)  # fmt: skip

device = sa.Table(
    "device", METADATA, _key(),
    _of("project", "Whose it is"),
    _of("thing", "The Thing that it is, or carries"),
    _text("name", "The name it signs in with"),
    _list("datastreams", "The only ones it may write to; empty: every one of its Thing"),
    _instant("created_ns", "Since when", required=True),
    _instant("revoked_ns", "When it was shut out"),
    sa.UniqueConstraint("name"),
    comment="Devices, each with credentials of its own",
)  # fmt: skip

credential = sa.Table(
    "device_credential", METADATA, _key(),
    _of("device", "Whose it is"),
    _text("kind", "token or certificate"),
    _text("hash", "SHA-256 of the token, or of the certificate as DER"),
    _text("serial", "Serial number of the certificate, in hexadecimal", required=False),
    _instant("created_ns", "Since when", required=True),
    _instant("expires_ns", "Until when"),
    _instant("revoked_ns", "When it was taken back"),
    sa.UniqueConstraint("hash"),
    comment="What devices sign in with",
)  # fmt: skip

attempt = sa.Table(
    "login_attempt", METADATA,
    sa.Column("key", sa.Text, primary_key=True, comment="Hash of a name, an address, or both"),
    sa.Column("failures", sa.Integer, nullable=False, comment="How often in a row it went wrong"),
    _instant("last_ns", "When it last went wrong", required=True),
    comment="Sign-ins that went wrong, from which the waiting grows",
)  # fmt: skip
