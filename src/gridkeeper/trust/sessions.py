"""Sessions of the pages: opened by a login, found by a cookie, closed by the visitor, by time, or with the token they came from.

A cookie holds 192 random bits and nothing else; the database holds a hash of them, and what the visitor may see.
"""

from __future__ import annotations

import json
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa

from gridkeeper.database import DatabaseUnavailable, reading, writing
from gridkeeper.trust import audit
from gridkeeper.trust.tables import SESSIONS, TOKENS
from gridkeeper.trust.tokens import find as find_token
from gridkeeper.trust.tokens import hash_of
from gridkeeper.trust.visitors import Visitor

if TYPE_CHECKING:
    from datetime import datetime

    from gridkeeper.login_settings import Login

How = Literal["oidc", "token"]
SECRET_BYTES = 24
MOST_OF_ONE = 20  # so many sessions of one person or token; one more ends the one not seen for longest
SEEN_NOTED_EVERY = timedelta(minutes=1)
_FORM = re.compile(r"[A-Za-z0-9_-]{32}")  # of SECRET_BYTES
_SETS = ("sites", "resources", "vos", "users")


@dataclass(frozen=True)
class Origin:
    """By what somebody logged in.

    subject: of `token` its id; of `oidc` the issuer and its `sub`.
    rules:   people.fingerprint of the settings that gave an oidc subject its role; empty for tokens.
    until:   no session is good for longer than this: when its token expires.
    """

    how: How
    subject: str
    rules: str = ""
    until: datetime | None = None


@dataclass(frozen=True)
class Session:
    """A session as its owner's list shows it."""

    id: str
    how: How
    subject: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str


@dataclass(frozen=True)
class Opened:
    """A new session: who it is, and what the cookie must hold, which nobody can ask for again."""

    visitor: Visitor
    expires_at: datetime
    secret: str = field(repr=False)


def open_(
    engine: sa.Engine,
    visitor: Visitor,
    origin: Origin,
    limits: Login,
    now: datetime,
    replaced: str | None = None,
) -> Opened:
    """Open a session, always under a new secret.

    visitor:  who logged in, with the rights that the session will have.
    replaced: the cookie that the browser had before; its session ends here, whoever's it is.
    Raises:   DatabaseUnavailable (retryable).
    """
    secret, identity = secrets.token_urlsafe(SECRET_BYTES), secrets.token_hex(6)
    expires_at = now + timedelta(hours=limits.session_hours)
    if origin.until is not None:
        expires_at = min(expires_at, origin.until)
    known = replace(visitor, form_key=secrets.token_urlsafe(SECRET_BYTES), session=identity)
    with writing(engine) as connection:
        sweep(connection, limits, now)
        if replaced is not None and (old := _named_by(connection, replaced)) is not None:
            _close(connection, old.id, old.name, "another login in the same browser", visitor.address, now)
        _make_room(connection, origin, visitor, now)
        connection.execute(
            SESSIONS.insert().values(
                id=identity, secret_hash=hash_of(secret), how=origin.how, subject=origin.subject, rules=origin.rules,
                name=known.name, role=known.role, form_key=known.form_key, address=known.address,
                created_at=now, last_seen_at=now, expires_at=expires_at,
                **{kind: json.dumps(sorted(getattr(known, kind))) for kind in _SETS},
            )
        )  # fmt: skip
        details = {"how": origin.how, "role": known.role, "expires_at": expires_at.isoformat()}
        audit.record(
            connection, known.name, "session.open", f"session {identity}", details, known.address, now
        )
    return Opened(known, expires_at, secret)


def find(
    engine: sa.Engine, secret: str, address: str, limits: Login, rules: str, now: datetime
) -> Visitor | None:
    """Say whose session a cookie names; None where there is no such session, or it is not good any more.

    address: where this request comes from. rules: people.fingerprint of the settings as they are.
    A session of a token is as good as the token is now; one of an oidc subject ends when the settings change that gave it
    its role.
    Raises:  DatabaseUnavailable (retryable).
    """
    if not _FORM.fullmatch(secret):
        return None
    query = (
        sa.select(SESSIONS, TOKENS.c.revoked_at, TOKENS.c.expires_at.label("token_expires_at"))
        .join_from(
            SESSIONS,
            TOKENS,
            sa.and_(SESSIONS.c.how == "token", TOKENS.c.id == SESSIONS.c.subject),
            isouter=True,
        )
        .where(SESSIONS.c.secret_hash == hash_of(secret))
    )
    with reading(engine) as connection:
        row = connection.execute(query).one_or_none()
    if row is None or not _is_good(row, limits, rules, now):
        return None
    _note_seen(engine, row, now)
    sets = {kind: frozenset(json.loads(getattr(row, kind))) for kind in _SETS}
    return Visitor(row.name, row.role, address, form_key=row.form_key, session=row.id, **sets)


