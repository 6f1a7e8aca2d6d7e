"""Logins on the way: who left for the provider, bound to the browser that left, for ten minutes and one return."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gridkeeper.database import writing
from gridkeeper.trust.refusals import CannotTell
from gridkeeper.trust.tables import LOGIN_ATTEMPTS
from gridkeeper.trust.tokens import hash_of

if TYPE_CHECKING:
    from datetime import datetime

GOOD_FOR = timedelta(minutes=10)
MOST_AT_ONCE = 10_000
SECRET_BYTES = 32


@dataclass(frozen=True)
class Attempt:
    """A login that was begun.

    nonce:    what the ID token must bring back. verifier: of PKCE, what the code is redeemed with.
    go_to:    a path here, for afterwards.
    """

    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    go_to: str

    @property
    def challenge(self) -> str:
        """What the provider is told of the verifier: S256 of RFC 7636."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()


def begin(engine: sa.Engine, browser: str, go_to: str, now: datetime) -> tuple[str, Attempt]:
    """Begin a login.

    browser: the secret of the cookie that this browser has; only the same browser can end what it began.
    Returns: the state to send along, and the attempt.
    Raises:  CannotTell (retryable) where MOST_AT_ONCE are on the way; DatabaseUnavailable (retryable).
    """
    state = secrets.token_urlsafe(SECRET_BYTES)
    attempt = Attempt(secrets.token_urlsafe(SECRET_BYTES), secrets.token_urlsafe(SECRET_BYTES), go_to)
    with writing(engine) as connection:
        connection.execute(LOGIN_ATTEMPTS.delete().where(LOGIN_ATTEMPTS.c.expires_at <= now))
        if (connection.scalar(sa.select(sa.func.count()).select_from(LOGIN_ATTEMPTS)) or 0) >= MOST_AT_ONCE:
            raise CannotTell(f"more than {MOST_AT_ONCE:,} logins are on the way; try again in some minutes")
        connection.execute(
            LOGIN_ATTEMPTS.insert().values(
                state_hash=hash_of(state), browser_hash=hash_of(browser), nonce=attempt.nonce,
                verifier=attempt.verifier, go_to=go_to, expires_at=now + GOOD_FOR,
            )
        )  # fmt: skip
    return state, attempt


def take(engine: sa.Engine, browser: str, state: str, now: datetime) -> Attempt | None:
    """Take a login that returns out of the table, so that it returns once.

    None: there is none of this state, it was another browser's, it was taken, or it is too old.
    Raises: DatabaseUnavailable (retryable).
    """
    mine = sa.and_(
        LOGIN_ATTEMPTS.c.state_hash == hash_of(state), LOGIN_ATTEMPTS.c.browser_hash == hash_of(browser)
    )
    with writing(engine) as connection:
        row = connection.execute(sa.select(LOGIN_ATTEMPTS).where(mine)).one_or_none()
        if row is None or connection.execute(LOGIN_ATTEMPTS.delete().where(mine)).rowcount != 1:
            return None
    return Attempt(row.nonce, row.verifier, row.go_to) if now < row.expires_at else None
