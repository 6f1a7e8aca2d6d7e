"""Reads the quarantine page by page, in an order that stays: by when a text was first seen, then by id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gridkeeper.database import reading
from gridkeeper.errors import UserMistake
from gridkeeper.intake.tables import REJECTS

if TYPE_CHECKING:
    from gridkeeper.intake.quarantine import Choice


def count(engine: sa.Engine, choice: Choice, after: str | None = None) -> int:
    """How many texts are meant, in all or after one. Raises: as `some`."""
    with reading(engine) as connection:
        statement = sa.select(sa.func.count()).select_from(REJECTS)
        found = connection.execute(statement.where(choice.condition(), _behind(connection, after)))
        return int(found.scalar_one())


def some(engine: sa.Engine, choice: Choice, after: str | None, limit: int) -> list[dict[str, Any]]:
    """The refusals that come after one, as rows of `quarantine`.

    Raises: UserMistake (permanent) where there is no refusal `after`; DatabaseUnavailable (retryable).
    """
    with reading(engine) as connection:
        statement = sa.select(REJECTS).where(choice.condition(), _behind(connection, after))
        rows = connection.execute(_in_order(statement).limit(limit)).mappings().all()
    return [dict(row) for row in rows]


def ids(engine: sa.Engine, choice: Choice, after: str | None, limit: int) -> list[str]:
    """The same, their ids alone. Raises: as `some`."""
    with reading(engine) as connection:
        statement = sa.select(REJECTS.c.id).where(choice.condition(), _behind(connection, after))
        return list(connection.execute(_in_order(statement).limit(limit)).scalars())


def _behind(connection: sa.Connection, after: str | None) -> sa.ColumnElement[bool]:
    if after is None:
        return sa.true()
    moment = connection.execute(
        sa.select(REJECTS.c.first_seen).where(REJECTS.c.id == after)
    ).scalar_one_or_none()
    if moment is None:
        raise UserMistake(f"after: there is no refusal {after[:64]!r}; begin with the first page")
    later = sa.and_(REJECTS.c.first_seen == moment, REJECTS.c.id > after)
    return sa.or_(REJECTS.c.first_seen > moment, later)


def _in_order(statement: sa.Select[Any]) -> sa.Select[Any]:
    return statement.order_by(REJECTS.c.first_seen, REJECTS.c.id)
