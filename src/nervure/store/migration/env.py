"""What Alembic runs: the migrations go over the connection, and in the transaction, that it is given."""

from __future__ import annotations

from alembic import context

from nervure.store.sql import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
