"""quarantine: the probe that the sender says it is, beside the one that is declared of its records."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "quarantine",
        sa.Column("said_by", sa.Text, comment="the probe that the sender says it is"),
    )
