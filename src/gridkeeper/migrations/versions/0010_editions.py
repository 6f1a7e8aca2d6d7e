"""The register of editions.

Revision: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import gridkeeper.database

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "editions",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("first", sa.Text(), nullable=False, comment="first day of the period"),
        sa.Column("until", sa.Text(), nullable=False, comment="the day after its last"),
        sa.Column("made_at", gridkeeper.database.Moment(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column(
            "checksum", sa.String(length=64), nullable=False, comment="SHA-256 over the edition's files"
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_editions")),
    )
