"""Tokens of this home: made, listed, found and revoked. Only a hash of the secret is kept; the token is shown once."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gridkeeper import clock
from gridkeeper.database import reading, writing
from gridkeeper.errors import UserMistake
from gridkeeper.trust import audit
from gridkeeper.trust.bindings import BINDINGS, ONE_OF, fault_of
from gridkeeper.trust.refusals import MOST_SHOWN_CHARACTERS, shown
from gridkeeper.trust.senders import ROLES, Role
from gridkeeper.trust.tables import TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

PREFIX = "gk_"
ID_BYTES = 4
SECRET_BYTES = 24  # 192 random bits: a plain SHA-256 of them cannot be searched
DEFAULT_DAYS = 400
MOST_DAYS = 3660
MOST_NAMES = 1000
MOST_NAME_CHARACTERS = 255
SHOWN_COLUMNS = tuple(column for column in TOKENS.c if column.name != "secret_hash")


@dataclass(frozen=True)
class Token:
    """A token as lists show it; neither its secret nor the hash of it.

    resources, vos: what a probe may send for, or a contact speaks for, in words or with `*`.
    sites:          what a site contact speaks for; empty for all others.
    users:          the names under which the jobs of who reads run.
    """

    id: str
    role: Role
    name: str
    resources: tuple[str, ...]
    vos: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None
    revoked_because: str | None
    last_used_at: datetime | None
    last_used_from: str | None
    sites: tuple[str, ...] = ()
    users: tuple[str, ...] = ()

    @property
    def bound_to(self) -> tuple[str, ...]:
        """All names that it is bound to, for lists."""
        return (*self.sites, *self.resources, *self.vos, *self.users)

    @property
    def label(self) -> str:
        """How logs, archive and audit name it: `token 3f2a9c81 (Utah CE)`."""
        return f"token {self.id} ({self.name})"

    def state(self, now: datetime) -> str:
        """`good`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if now >= self.expires_at else "good"


@dataclass(frozen=True)
class Created:
    """A new token, and its text, which nobody can ask for again."""

    token: Token
    text: str = field(repr=False)


def create(
    engine: sa.Engine,
    *,
    role: Role,
    who: str,
    name: str | None = None,
    resources: Iterable[str] = (),
    vos: Iterable[str] = (),
    sites: Iterable[str] = (),
    users: Iterable[str] = (),
    days: int = DEFAULT_DAYS,
    now: datetime | None = None,
) -> Created:
    """Make a token.

    who:  who makes it, for the audit. name: whose it is, in words; None: what it is bound to, else who made it.
    days: how long it is good, from now on.
    Raises: UserMistake (permanent) where a role is not bound as it must be (bindings.fault_of), or a word is empty;
            DatabaseUnavailable (retryable).
    """
    bound = {
        kind: _names(given, ONE_OF[kind])
        for kind, given in (("sites", sites), ("resources", resources), ("vos", vos), ("users", users))
    }
    _check(role, bound, days)
    every = ", ".join(each for names in bound.values() for each in names)
    label = shown(every or who) if name is None else _words(name, "name")
    at = now or clock.now()
    secret = secrets.token_hex(SECRET_BYTES)
    with writing(engine) as connection:
        token = Token(
            _free_id(connection),
            role,
            label,
            created_at=at,
            created_by=who,
            expires_at=at + timedelta(days=days),
            revoked_at=None,
            revoked_because=None,
            last_used_at=None,
            last_used_from=None,
            **bound,
        )
        connection.execute(
            TOKENS.insert().values(
                **{column.name: getattr(token, column.name) for column in SHOWN_COLUMNS}
                | {kind: json.dumps(names) for kind, names in bound.items()},
                secret_hash=hash_of(secret),
            )
        )
        said = {kind: names for kind, names in bound.items() if names or kind in ("resources", "vos")}
        details = {"role": role, **said, "expires_at": token.expires_at.isoformat()}
        audit.record(connection, who, "token.create", token.label, details, at=at)
    return Created(token, f"{PREFIX}{token.id}_{secret}")


