"""Reads what was received and what became of it, newest first: the receipts of a probe, of a resource, of a day."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gridkeeper.database import reading
from gridkeeper.errors import UserMistake
from gridkeeper.intake.inbox import DISCARDED, LOADED, SET_ASIDE, WAITING
from gridkeeper.intake.tables import BATCHES, CONTACTS, REJECT_DELIVERIES, REJECTS

if TYPE_CHECKING:
    from datetime import date

    from gridkeeper.intake.owned import Owned

STATES = (WAITING, LOADED, SET_ASIDE, DISCARDED)
MOST_AT_ONCE = 500


@dataclass(frozen=True)
class Asked:
    """Which batches are asked for; None: whatever. day: received on it (UTC). owned: of those that belong to somebody."""

    state: str | None = None
    probe: str | None = None
    resource: str | None = None
    day: date | None = None
    owned: Owned | None = None

    def condition(self) -> sa.ColumnElement[bool]:
        """The condition of the rows meant; names are compared without case (a probe's by its spelling or in small letters)."""
        told: list[sa.ColumnElement[bool]] = [sa.true()]
        if self.state is not None:
            told.append(BATCHES.c.state == self.state)
        if self.probe is not None:
            told.append(BATCHES.c.probe.in_((self.probe, self.probe.lower())))
        if self.resource is not None:
            told.append(sa.func.lower(BATCHES.c.resource) == self.resource.lower())
        if self.day is not None:
            first = datetime.combine(self.day, time(), UTC)
            told += [BATCHES.c.received_at >= first, BATCHES.c.received_at < first + timedelta(days=1)]
        if self.owned is not None:
            told.append(self.owned.condition(BATCHES))
        return sa.and_(*told)


def batches(
    engine: sa.Engine, asked: Asked, *, before: str | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Read batches, the newest first, each with its `result` as a mapping.

    before: the batch after which to read on. limit: at most MOST_AT_ONCE.
    Raises: UserMistake (permanent) where there is no batch `before`; DatabaseUnavailable (retryable).
    """
    statement = (
        sa.select(BATCHES)
        .where(asked.condition())
        .order_by(BATCHES.c.received_at.desc(), BATCHES.c.id.desc())
        .limit(min(limit, MOST_AT_ONCE))
    )
    with reading(engine) as connection:
        if before is not None:
            moment = connection.execute(
                sa.select(BATCHES.c.received_at).where(BATCHES.c.id == before)
            ).scalar_one_or_none()
            if moment is None:
                raise UserMistake(
                    f"before: there is no batch {before[:64]!r} any more; begin with the first page"
                )
            earlier = sa.and_(BATCHES.c.received_at == moment, BATCHES.c.id < before)
            statement = statement.where(sa.or_(BATCHES.c.received_at < moment, earlier))
        rows = connection.execute(statement).mappings().all()
    return [_told(row) for row in rows]


def batch(engine: sa.Engine, name: str, owned: Owned | None) -> dict[str, Any] | None:
    """One batch by its id; None where there is none, or where it belongs to somebody else. Raises: DatabaseUnavailable (retryable)."""
    condition = sa.and_(BATCHES.c.id == name, sa.true() if owned is None else owned.condition(BATCHES))
    with reading(engine) as connection:
        row = connection.execute(sa.select(BATCHES).where(condition)).mappings().one_or_none()
    return None if row is None else _told(row)


def counts(engine: sa.Engine, asked: Asked) -> dict[str, int]:
    """How many batches are in which state. Raises: DatabaseUnavailable (retryable)."""
    statement = sa.select(BATCHES.c.state, sa.func.count()).where(asked.condition()).group_by(BATCHES.c.state)
    with reading(engine) as connection:
        found = {row[0]: row[1] for row in connection.execute(statement)}
    return {state: found.get(state, 0) for state in STATES}


def refusals_of(
    engine: sa.Engine, found: dict[str, Any], owned: Owned | None = None, most: int = 100
) -> list[dict[str, Any]]:
    """The refusals that a batch held, each with how often this batch held it, in the order of its lines.

    Raises: DatabaseUnavailable (retryable).
    """
    heard = REJECT_DELIVERIES.c
    statement = (
        sa.select(REJECTS, heard.times.label("here"))
        .join(REJECT_DELIVERIES, heard.reject == REJECTS.c.id)
        .where(heard.received_at == found["received_at"], heard.source == f"batch {found['id']}")
        .where(sa.true() if owned is None else owned.condition(REJECTS))
        .order_by(REJECTS.c.line, REJECTS.c.id)
        .limit(most)
    )
    with reading(engine) as connection:
        return [dict(row) for row in connection.execute(statement).mappings()]


def last_words(engine: sa.Engine, probe: str) -> list[dict[str, Any]]:
    """The last word of a probe, one a resource, the latest first. Raises: DatabaseUnavailable (retryable)."""
    statement = (
        sa.select(CONTACTS)
        .where(sa.func.lower(CONTACTS.c.probe) == probe.lower())
        .order_by(CONTACTS.c.last_at.desc())
    )
    with reading(engine) as connection:
        return [dict(row) for row in connection.execute(statement).mappings()]


def _told(row: Any) -> dict[str, Any]:
    return dict(row) | {"result": json.loads(row["result"]) if row["result"] else None}
