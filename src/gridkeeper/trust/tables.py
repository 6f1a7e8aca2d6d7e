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
    sa.Column("sites", sa.Text, nullable=False, server_default="[]", comment="JSON list; of a site contact"),
    sa.Column(
        "users", sa.Text, nullable=False, server_default="[]", comment="JSON list; whose jobs are one's own"
    ),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
    sa.Column("revoked_at", Moment),
    sa.Column("revoked_because", sa.Text),
    sa.Column("last_used_at", Moment),
    sa.Column("last_used_from", sa.Text),
)
# Who is logged in on the pages. A cookie is as good as a password, so only a hash of it is here.
SESSIONS = sa.Table(
    "sessions",
    METADATA,
    sa.Column("id", sa.String(16), primary_key=True, comment="public part, shown in lists and the audit"),
    sa.Column(
        "secret_hash", sa.String(64), nullable=False, unique=True, comment="SHA-256 of the cookie's value"
    ),
    sa.Column("how", sa.String(16), nullable=False, comment="oidc or token"),
    sa.Column("subject", sa.Text, nullable=False, comment="of oidc the issuer and `sub`; of token its id"),
    sa.Column(
        "rules",
        sa.String(64),
        nullable=False,
        comment="hash of the settings that gave an oidc subject its role",
    ),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("sites", sa.Text, nullable=False, comment="JSON list, as the next three"),
    sa.Column("resources", sa.Text, nullable=False),
    sa.Column("vos", sa.Text, nullable=False),
    sa.Column("users", sa.Text, nullable=False),
    sa.Column("form_key", sa.String(64), nullable=False, comment="what this session's forms must carry"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
    sa.Column("last_seen_at", Moment, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Index("ix_sessions_subject", "how", "subject"),
    sa.Index("ix_sessions_expires_at", "expires_at"),
)
# Who is on the way to the provider and back; in the database, since another collector may see them return.
LOGIN_ATTEMPTS = sa.Table(
    "login_attempts",
    METADATA,
    sa.Column("state_hash", sa.String(64), primary_key=True, comment="SHA-256 of the state"),
    sa.Column("browser_hash", sa.String(64), nullable=False, comment="SHA-256 of the cookie of who began"),
    sa.Column("nonce", sa.String(64), nullable=False),
    sa.Column("verifier", sa.String(128), nullable=False, comment="of PKCE"),
    sa.Column("go_to", sa.Text, nullable=False, comment="a path here, for afterwards"),
    sa.Column("expires_at", Moment, nullable=False, index=True),
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