def list_of(engine: sa.Engine, identity: str, limits: Login, now: datetime) -> list[Session]:
    """All good sessions of whom this session belongs to, the latest seen first. Raises: DatabaseUnavailable (retryable)."""
    mine = sa.select(SESSIONS.c.how, SESSIONS.c.subject).where(SESSIONS.c.id == identity).subquery()
    query = (
        sa.select(SESSIONS)
        .join(mine, sa.and_(SESSIONS.c.how == mine.c.how, SESSIONS.c.subject == mine.c.subject))
        .where(
            SESSIONS.c.expires_at > now,
            SESSIONS.c.last_seen_at > now - timedelta(minutes=limits.idle_minutes),
        )
        .order_by(SESSIONS.c.last_seen_at.desc(), SESSIONS.c.id)
    )
    with reading(engine) as connection:
        return [
            Session(
                row.id, row.how, row.subject, row.created_at, row.last_seen_at, row.expires_at, row.address
            )
            for row in connection.execute(query)
        ]


def close(engine: sa.Engine, visitor: Visitor, identities: list[str], because: str, now: datetime) -> int:
    """End sessions of a visitor: its own, and no others that are named.

    Returns: how many were ended.
    Raises:  DatabaseUnavailable (retryable).
    """
    with writing(engine) as connection:
        mine = connection.execute(sa.select(SESSIONS).where(SESSIONS.c.id == visitor.session)).one_or_none()
        if mine is None:
            return 0
        own = connection.execute(
            sa.select(SESSIONS.c.id).where(
                SESSIONS.c.how == mine.how, SESSIONS.c.subject == mine.subject, SESSIONS.c.id.in_(identities)
            )
        ).scalars()
        ended = list(own)
        for identity in ended:
            _close(connection, identity, visitor.name, because, visitor.address, now)
    return len(ended)


def end_of_token(engine: sa.Engine, identity: str) -> datetime | None:
    """When a token expires; None where there is none. Raises: DatabaseUnavailable (retryable)."""
    with reading(engine) as connection:
        found = find_token(connection, identity)
    return None if found is None else found[0].expires_at


def sweep(connection: sa.Connection, limits: Login, now: datetime) -> int:
    """Remove sessions that time has ended; they are good no more with or without this. Returns how many there were."""
    idle = now - timedelta(minutes=limits.idle_minutes)
    over = sa.or_(SESSIONS.c.expires_at <= now, SESSIONS.c.last_seen_at <= idle)
    return connection.execute(SESSIONS.delete().where(over)).rowcount


def _is_good(row: sa.Row[Any], limits: Login, rules: str, now: datetime) -> bool:
    if now >= row.expires_at or now - row.last_seen_at >= timedelta(minutes=limits.idle_minutes):
        return False
    if row.how == "token":
        return row.token_expires_at is not None and row.revoked_at is None and now < row.token_expires_at
    return bool(row.rules == rules)


def _note_seen(engine: sa.Engine, row: sa.Row[Any], now: datetime) -> None:
    if now - row.last_seen_at < SEEN_NOTED_EVERY:
        return
    update = (
        SESSIONS.update()
        .where(SESSIONS.c.id == row.id, SESSIONS.c.last_seen_at < now)
        .values(last_seen_at=now)
    )
    # That it is not noted is no reason to show nothing.
    with suppress(DatabaseUnavailable), writing(engine) as connection:
        connection.execute(update)


def _named_by(connection: sa.Connection, secret: str) -> sa.Row[Any] | None:
    if not _FORM.fullmatch(secret):
        return None
    query = sa.select(SESSIONS).where(SESSIONS.c.secret_hash == hash_of(secret))
    return connection.execute(query).one_or_none()


def _make_room(connection: sa.Connection, origin: Origin, visitor: Visitor, now: datetime) -> None:
    query = (
        sa.select(SESSIONS.c.id)
        .where(SESSIONS.c.how == origin.how, SESSIONS.c.subject == origin.subject)
        .order_by(SESSIONS.c.last_seen_at.desc(), SESSIONS.c.id)
        .offset(MOST_OF_ONE - 1)
    )
    for identity in list(connection.execute(query).scalars()):
        _close(connection, identity, visitor.name, f"more than {MOST_OF_ONE} at once", visitor.address, now)


def _close(
    connection: sa.Connection, identity: str, who: str, because: str, address: str | None, now: datetime
) -> None:
    connection.execute(SESSIONS.delete().where(SESSIONS.c.id == identity))
    audit.record(connection, who, "session.close", f"session {identity}", {"because": because}, address, now)
