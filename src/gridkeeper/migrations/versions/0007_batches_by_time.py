"""Indexes by which batches are listed: the newest first, and those of a probe.

Revision: 0007
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both indexes."""
    op.create_index("ix_inbox_batches_received", "inbox_batches", ["received_at", "id"], unique=False)
    op.create_index("ix_inbox_batches_probe", "inbox_batches", ["probe", "received_at"], unique=False)
