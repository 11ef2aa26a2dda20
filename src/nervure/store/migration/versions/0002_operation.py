"""Alerts, views of the log, quarantine, models, audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _alert()
    _audit()
    _model()
    _outbox()
    _quarantine()
    _quarantine_total()
    _view()


def _alert() -> None:
    op.create_table(
        "alert",
        sa.Column("id", sa.Text(), nullable=False, comment="Deterministic id: rule, Datastream and start"),
        sa.Column("solution", sa.Text(), nullable=False, comment="Which solution raised it"),
        sa.Column("rule", sa.Text(), nullable=False, comment="Which of its rules"),
        sa.Column("severity", sa.Text(), nullable=False, comment="critical, major, minor, warning or info"),
        sa.Column("thing_id", sa.BigInteger(), nullable=False, comment="Where"),
        sa.Column("datastream_id", sa.BigInteger(), nullable=False, comment="In which readings"),
        sa.Column("text", sa.Text(), nullable=False, comment="The sentence that a person reads"),
        sa.Column("start_ns", sa.BigInteger(), nullable=False, comment="Since when"),
        sa.Column("raised_ns", sa.BigInteger(), nullable=False, comment="When it was raised"),
        sa.Column("active", sa.Boolean(), nullable=False, comment="Whether it still holds"),
        sa.Column("acknowledged", sa.Boolean(), nullable=False, comment="Whether a person saw it"),
        sa.Column("end_ns", sa.BigInteger(), nullable=True, comment="Until when it held"),
        sa.Column(
            "shelved_until_ns",
            sa.BigInteger(),
            nullable=True,
            comment="Until when a person wants no word of it",
        ),
        sa.Column(
            "sure",
            sa.Float(precision=53),
            nullable=True,
            comment="Share of calibration scores below its own, 0..1",
        ),
        sa.Column("evidence", sa.JSON(), nullable=False, comment="The readings that show it"),
        sa.Column("model", sa.Text(), nullable=False, comment="Name and version of the model that scored it"),
        sa.Column("properties", sa.JSON(), nullable=False, comment="Anything else, as a JSON object"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
        comment="What rules found, in the state a person left it",
    )
    op.create_index("ix_alert_active_raised_ns", "alert", ["active", "raised_ns"], unique=False)
    op.create_index("ix_alert_solution_raised_ns", "alert", ["solution", "raised_ns"], unique=False)


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", _KEY, nullable=False, comment="Key, given by the catalogue"),
        sa.Column("time_ns", sa.BigInteger(), nullable=False, comment="When"),
        sa.Column("who", sa.Text(), nullable=False, comment="The person or the process"),
        sa.Column("what", sa.Text(), nullable=False, comment="What was done, as noun.verb"),
        sa.Column("detail", sa.JSON(), nullable=False, comment="To what, and how"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        comment="Every change that a person or a process made on purpose",
    )
    op.create_index("ix_audit_time_ns", "audit", ["time_ns"], unique=False)


def _model() -> None:
    op.create_table(
        "model",
        sa.Column("id", _KEY, nullable=False, comment="Key, given by the catalogue"),
        sa.Column("name", sa.Text(), nullable=False, comment="Name of the model"),
        sa.Column("version", sa.Text(), nullable=False, comment="Its version"),
        sa.Column("solution", sa.Text(), nullable=False, comment="For which solution"),
        sa.Column("problem", sa.Text(), nullable=False, comment="For which of its problems"),
        sa.Column("package", sa.Text(), nullable=False, comment="Name of its file in the object store"),
        sa.Column("sha256", sa.Text(), nullable=False, comment="SHA-256 of that file"),
        sa.Column("card", sa.JSON(), nullable=False, comment="Its card, as in the file"),
        sa.Column("added_ns", sa.BigInteger(), nullable=False, comment="When it was added"),
        sa.Column("promoted", sa.Boolean(), nullable=False, comment="Whether it scores now"),
        sa.Column("promoted_ns", sa.BigInteger(), nullable=True, comment="When it was last promoted"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model")),
        sa.UniqueConstraint("sha256", name=op.f("uq_model_sha256")),
        comment="Trained models; at most one a problem is promoted",
    )
    op.create_index(
        "ix_model_solution_problem_promoted", "model", ["solution", "problem", "promoted"], unique=False
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", _KEY, nullable=False, comment="Key, given by the catalogue"),
        sa.Column("alert_id", sa.Text(), nullable=False, comment="Which alert"),
        sa.Column("alert", sa.JSON(), nullable=False, comment="The alert as it was then"),
        sa.Column("created_ns", sa.BigInteger(), nullable=False, comment="When it was written"),
        sa.Column(
            "delivered_ns", sa.BigInteger(), nullable=True, comment="When it was delivered; null: not yet"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        comment="News of alerts on their way to people, written with the alerts",
    )
    op.create_index(op.f("ix_outbox_alert_id"), "outbox", ["alert_id"], unique=False)
    op.create_index(op.f("ix_outbox_delivered_ns"), "outbox", ["delivered_ns"], unique=False)


def _quarantine() -> None:
    op.create_table(
        "quarantine",
        sa.Column("id", _KEY, nullable=False, comment="Key, given by the catalogue"),
        sa.Column("sequence", sa.BigInteger(), nullable=False, comment="Log position of the message"),
        sa.Column("message_index", sa.Integer(), nullable=False, comment="Place of the first reading in it"),
        sa.Column("count", sa.Integer(), nullable=False, comment="How many readings of the message"),
        sa.Column("subject", sa.Text(), nullable=False, comment="Where the message was published"),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why it was not taken, in a word"),
        sa.Column("detail", sa.Text(), nullable=False, comment="Why it was not taken, in a sentence"),
        sa.Column("payload", sa.LargeBinary(), nullable=False, comment="The message, at most 16 KiB of it"),
        sa.Column("received_ns", sa.BigInteger(), nullable=False, comment="When it came"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        comment="The newest messages of each reason that could not be taken",
    )
    op.create_index(
        "ix_quarantine_reason_sequence", "quarantine", ["reason", "sequence", "message_index"], unique=False
    )


def _quarantine_total() -> None:
    op.create_table(
        "quarantine_total",
        sa.Column("reason", sa.Text(), nullable=False, comment="Why readings were not taken"),
        sa.Column("total", sa.BigInteger(), nullable=False, comment="How many readings, ever"),
        sa.Column(
            "sequence", sa.BigInteger(), nullable=False, comment="Log position of the newest one counted"
        ),
        sa.Column("message_index", sa.Integer(), nullable=False, comment="Its place in the message"),
        sa.PrimaryKeyConstraint("reason", name=op.f("pk_quarantine_total")),
        comment="Exact counts of what was not taken",
    )


def _view() -> None:
    op.create_table(
        "view",
        sa.Column("name", sa.Text(), nullable=False, comment="Which view of the log"),
        sa.Column("sequence", sa.BigInteger(), nullable=False, comment="The last log position it holds"),
        sa.Column("state", sa.LargeBinary(), nullable=False, comment="What it needs to go on from there"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_view")),
        comment="Position and state of each view of the log",
    )
