"""Monitors that need no labels, one a Thing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "monitor",
        sa.Column(
            "thing_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="What is watched"
        ),
        _text("version", "How the package begins in SHA-256"),
        _text("package", "Name of its file in the object store"),
        _list("streams", "Datastreams the Thing had when it was fitted"),
        _list("watched", "Those that are watched, in the package's order"),
        sa.Column("origin_ns", sa.BigInteger(), nullable=False, comment="An instant at which a slot lies"),
        _text("severity", "How grave its alarms are"),
        sa.Column("state", sa.LargeBinary(), nullable=False, comment="Where it stood after what it learnt"),
        _list("about", "From what it learnt, and what it promises"),
        sa.Column("fitted_ns", sa.BigInteger(), nullable=False, comment="When it was fitted"),
        sa.PrimaryKeyConstraint("thing_id", name=op.f("pk_monitor")),
        comment="Monitors that need no labels, at most one a Thing",
    )


def _text(name: str, comment: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, comment=comment)


def _list(name: str, comment: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(), nullable=False, comment=comment)
