"""What was sent to APEL, month by month."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import gridkeeper.database

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "apel_sendings",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("month", sa.String(length=7), nullable=False, comment="as 2017-01"),
        sa.Column("dialect", sa.String(length=16), nullable=False),
        sa.Column("destination", sa.String(length=16), nullable=False, comment="files, queue, ams or pull"),
        sa.Column("begun_at", gridkeeper.database.Moment(), nullable=False),
        sa.Column(
            "sent_at",
            gridkeeper.database.Moment(),
            comment="nothing: it broke off; part of it may have gone",
        ),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("jobs", sa.BigInteger(), nullable=False),
        sa.Column(
            "checksum",
            sa.String(length=64),
            nullable=False,
            comment="SHA-256 of all messages, one after the other",
        ),
        sa.Column(
            "groups", sa.LargeBinary(), nullable=False, comment="JSON, deflated: each group and its sums"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_apel_sendings")),
    )
    op.create_index("ix_apel_sendings_month", "apel_sendings", ["month", "dialect", "id"], unique=False)
