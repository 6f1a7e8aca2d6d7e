"""sessions of the pages, logins on the way, and tokens of contacts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import gridkeeper.database

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column, meaning in (
        ("sites", "JSON list; of a site contact"),
        ("users", "JSON list; whose jobs are one's own"),
    ):
        op.add_column(
            "tokens", sa.Column(column, sa.Text(), nullable=False, server_default="[]", comment=meaning)
        )
    op.create_table(
        "sessions",
        sa.Column(
            "id", sa.String(length=16), nullable=False, comment="public part, shown in lists and the audit"
        ),
        sa.Column(
            "secret_hash", sa.String(length=64), nullable=False, comment="SHA-256 of the cookie's value"
        ),
        sa.Column("how", sa.String(length=16), nullable=False, comment="oidc or token"),
        sa.Column(
            "subject", sa.Text(), nullable=False, comment="of oidc the issuer and `sub`; of token its id"
        ),
        sa.Column(
            "rules",
            sa.String(length=64),
            nullable=False,
            comment="hash of the settings that gave an oidc subject its role",
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("sites", sa.Text(), nullable=False, comment="JSON list, as the next three"),
        sa.Column("resources", sa.Text(), nullable=False),
        sa.Column("vos", sa.Text(), nullable=False),
        sa.Column("users", sa.Text(), nullable=False),
        sa.Column(
            "form_key", sa.String(length=64), nullable=False, comment="what this session's forms must carry"
        ),
        sa.Column("created_at", gridkeeper.database.Moment(), nullable=False),
        sa.Column("expires_at", gridkeeper.database.Moment(), nullable=False),
        sa.Column("last_seen_at", gridkeeper.database.Moment(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_sessions_secret_hash")),
    )
    op.create_index("ix_sessions_subject", "sessions", ["how", "subject"], unique=False)
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"], unique=False)
    op.create_table(
        "login_attempts",
        sa.Column("state_hash", sa.String(length=64), nullable=False, comment="SHA-256 of the state"),
        sa.Column(
            "browser_hash",
            sa.String(length=64),
            nullable=False,
            comment="SHA-256 of the cookie of who began",
        ),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("verifier", sa.String(length=128), nullable=False, comment="of PKCE"),
        sa.Column("go_to", sa.Text(), nullable=False, comment="a path here, for afterwards"),
        sa.Column("expires_at", gridkeeper.database.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("state_hash", name=op.f("pk_login_attempts")),
    )
    op.create_index("ix_login_attempts_expires_at", "login_attempts", ["expires_at"], unique=False)
