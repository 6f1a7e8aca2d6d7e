"""The table of report runs in the operational database."""

from __future__ import annotations

import sqlalchemy as sa

from gridkeeper.database import METADATA, Moment

# One row for each due moment of each schedule; the row is also the claim of who makes it.
RUNS = sa.Table(
    "report_runs",
    METADATA,
    sa.Column("schedule", sa.Text, primary_key=True),
    sa.Column("due_at", Moment, primary_key=True),
    sa.Column("first", sa.Text, nullable=False, comment="first day of the period"),
    sa.Column("until", sa.Text, nullable=False, comment="the day after its last"),
    sa.Column(
        "state",
        sa.String(16),
        nullable=False,
        comment="first-seen, waiting, running, done, given-up, not-made or waived",
    ),
    sa.Column("next_at", Moment, comment="when it is tried next, where it waits"),
    sa.Column("claimed_by", sa.Text),
    sa.Column("claimed_at", Moment),
    sa.Column("begun_at", Moment),
    sa.Column("made_at", Moment),
    sa.Column("delivered_at", Moment),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("files", sa.Text, nullable=False, comment="JSON list of paths"),
    sa.Column(
        "recipients",
        sa.Text,
        nullable=False,
        comment="JSON object: recipient → state, at, said, and how often it may have left",
    ),
    sa.Column("message", sa.LargeBinary, comment="what is mailed, until all have it"),
    sa.Column("problem", sa.Text),
    sa.Index("ix_report_runs_state", "state", "next_at"),
)
