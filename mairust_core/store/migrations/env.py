"""What Alembic runs for each command: the caller's transaction, no other."""

from __future__ import annotations

from alembic import context

from mairust_core.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, compare_type=True
)
with context.begin_transaction():
    context.run_migrations()
