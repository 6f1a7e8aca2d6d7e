"""what probes say: backlogs in units of their own, and the hours of pools that samples are rolled up to.

Up to here a heartbeat's batches stood in the column of records.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import gridkeeper.database

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

FROM_HEARTBEATS = (
    "UPDATE probe_contact_hours SET most_backlog_batches = most_backlog_records, most_backlog_records = NULL WHERE EXISTS "
    "(SELECT 1 FROM probe_contacts WHERE probe_contacts.probe = probe_contact_hours.probe "
    "AND probe_contacts.resource = probe_contact_hours.resource AND probe_contacts.kind = 'heartbeat')",
    "UPDATE probe_contacts SET backlog_batches = backlog_records, backlog_records = NULL WHERE kind = 'heartbeat'",
)


def upgrade() -> None:
    for column, meaning in (
        ("backlog_batches", "texts that wait in the outbox of a probe of ours"),
        ("backlog_jobs", "jobs of which a Gratia probe has made no record yet"),
    ):
        op.add_column("probe_contacts", sa.Column(column, sa.BigInteger(), nullable=True, comment=meaning))
        op.add_column("probe_contact_hours", sa.Column(f"most_{column}", sa.BigInteger(), nullable=True))
    for statement in FROM_HEARTBEATS:
        op.execute(statement)
    op.create_index("ix_pool_samples_at", "pool_samples", ["at"], unique=False)
    op.create_table(
        "pool_hours",
        sa.Column("probe", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("hour", gridkeeper.database.Moment(), nullable=False),
        sa.Column("moments", sa.Integer(), nullable=False, comment="how often the probe looked"),
        sa.Column("running_cores", sa.BigInteger(), nullable=False, comment="sum over the moments"),
        sa.Column("running_jobs", sa.BigInteger(), nullable=False),
        sa.Column("pending_cores", sa.BigInteger(), nullable=False),
        sa.Column("pending_jobs", sa.BigInteger(), nullable=False),
        sa.Column("last_at", gridkeeper.database.Moment(), nullable=False, comment="when it looked last"),
        sa.Column("last_running_cores", sa.BigInteger(), nullable=False, comment="what ran then"),
        sa.PrimaryKeyConstraint("probe", "resource", "hour", name=op.f("pk_pool_hours")),
    )
    op.create_index("ix_pool_hours_hour", "pool_hours", ["hour"], unique=False)