def list_(engine: sa.Engine) -> list[Token]:
    """All tokens, those expired and revoked too, oldest first. Raises: DatabaseUnavailable (retryable)."""
    with reading(engine) as connection:
        query = sa.select(*SHOWN_COLUMNS).order_by(TOKENS.c.created_at, TOKENS.c.id)
        return [_token(row) for row in connection.execute(query)]


def find(connection: sa.Connection, identity: str) -> tuple[Token, str] | None:
    """A token and the hash of its secret; None where there is none with this id."""
    row = connection.execute(sa.select(TOKENS).where(TOKENS.c.id == identity)).one_or_none()
    return None if row is None else (_token(row), row.secret_hash)


def revoke(
    engine: sa.Engine, identity: str, reason: str, who: str, now: datetime | None = None
) -> tuple[Token, bool]:
    """Revoke a token; one that is revoked already stays as it is.

    identity: its id, or the whole token as it was found somewhere.
    Returns:  the token, and whether this call revoked it.
    Raises:   UserMistake (permanent) where there is no such token or no reason in a line; DatabaseUnavailable (retryable).
    """
    because = _words(reason, "reason")
    wanted = identity.strip().removeprefix(PREFIX).partition("_")[0]
    at = now or clock.now()
    with writing(engine) as connection:
        update = (
            TOKENS.update()
            .where(TOKENS.c.id == wanted, TOKENS.c.revoked_at.is_(None))
            .values(revoked_at=at, revoked_because=because)
        )
        known = wanted.isalnum()  # PostgreSQL takes no NUL
        changed = known and connection.execute(update).rowcount == 1
        found = find(connection, wanted) if known else None
        if found is None:
            raise UserMistake(
                f"there is no token {shown(wanted)!r} here; `gridkeeper token list` shows the ids of those there are"
            )
        if changed:
            audit.record(connection, who, "token.revoke", found[0].label, {"reason": because}, at=at)
    return found[0], changed


def hash_of(secret: str) -> str:
    """What is kept of a secret: its SHA-256, in hexadecimal digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _check(role: Role, bound: Mapping[str, tuple[str, ...]], days: int) -> None:
    if role not in ROLES:
        raise UserMistake(f"there is no role {shown(role)!r}; the roles are {', '.join(ROLES)}")
    if fault := fault_of(role, bound):
        options = ", ".join(f"--{kind[:-1]}" for kind in BINDINGS[role])
        raise UserMistake(f"{fault} ({f'its options: {options}' if options else 'it has no such options'})")
    if not 1 <= days <= MOST_DAYS:
        raise UserMistake(f"a token is good for 1 to {MOST_DAYS} days, not {days}")


def _words(text: str, kind: str) -> str:
    words = text.strip()
    if not words or not words.isprintable() or len(words) > MOST_SHOWN_CHARACTERS:
        raise UserMistake(
            f"{shown(words)!r} is no {kind}; write 1 to {MOST_SHOWN_CHARACTERS} printable characters on one line "
            f"(--{kind} '...')"
        )
    return words


def _names(names: Iterable[str], kind: str) -> tuple[str, ...]:
    kept = tuple(dict.fromkeys(name.strip() for name in names))
    if len(kept) > MOST_NAMES:
        raise UserMistake(f"a token is bound to at most {MOST_NAMES:,} names; write patterns with *")
    for name in kept:
        if not name or not name.isprintable() or len(name) > MOST_NAME_CHARACTERS:
            raise UserMistake(
                f"{shown(name)!r} is no name of a {kind}; "
                f"write 1 to {MOST_NAME_CHARACTERS} printable characters, with * where any may stand"
            )
    return kept


def _free_id(connection: sa.Connection) -> str:
    # Ids are short for people's sake, so two may meet; where two makers take one at once, the primary key refuses one.
    while True:
        identity = secrets.token_hex(ID_BYTES)
        if find(connection, identity) is None:
            return identity


def _token(row: sa.Row[Any]) -> Token:
    values = {column.name: getattr(row, column.name) for column in SHOWN_COLUMNS}
    lists = {key: tuple(json.loads(values[key])) for key in ("resources", "vos", "sites", "users")}
    return Token(**values | lists)
