"""The tables of downtimes in the operational database: what is announced here, and every change of it."""

from __future__ import annotations

import sqlalchemy as sa

from gridkeeper.database import METADATA, Moment

DOWNTIMES = sa.Table(
    "downtimes",
    METADATA,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column(
        "source", sa.String(16), nullable=False, comment="command, or the form that it was imported from"
    ),
    sa.Column("made_at", Moment, nullable=False),
    sa.Column("made_by", sa.Text, nullable=False),
)
# What a downtime is now is its last revision; rows are only ever added.
DOWNTIME_REVISIONS = sa.Table(
    "downtime_revisions",
    METADATA,
    sa.Column("downtime", sa.String(16), sa.ForeignKey("downtimes.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False, comment="from 1 on"),
    sa.Column(
        "act", sa.String(16), nullable=False, comment="announce, extend, shorten, end-early, cancel or change"
    ),
    sa.Column("at", Moment, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("starts_at", Moment, nullable=False),
    sa.Column("ends_at", Moment, comment="null: nobody knows when"),
    sa.Column(
        "rows",
        sa.Text,
        nullable=False,
        comment="JSON: what is affected, class, severity and text, as declared",
    ),
    sa.Index("ix_downtime_revisions_ends_at", "ends_at"),
)
