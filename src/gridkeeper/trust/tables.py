"""The tables of trust in the operational database."""

from __future__ import annotations

import sqlalchemy as sa

from gridkeeper.database import METADATA, Moment

TOKENS = sa.Table(
    "tokens",
    METADATA,
    sa.Column("id", sa.String(16), primary_key=True, comment="public part, shown in lists and logs"),
    sa.Column(
        "secret_hash",
        sa.String(64),
        nullable=False,
        comment="SHA-256 of the secret part, which is random and long",
    ),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("name", sa.Text, nullable=False, comment="whose it is, in words"),
    sa.Column("resources", sa.Text, nullable=False, comment="JSON list; empty: bound to no resource"),
    sa.Column("vos", sa.Text, nullable=False, comment="JSON list; empty: bound to no VO"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
    sa.Column("revoked_at", Moment),
    sa.Column("revoked_because", sa.Text),
    sa.Column("last_used_at", Moment),
    sa.Column("last_used_from", sa.Text),
)
# Everything that changes state; rows are only ever added.
AUDIT = sa.Table(
    "audit",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("at", Moment, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("address", sa.Text),
    sa.Column("act", sa.Text, nullable=False, comment="what was done, as token.create"),
    sa.Column("subject", sa.Text, nullable=False, comment="to what"),
    sa.Column("details", sa.Text, nullable=False, comment="JSON; never a secret"),
    sa.Index("ix_audit_at", "at"),
)
