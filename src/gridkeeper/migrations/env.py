"""What Alembic runs: the steps, in the connection that `migrate` opened."""

from __future__ import annotations

from alembic import context

from gridkeeper.database import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=False,  # the transaction is the caller's
)
context.run_migrations()
