"""set aside batches: each has a row of its own in the quarantine, and a failed one is tried again later, not at once.

Before this step several set-aside batches could share one row; all but one of them could never be handed back. Each
that has none gets its row here, and one whose row was closed while its body stayed is asked about again.
"""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from alembic import op

import gridkeeper.database

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

WHOLE = ("unreadable_batch", "too_many_members", "utf_16", "truncated")
COMMENTS = {
    "inbox_batches": "waiting, loaded, set-aside or discarded",
    "quarantine": "open, loaded (by a retry or a replay) or discarded",
}


def upgrade() -> None:
    op.create_table(
        "loader_faults",
        sa.Column(
            "loader", sa.String(length=128), nullable=False, comment="host, process, and when that began"
        ),
        sa.Column("since", gridkeeper.database.Moment(), nullable=False),
        sa.Column("last_at", gridkeeper.database.Moment(), nullable=False),
        sa.Column("stops_all", sa.Boolean(), nullable=False, comment="whether nothing at all can be loaded"),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("loader", name=op.f("pk_loader_faults")),
    )
    op.create_table(
        "quarantine_deliveries",
        sa.Column("reject", sa.String(length=32), nullable=False),
        sa.Column("source", sa.Text(), nullable=False, comment="the batch or file"),
        sa.Column("received_at", gridkeeper.database.Moment(), nullable=False),
        sa.Column(
            "load",
            sa.String(length=32),
            nullable=False,
            comment="the round that counted last; another counts anew",
        ),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("reject", "source", "received_at", name=op.f("pk_quarantine_deliveries")),
    )
    op.create_index(
        "ix_quarantine_deliveries_received", "quarantine_deliveries", ["received_at"], unique=False
    )
    op.add_column(
        "inbox_batches",
        sa.Column(
            "not_before",
            gridkeeper.database.Moment(),
            nullable=True,
            comment="when it is tried next, where a try failed",
        ),
    )
    op.add_column(
        "quarantine",
        sa.Column(
            "batch",
            sa.String(length=32),
            nullable=True,
            comment="the batch that was set aside with it; null: the rest of its batch counts",
        ),
    )
    if op.get_bind().dialect.name == "postgresql":  # SQLite keeps no comments
        for table, comment in COMMENTS.items():
            op.alter_column(table, "state", comment=comment)
    _give_each_its_row()


def _give_each_its_row() -> None:
    bind = op.get_bind()
    batches, rejects = (
        sa.Table(name, sa.MetaData(), autoload_with=bind) for name in ("inbox_batches", "quarantine")
    )
    for batch in bind.execute(sa.select(batches).where(batches.c.state == "set-aside")).all():
        its_own = sa.and_(
            rejects.c.source == f"batch {batch.id}",
            sa.or_(rejects.c.rule.in_(WHOLE), rejects.c.format == "auto"),
        )
        opened = {"closed_at": None, "closed_by": None, "closed_because": None}
        if not bind.execute(
            sa.update(rejects).where(its_own).values(batch=batch.id, state="open", **opened)
        ).rowcount:
            name = hashlib.blake2b(f"unreadable_batch\0{batch.id}".encode(), digest_size=12).hexdigest()
            told = {key: getattr(batch, key) for key in ("format", "probe", "resource", "vo", "binding")}
            if batch.door == "gratia":  # in which a name is its sender's word only
                told |= {"probe": None, "said_by": batch.probe}
            bind.execute(
                sa.insert(rejects),
                told
                | {
                    "id": name, "rule": "unreadable_batch", "source": f"batch {batch.id}", "line": 1,
                    "reason": "the batch was set aside and shared its row with others", "context": b"", "text": b"",
                    "text_bytes": batch.bytes, "archive_ref": batch.sha256, "batch": batch.id, "times": 1,
                    "first_seen": batch.received_at, "last_seen": batch.received_at, "state": "open",
                },
            )  # fmt: skip
