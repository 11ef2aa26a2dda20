"""Who may do what: projects, users, tokens, sessions, devices and their credentials."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _project()
    _account()
    _token()
    _session()
    _device()
    _credential()
    _attempt()


def _project() -> None:
    op.create_table(
        "project",
        _id(),
        _text("name", "What people call it"),
        _text("description", "What it is, in a sentence"),
        _instant("created_ns", "Since when", required=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project")),
        sa.UniqueConstraint("name", name=op.f("uq_project_name")),
        comment="Tenants: what belongs to one is not there for another",
        sqlite_autoincrement=True,
    )
    table = sa.table("project", sa.column("name"), sa.column("description"), sa.column("created_ns"))
    first = {"name": "first", "description": "What is nobody else's", "created_ns": time.time_ns()}
    op.execute(sa.insert(table).values(first))


def _account() -> None:
    op.create_table(
        "account",
        _id(),
        _of("project", "The only project they see; null: every one", required=False),
        _text("name", "The name to sign in with, in small letters"),
        _text("role", "viewer, operator, engineer or admin"),
        sa.Column(
            "granted",
            sa.JSON(),
            nullable=False,
            comment="Rights given by name: act, configure-interlock, train",
        ),
        _text("secret", "Hash of the password, argon2id; null: signs in elsewhere only", required=False),
        _text("issuer", "The OpenID provider they sign in at", required=False),
        _text("subject", "Who they are there", required=False),
        sa.Column("active", sa.Boolean(), nullable=False, comment="Whether they may sign in"),
        _instant("created_ns", "Since when", required=True),
        _foreign("account", "project"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("name", name=op.f("uq_account_name")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_account_issuer_subject")),
        comment="Users",
    )
    _index("account", "project_id")


def _token() -> None:
    op.create_table(
        "token",
        _id(),
        _of("account", "Whose it is"),
        _text("name", "What it is for"),
        _text("hash", "SHA-256 of it"),
        sa.Column(
            "rights",
            sa.JSON(),
            nullable=False,
            comment="What it may do at most; never more than its owner",
        ),
        _instant("created_ns", "Since when", required=True),
        _instant("expires_ns", "Until when", required=True),
        _instant("revoked_ns", "When it was taken back"),
        _foreign("token", "account"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("hash", name=op.f("uq_token_hash")),
        comment="Bearer tokens of users",
    )
    _index("token", "account_id")


def _session() -> None:
    op.create_table(
        "session",
        _text("hash", "SHA-256 of its cookie"),
        _of("account", "Whose it is"),
        _text("csrf", "What a change must carry beside the cookie"),
        _text("address", "From where they signed in"),
        _instant("created_ns", "Since when", required=True),
        _instant("expires_ns", "Until when", required=True),
        _foreign("session", "account"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_session")),
        comment="Sessions of browsers",
    )
    _index("session", "account_id")


def _device() -> None:
    op.create_table(
        "device",
        _id(),
        _of("project", "Whose it is"),
        _of("thing", "The Thing that it is, or carries"),
        _text("name", "The name it signs in with"),
        sa.Column(
            "datastreams",
            sa.JSON(),
            nullable=False,
            comment="The only ones it may write to; empty: every one of its Thing",
        ),
        _instant("created_ns", "Since when", required=True),
        _instant("revoked_ns", "When it was shut out"),
        _foreign("device", "project"),
        _foreign("device", "thing"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device")),
        sa.UniqueConstraint("name", name=op.f("uq_device_name")),
        comment="Devices, each with credentials of its own",
    )
    _index("device", "project_id")
    _index("device", "thing_id")


def _credential() -> None:
    op.create_table(
        "device_credential",
        _id(),
        _of("device", "Whose it is"),
        _text("kind", "token or certificate"),
        _text("hash", "SHA-256 of the token, or of the certificate as DER"),
        _text("serial", "Serial number of the certificate, in hexadecimal", required=False),
        _instant("created_ns", "Since when", required=True),
        _instant("expires_ns", "Until when"),
        _instant("revoked_ns", "When it was taken back"),
        _foreign("device_credential", "device"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_credential")),
        sa.UniqueConstraint("hash", name=op.f("uq_device_credential_hash")),
        comment="What devices sign in with",
    )
    _index("device_credential", "device_id")


def _attempt() -> None:
    op.create_table(
        "login_attempt",
        _text("key", "Hash of a name, an address, or both"),
        sa.Column("failures", sa.Integer(), nullable=False, comment="How often in a row it went wrong"),
        _instant("last_ns", "When it last went wrong", required=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_login_attempt")),
        comment="Sign-ins that went wrong, from which the waiting grows",
    )


def _id() -> sa.Column[int]:
    return sa.Column("id", _KEY, nullable=False, comment="Key, given by the catalogue")


def _of(target: str, comment: str, *, required: bool = True) -> sa.Column[int]:
    return sa.Column(f"{target}_id", _KEY, nullable=not required, comment=comment)


def _text(name: str, comment: str, *, required: bool = True) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=not required, comment=comment)


def _instant(name: str, comment: str, *, required: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=not required, comment=comment)


def _foreign(table: str, target: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{target}_id")
    return sa.ForeignKeyConstraint([f"{target}_id"], [f"{target}.id"], name=name, ondelete="CASCADE")


def _index(table: str, column: str) -> None:
    op.create_index(op.f(f"ix_{table}_{column}"), table, [column], unique=False)
