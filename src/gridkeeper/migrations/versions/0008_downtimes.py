"""downtimes that are announced here, and their revisions, which are only ever added."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import gridkeeper.database

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

RULE = "revisions of downtimes are only ever added"
SQLITE = (
    "CREATE TRIGGER downtime_revisions_no_update BEFORE UPDATE ON downtime_revisions "
    f"BEGIN SELECT RAISE(ABORT, '{RULE}'); END",
    "CREATE TRIGGER downtime_revisions_no_delete BEFORE DELETE ON downtime_revisions "
    f"BEGIN SELECT RAISE(ABORT, '{RULE}'); END",
)
POSTGRESQL = (
    "CREATE FUNCTION downtime_revisions_only_grow() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{RULE}'; END $$",
    "CREATE TRIGGER downtime_revisions_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON downtime_revisions "
    "FOR EACH STATEMENT EXECUTE FUNCTION downtime_revisions_only_grow()",
)


def upgrade() -> None:
    op.create_table(
        "downtimes",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column(
            "source",
            sa.String(length=16),
            nullable=False,
            comment="command, or the form that it was imported from",
        ),
        sa.Column("made_at", gridkeeper.database.Moment(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_downtimes")),
    )
    op.create_table(
        "downtime_revisions",
        sa.Column("downtime", sa.String(length=16), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False, comment="from 1 on"),
        sa.Column(
            "act",
            sa.String(length=16),
            nullable=False,
            comment="announce, extend, shorten, end-early, cancel or change",
        ),
        sa.Column("at", gridkeeper.database.Moment(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("starts_at", gridkeeper.database.Moment(), nullable=False),
        sa.Column("ends_at", gridkeeper.database.Moment(), nullable=True, comment="null: nobody knows when"),
        sa.Column(
            "rows",
            sa.Text(),
            nullable=False,
            comment="JSON: what is affected, class, severity and text, as declared",
        ),
        sa.ForeignKeyConstraint(["downtime"], ["downtimes.id"], name=op.f("fk_downtime_revisions_downtime")),
        sa.PrimaryKeyConstraint("downtime", "number", name=op.f("pk_downtime_revisions")),
    )
    op.create_index("ix_downtime_revisions_ends_at", "downtime_revisions", ["ends_at"], unique=False)
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL:
        op.execute(statement)
