"""The register of editions in the operational database."""

from __future__ import annotations

import sqlalchemy as sa

from gridkeeper.database import METADATA, Moment

EDITIONS = sa.Table(
    "editions",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("report", sa.Text, nullable=False),
    sa.Column("first", sa.Text, nullable=False, comment="first day of the period"),
    sa.Column("until", sa.Text, nullable=False, comment="the day after its last"),
    sa.Column("made_at", Moment, nullable=False),
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Column("checksum", sa.String(64), nullable=False, comment="SHA-256 over the edition's files"),
)
