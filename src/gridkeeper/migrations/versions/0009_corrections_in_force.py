"""corrections in force."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import gridkeeper.database

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "correction_sets",
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "members", sa.Text(), nullable=False, comment="JSON list of corrections.id, in their order"
        ),
        sa.Column("made_at", gridkeeper.database.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("revision", name=op.f("pk_correction_sets")),
    )
    op.create_table(
        "corrections",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("rule_id", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False, comment="SHA-256 of content"),
        sa.Column("content", sa.Text(), nullable=False, comment="JSON: the rule as it was applied"),
        sa.Column(
            "file", sa.Text(), nullable=False, comment="the file's name in the home's folder corrections"
        ),
        sa.Column("place", sa.Integer(), nullable=False, comment="in the file, from 1"),
        sa.Column("applied_at", gridkeeper.database.Moment(), nullable=False),
        sa.Column("applied_by", sa.Text(), nullable=False),
        sa.Column("revoked_at", gridkeeper.database.Moment(), nullable=True),
        sa.Column("revoked_by", sa.Text(), nullable=True),
        sa.Column("revoked_because", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corrections")),
    )
    op.create_index(
        "ix_corrections_in_force",
        "corrections",
        ["rule_id"],
        unique=True,
        sqlite_where=sa.text("revoked_at IS NULL"),
        postgresql_where=sa.text("revoked_at IS NULL"),
    )
