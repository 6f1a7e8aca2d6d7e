"""The tables of corrections in the operational database: which rules are in force, and which sets of them were."""

from __future__ import annotations

import sqlalchemy as sa

from gridkeeper.database import METADATA, Moment

# A rule as it was applied. It stays in force until it is revoked, whatever its file says meanwhile.
CORRECTIONS = sa.Table(
    "corrections",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("rule_id", sa.Text, nullable=False),
    sa.Column("content_hash", sa.String(64), nullable=False, comment="SHA-256 of content"),
    sa.Column("content", sa.Text, nullable=False, comment="JSON: the rule as it was applied"),
    sa.Column("file", sa.Text, nullable=False, comment="the file's name in the home's folder corrections"),
    sa.Column("place", sa.Integer, nullable=False, comment="in the file, from 1"),
    sa.Column("applied_at", Moment, nullable=False),
    sa.Column("applied_by", sa.Text, nullable=False),
    sa.Column("revoked_at", Moment),
    sa.Column("revoked_by", sa.Text),
    sa.Column("revoked_because", sa.Text),
    sa.Index("ix_corrections_in_force", "rule_id", unique=True, sqlite_where=sa.text("revoked_at IS NULL"), postgresql_where=sa.text("revoked_at IS NULL")),
)  # fmt: skip
# A summary says by its revision with which set it was made; what that set was is looked up here.
CORRECTION_SETS = sa.Table(
    "correction_sets",
    METADATA,
    sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("members", sa.Text, nullable=False, comment="JSON list of corrections.id, in their order"),
    sa.Column("made_at", Moment, nullable=False),
)
