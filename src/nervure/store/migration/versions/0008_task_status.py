"""Tasks by what became of them: what waits is found among millions that have ended."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    columns = ["status", "tasking_capability_id"]
    op.create_index("ix_task_status_tasking_capability_id", "task", columns, if_not_exists=True)
