"""Partitions of the score view: which worker holds each, and which workers there are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "lease",
        sa.Column(
            "partition", sa.Integer(), autoincrement=False, nullable=False, comment="Number of the partition"
        ),
        sa.Column("worker", sa.Text(), nullable=False, comment="Who holds it; empty: nobody"),
        sa.Column("epoch", sa.BigInteger(), nullable=False, comment="How often it was taken or taken away"),
        sa.PrimaryKeyConstraint("partition", name=op.f("pk_lease")),
        comment="Who may commit each partition of the score view",
    )
    op.create_table(
        "worker",
        sa.Column("name", sa.Text(), nullable=False, comment="Name that the worker gave itself"),
        sa.Column("beat", sa.BigInteger(), nullable=False, comment="Rises while it lives"),
        sa.Column("about", sa.JSON(), nullable=False, comment="What it says of itself"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_worker")),
        comment="Workers that hold partitions of the score view",
    )
