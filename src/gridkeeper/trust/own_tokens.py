"""Checks tokens of this home: what was found is kept for seconds, and that a token is used is noted once a minute."""

from __future__ import annotations

import hmac
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gridkeeper.database import DatabaseUnavailable, reading, writing
from gridkeeper.trust.refusals import NotRecognised
from gridkeeper.trust.senders import CONTACTS, Sender
from gridkeeper.trust.tables import TOKENS
from gridkeeper.trust.tokens import ID_BYTES, PREFIX, SECRET_BYTES, Token, find, hash_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

REVOKED_WITHIN = timedelta(
    seconds=5
)  # so long what was found is believed: a revocation takes effect within it
USE_NOTED_EVERY = timedelta(minutes=1)
MOST_KEPT = 10_000
_FORM = re.compile(rf"{PREFIX}([0-9a-f]{{{2 * ID_BYTES}}})_([0-9a-f]{{{2 * SECRET_BYTES}}})")
_NO_HASH = hash_of("")


@dataclass(frozen=True)
class _Found:
    at: datetime
    token: Token | None
    secret_hash: str


class OwnTokens:
    """The tokens of this home as the door sees them, for many threads."""

    def __init__(self, engine: sa.Engine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now
        self._found: dict[str, _Found] = {}
        self._noted: dict[str, datetime] = {}

    def recognise(self, text: str, address: str) -> Sender:
        """Say who sends a token. Raises: NotRecognised (permanent); DatabaseUnavailable (retryable)."""
        now = self._now()
        form = _FORM.fullmatch(text)
        if form is None:
            raise NotRecognised(
                f"the token is not whole; expected {PREFIX}, {2 * ID_BYTES} digits, _ and {2 * SECRET_BYTES} digits"
            )
        found = self._look_up(form[1], now)
        # One sentence, and one comparison of the same length, whether the id is unknown or the secret is wrong.
        same = hmac.compare_digest(hash_of(form[2]), found.secret_hash)
        if found.token is None or not same:
            raise NotRecognised(f"the token {form[1]} is not known here, or its secret is another one")
        token = found.token
        if token.revoked_at is not None:
            raise NotRecognised(
                f"{token.label} was revoked on {token.revoked_at:%Y-%m-%d}; ask for a new one"
            )
        if token.state(now) == "expired":
            raise NotRecognised(f"{token.label} expired on {token.expires_at:%Y-%m-%d}; ask for a new one")
        self._note_use(token, address, now)
        bound = token.role == "probe" or token.role in CONTACTS
        return Sender(
            name=token.label,
            role=token.role,
            resources=frozenset(token.resources) if bound else None,
            vos=frozenset(token.vos),
            address=address,
            sites=frozenset(token.sites),
            users=frozenset(token.users),
        )

    def _look_up(self, identity: str, now: datetime) -> _Found:
        found = self._found.get(identity)
        if found is None or not timedelta() <= now - found.at < REVOKED_WITHIN:
            with reading(self._engine) as connection:
                token, secret_hash = find(connection, identity) or (None, _NO_HASH)
            if len(self._found) >= MOST_KEPT:
                self._found.clear()  # somebody tries ids; what is needed is read again
            found = self._found[identity] = _Found(now, token, secret_hash)
        return found

    def _note_use(self, token: Token, address: str, now: datetime) -> None:
        noted = self._noted.get(token.id, token.last_used_at)
        if noted is not None and timedelta() <= now - noted < USE_NOTED_EVERY:
            return
        self._noted[token.id] = now
        update = (
            TOKENS.update()
            .where(TOKENS.c.id == token.id)
            .where(sa.or_(TOKENS.c.last_used_at.is_(None), TOKENS.c.last_used_at <= now - USE_NOTED_EVERY))
            .values(last_used_at=now, last_used_from=address)
        )
        # That a use is not noted is no reason to refuse the sender.
        with suppress(DatabaseUnavailable), writing(self._engine) as connection:
            connection.execute(update)
