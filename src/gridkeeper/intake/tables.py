"""The tables of the intake in the operational database."""

from __future__ import annotations

import sqlalchemy as sa

from gridkeeper.database import METADATA, Moment

# What was received. A body lies in `inbox_parts` until its records are in the books; the row stays and says what became of it.
BATCHES = sa.Table(
    "inbox_batches",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("received_at", Moment, nullable=False),
    sa.Column("door", sa.String(16), nullable=False, comment="gratia or native"),
    sa.Column("format", sa.String(32), nullable=False),
    sa.Column("encoding", sa.String(16), nullable=False, comment="identity, gzip or zstd"),
    sa.Column("resource", sa.Text),
    sa.Column("probe", sa.Text),
    sa.Column("sender", sa.Text, nullable=False, comment="who it was, in words"),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("vo", sa.Text),
    sa.Column("binding", sa.Text, comment="JSON: resources and VOs it may send for; null: any"),
    sa.Column("idempotency_key", sa.Text),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False, comment="waiting, loaded, set-aside or discarded"),
    sa.Column("claimed_by", sa.Text),
    sa.Column("claimed_at", Moment),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0", comment="how often it was claimed"),
    sa.Column(
        "failures",
        sa.Integer,
        nullable=False,
        server_default="0",
        comment="how often it alone made the loader fail",
    ),
    sa.Column("not_before", Moment, comment="when it is tried next, where a try failed"),
    sa.Column("finished_at", Moment),
    sa.Column("result", sa.Text, comment="JSON: read, loaded, duplicates, revised, rejected, skipped, rules"),
    sa.UniqueConstraint("sender", "idempotency_key"),
    sa.Index("ix_inbox_batches_waiting", "state", "received_at"),
    sa.Index("ix_inbox_batches_received", "received_at", "id"),
    sa.Index("ix_inbox_batches_probe", "probe", "received_at"),
)
PARTS = sa.Table(
    "inbox_parts",
    METADATA,
    sa.Column("batch", sa.String(32), primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True),
    sa.Column("data", sa.LargeBinary, nullable=False),
)
# What was refused, one row a distinct text under one rule; nothing leaves it silently.
REJECTS = sa.Table(
    "quarantine",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("rule", sa.String(64), nullable=False),
    sa.Column("format", sa.String(32), nullable=False),
    sa.Column("probe", sa.Text),
    sa.Column("resource", sa.Text),
    sa.Column("vo", sa.Text),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("line", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column(
        "context", sa.LargeBinary, nullable=False, comment="what the text needs to be read, such as a header"
    ),
    sa.Column("text", sa.LargeBinary, nullable=False),
    sa.Column("text_bytes", sa.BigInteger, nullable=False),
    sa.Column("archive_ref", sa.String(64), nullable=False),
    sa.Column("binding", sa.Text),
    sa.Column("first_seen", Moment, nullable=False),
    sa.Column("last_seen", Moment, nullable=False),
    sa.Column("times", sa.BigInteger, nullable=False),
    sa.Column(
        "state", sa.String(16), nullable=False, comment="open, loaded (by a retry or a replay) or discarded"
    ),
    sa.Column("closed_at", Moment),
    sa.Column("closed_by", sa.Text),
    sa.Column("closed_because", sa.Text),
    sa.Column("said_by", sa.Text, comment="the probe that the sender says it is"),
    sa.Column(
        "batch",
        sa.String(32),
        comment="the batch that was set aside with it; null: the rest of its batch counts",
    ),
    sa.Index("ix_quarantine_state", "state", "rule"),
)
# How often each delivery held a refused text, so that one that is loaded again after a crash adds nothing.
REJECT_DELIVERIES = sa.Table(
    "quarantine_deliveries",
    METADATA,
    sa.Column("reject", sa.String(32), primary_key=True),
    sa.Column("source", sa.Text, primary_key=True, comment="the batch or file"),
    sa.Column("received_at", Moment, primary_key=True),
    sa.Column(
        "load", sa.String(32), nullable=False, comment="the round that counted last; another counts anew"
    ),
    sa.Column("times", sa.BigInteger, nullable=False),
    sa.Index("ix_quarantine_deliveries_received", "received_at"),
)
# What is wrong with a loader itself, while it is.
LOADER_FAULTS = sa.Table(
    "loader_faults",
    METADATA,
    sa.Column("loader", sa.String(128), primary_key=True, comment="host, process, and when that began"),
    sa.Column("since", Moment, nullable=False),
    sa.Column("last_at", Moment, nullable=False),
    sa.Column("stops_all", sa.Boolean, nullable=False, comment="whether nothing at all can be loaded"),
    sa.Column("sentence", sa.Text, nullable=False),
)
# The last word of each probe: a Gratia handshake, or a heartbeat of ours.
CONTACTS = sa.Table(
    "probe_contacts",
    METADATA,
    sa.Column("probe", sa.Text, primary_key=True),
    sa.Column("resource", sa.Text, primary_key=True, comment="'' where it names none"),
    sa.Column("kind", sa.String(16), nullable=False, comment="handshake, backlog or heartbeat"),
    sa.Column("first_at", Moment, nullable=False),
    sa.Column("last_at", Moment, nullable=False),
    sa.Column("reported_at", Moment, comment="the probe's own clock"),
    sa.Column("version", sa.Text),
    sa.Column("backlog_batches", sa.BigInteger, comment="texts that wait in the outbox of a probe of ours"),
    sa.Column("backlog_records", sa.BigInteger),  # record files that wait at a Gratia probe
    sa.Column("backlog_jobs", sa.BigInteger, comment="jobs of which a Gratia probe has made no record yet"),
    sa.Column("backlog_bytes", sa.BigInteger),
    sa.Column("oldest_waiting_at", Moment),
    sa.Column("newest_record_at", Moment),
    sa.Column("problem", sa.Text),
    sa.Column("address", sa.Text),
)
# When a probe was heard: one row an hour, so that its rhythm can be learnt.
CONTACT_HOURS = sa.Table(
    "probe_contact_hours",
    METADATA,
    sa.Column("probe", sa.Text, primary_key=True),
    sa.Column("resource", sa.Text, primary_key=True),
    sa.Column("hour", Moment, primary_key=True),
    sa.Column("contacts", sa.Integer, nullable=False),
    sa.Column("most_backlog_batches", sa.BigInteger),
    sa.Column("most_backlog_records", sa.BigInteger),
    sa.Column("most_backlog_jobs", sa.BigInteger),
)
# Running and pending work as a probe saw it at one moment; after `probes.samples_days` only its hours are kept.
POOL_SAMPLES = sa.Table(
    "pool_samples",
    METADATA,
    sa.Column("probe", sa.Text, primary_key=True),
    sa.Column("resource", sa.Text, primary_key=True),
    sa.Column("at", Moment, primary_key=True),
    sa.Column("account", sa.Text, primary_key=True, comment="'' where it names none"),
    sa.Column("vo", sa.Text, primary_key=True, comment="'' where it names none"),
    sa.Column("state", sa.String(16), primary_key=True, comment="running or pending"),
    sa.Column("jobs", sa.BigInteger, nullable=False),
    sa.Column("cores", sa.BigInteger, nullable=False),
    sa.Index("ix_pool_samples_at", "at"),
)
# The samples of a pool's hour rolled up: sums over all accounts and VOs and over the moments at which its probe looked,
# so that sum / moments is the very mean that the samples gave.
POOL_HOURS = sa.Table(
    "pool_hours",
    METADATA,
    sa.Column("probe", sa.Text, primary_key=True),
    sa.Column("resource", sa.Text, primary_key=True),
    sa.Column("hour", Moment, primary_key=True),
    sa.Column("moments", sa.Integer, nullable=False, comment="how often the probe looked"),
    sa.Column("running_cores", sa.BigInteger, nullable=False, comment="sum over the moments"),
    sa.Column("running_jobs", sa.BigInteger, nullable=False),
    sa.Column("pending_cores", sa.BigInteger, nullable=False),
    sa.Column("pending_jobs", sa.BigInteger, nullable=False),
    sa.Column("last_at", Moment, nullable=False, comment="when it looked last"),
    sa.Column("last_running_cores", sa.BigInteger, nullable=False, comment="what ran then"),
    sa.Index("ix_pool_hours_hour", "hour"),
)
# What the loaders did, added up; for those who watch.
COUNTERS = sa.Table(
    "loader_counters",
    METADATA,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("label", sa.String(64), primary_key=True),
    sa.Column("value", sa.Float, nullable=False),
)
