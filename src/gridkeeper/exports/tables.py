"""The table of what was sent to other accounting systems, in the operational database."""

from __future__ import annotations

import sqlalchemy as sa

from gridkeeper.database import METADATA, Moment

# One row each time that a month was handed over, or that it was begun.
APEL_SENDINGS = sa.Table(
    "apel_sendings",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("month", sa.String(7), nullable=False, comment="as 2017-01"),
    sa.Column("dialect", sa.String(16), nullable=False),
    sa.Column("destination", sa.String(16), nullable=False, comment="files, queue, ams or pull"),
    sa.Column("begun_at", Moment, nullable=False),
    sa.Column("sent_at", Moment, comment="nothing: it broke off; part of it may have gone"),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("messages", sa.Integer, nullable=False),
    sa.Column("records", sa.Integer, nullable=False),
    sa.Column("jobs", sa.BigInteger, nullable=False),
    sa.Column(
        "checksum", sa.String(64), nullable=False, comment="SHA-256 of all messages, one after the other"
    ),
    sa.Column("groups", sa.LargeBinary, nullable=False, comment="JSON, deflated: each group and its sums"),
    sa.Index("ix_apel_sendings_month", "month", "dialect", "id"),
)
