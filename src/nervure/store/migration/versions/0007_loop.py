"""Control loops: how they stand, what was done in them, who approved which Task."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "loop",
        sa.Column(
            "capability_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Which TaskingCapability",
        ),
        sa.Column("state", sa.LargeBinary(), nullable=False, comment="How the loop stands"),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="Number of the newest line of its log"),
        sa.Column("hash", sa.Text(), nullable=False, comment="Hash of that line"),
        sa.PrimaryKeyConstraint("capability_id", name=op.f("pk_loop")),
        comment="Control loops: mode, evidence, slots",
    )
    op.create_table(
        "loop_step",
        sa.Column(
            "capability_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Which TaskingCapability",
        ),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False, comment="Place in its log"),
        sa.Column("time_ns", sa.BigInteger(), nullable=False, comment="When it was written"),
        sa.Column("task_id", sa.BigInteger(), nullable=True, comment="Which Task it is about"),
        sa.Column("who", sa.Text(), nullable=False, comment="Who did it"),
        sa.Column("what", sa.Text(), nullable=False, comment="What was done"),
        sa.Column("detail", sa.Text(), nullable=False, comment="How and why, as JSON"),
        sa.Column("before", sa.Text(), nullable=False, comment="Hash of the line before"),
        sa.Column("hash", sa.Text(), nullable=False, comment="Hash of this line"),
        sa.Column("seal", sa.Text(), nullable=False, comment="Signature of the hash"),
        sa.PrimaryKeyConstraint("capability_id", "number", name=op.f("pk_loop_step")),
        comment="What was done in each control loop, chained by hashes",
    )
    _approval()


def _approval() -> None:
    op.create_table(
        "approval",
        sa.Column("task_id", KEY, nullable=False, comment="Which Task"),
        sa.Column("who", sa.Text(), nullable=False, comment="Who said yes"),
        sa.Column("time_ns", sa.BigInteger(), nullable=False, comment="When"),
        sa.Column("digest", sa.Text(), nullable=False, comment="Hash of the values they said yes to"),
        sa.ForeignKeyConstraint(
            ["task_id"], ["task.id"], name=op.f("fk_approval_task_id_task"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("task_id", "who", name=op.f("pk_approval")),
        comment="Approvals of Tasks",
    )
