"""first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import gridkeeper.database

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("at", gridkeeper.database.Moment(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("act", sa.Text(), nullable=False, comment="what was done, as token.create"),
        sa.Column("subject", sa.Text(), nullable=False, comment="to what"),
        sa.Column("details", sa.Text(), nullable=False, comment="JSON; never a secret"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_at", "audit", ["at"], unique=False)
    op.create_table(
        "inbox_batches",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("received_at", gridkeeper.database.Moment(), nullable=False),
        sa.Column("door", sa.String(length=16), nullable=False, comment="gratia or native"),
        sa.Column("format", sa.String(length=32), nullable=False),
        sa.Column("encoding", sa.String(length=16), nullable=False, comment="identity, gzip or zstd"),
        sa.Column("resource", sa.Text(), nullable=True),
        sa.Column("probe", sa.Text(), nullable=True),
        sa.Column("sender", sa.Text(), nullable=False, comment="who it was, in words"),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("vo", sa.Text(), nullable=True),
        sa.Column(
            "binding", sa.Text(), nullable=True, comment="JSON: resources and VOs it may send for; null: any"
        ),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False, comment="waiting, loaded or set-aside"),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        sa.Column("claimed_at", gridkeeper.database.Moment(), nullable=True),
        sa.Column(
            "attempts", sa.Integer(), server_default="0", nullable=False, comment="how often it was claimed"
        ),
        sa.Column(
            "failures",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="how often it alone made the loader fail",
        ),
        sa.Column("finished_at", gridkeeper.database.Moment(), nullable=True),
        sa.Column(
            "result",
            sa.Text(),
            nullable=True,
            comment="JSON: read, loaded, duplicates, revised, rejected, skipped, rules",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox_batches")),
        sa.UniqueConstraint("sender", "idempotency_key", name=op.f("uq_inbox_batches_sender")),
    )
    op.create_index("ix_inbox_batches_waiting", "inbox_batches", ["state", "received_at"], unique=False)
    op.create_table(
        "inbox_parts",
        sa.Column("batch", sa.String(length=32), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("batch", "part", name=op.f("pk_inbox_parts")),
    )
    op.create_table(
        "loader_counters",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("label", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", "label", name=op.f("pk_loader_counters")),
    )
    op.create_table(
        "pool_samples",
        sa.Column("probe", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("at", gridkeeper.database.Moment(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False, comment="'' where it names none"),
        sa.Column("vo", sa.Text(), nullable=False, comment="'' where it names none"),
        sa.Column("state", sa.String(length=16), nullable=False, comment="running or pending"),
        sa.Column("jobs", sa.BigInteger(), nullable=False),
        sa.Column("cores", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "probe", "resource", "at", "account", "vo", "state", name=op.f("pk_pool_samples")
        ),
    )
    op.create_table(
        "probe_contact_hours",
        sa.Column("probe", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("hour", gridkeeper.database.Moment(), nullable=False),
        sa.Column("contacts", sa.Integer(), nullable=False),
        sa.Column("most_backlog_records", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("probe", "resource", "hour", name=op.f("pk_probe_contact_hours")),
    )
    op.create_table(
        "probe_contacts",
        sa.Column("probe", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False, comment="'' where it names none"),
        sa.Column("kind", sa.String(length=16), nullable=False, comment="handshake, backlog or heartbeat"),
        sa.Column("first_at", gridkeeper.database.Moment(), nullable=False),
        sa.Column("last_at", gridkeeper.database.Moment(), nullable=False),
        sa.Column(
            "reported_at", gridkeeper.database.Moment(), nullable=True, comment="the probe's own clock"
        ),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("backlog_records", sa.BigInteger(), nullable=True),
        sa.Column("backlog_bytes", sa.BigInteger(), nullable=True),
        sa.Column("oldest_waiting_at", gridkeeper.database.Moment(), nullable=True),
        sa.Column("newest_record_at", gridkeeper.database.Moment(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("probe", "resource", name=op.f("pk_probe_contacts")),
    )
    op.create_table(
        "quarantine",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("format", sa.String(length=32), nullable=False),
        sa.Column("probe", sa.Text(), nullable=True),
        sa.Column("resource", sa.Text(), nullable=True),
        sa.Column("vo", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "context",
            sa.LargeBinary(),
            nullable=False,
            comment="what the text needs to be read, such as a header",
        ),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.Column("text_bytes", sa.BigInteger(), nullable=False),
        sa.Column("archive_ref", sa.String(length=64), nullable=False),
        sa.Column("binding", sa.Text(), nullable=True),
        sa.Column("first_seen", gridkeeper.database.Moment(), nullable=False),
        sa.Column("last_seen", gridkeeper.database.Moment(), nullable=False),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.Column(
            "state", sa.String(length=16), nullable=False, comment="open, loaded (by a retry) or discarded"
        ),
        sa.Column("closed_at", gridkeeper.database.Moment(), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.Column("closed_because", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
    )
    op.create_index("ix_quarantine_state", "quarantine", ["state", "rule"], unique=False)
    op.create_table(
        "report_runs",
        sa.Column("schedule", sa.Text(), nullable=False),
        sa.Column("due_at", gridkeeper.database.Moment(), nullable=False),
        sa.Column("first", sa.Text(), nullable=False, comment="first day of the period"),
        sa.Column("until", sa.Text(), nullable=False, comment="the day after its last"),
        sa.Column(
            "state",
            sa.String(length=16),
            nullable=False,
            comment="first-seen, waiting, running, done, given-up, not-made or waived",
        ),
        sa.Column(
            "next_at",
            gridkeeper.database.Moment(),
            nullable=True,
            comment="when it is tried next, where it waits",
        ),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        sa.Column("claimed_at", gridkeeper.database.Moment(), nullable=True),
        sa.Column("begun_at", gridkeeper.database.Moment(), nullable=True),
        sa.Column("made_at", gridkeeper.database.Moment(), nullable=True),
        sa.Column("delivered_at", gridkeeper.database.Moment(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("files", sa.Text(), nullable=False, comment="JSON list of paths"),
        sa.Column(
            "recipients",
            sa.Text(),
            nullable=False,
            comment="JSON object: recipient → state, at, said, and how often it may have left",
        ),
        sa.Column("message", sa.LargeBinary(), nullable=True, comment="what is mailed, until all have it"),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("schedule", "due_at", name=op.f("pk_report_runs")),
    )
    op.create_index("ix_report_runs_state", "report_runs", ["state", "next_at"], unique=False)
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(length=16), nullable=False, comment="public part, shown in lists and logs"),
        sa.Column(
            "secret_hash",
            sa.String(length=64),
            nullable=False,
            comment="SHA-256 of the secret part, which is random and long",
        ),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="whose it is, in words"),
        sa.Column("resources", sa.Text(), nullable=False, comment="JSON list; empty: bound to no resource"),
        sa.Column("vos", sa.Text(), nullable=False, comment="JSON list; empty: bound to no VO"),
        sa.Column("created_at", gridkeeper.database.Moment(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", gridkeeper.database.Moment(), nullable=False),
        sa.Column("revoked_at", gridkeeper.database.Moment(), nullable=True),
        sa.Column("revoked_because", sa.Text(), nullable=True),
        sa.Column("last_used_at", gridkeeper.database.Moment(), nullable=True),
        sa.Column("last_used_from", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
    )
