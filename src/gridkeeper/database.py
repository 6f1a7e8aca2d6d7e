"""The operational database: what is not the lake's (inbox, quarantine, tokens, audit, contacts, schedules).

SQLite by default, in the home; PostgreSQL where `[database] url` names one. Each room's own tables stand in
its own `tables.py` and hang on the one METADATA here; migrations/ brings a database up to them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event

from gridkeeper.errors import GridkeeperError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

from contextlib import contextmanager

BUSY_TIMEOUT_MS = 30_000
NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
METADATA = sa.MetaData(naming_convention=NAMING)


class DatabaseUnavailable(GridkeeperError):
    """The operational database could not be read or written now. Retryable."""

    permanent = False


class Moment(sa.TypeDecorator[datetime]):
    """A moment in UTC, microseconds kept; SQLite has no type with a zone, so it is kept as whole microseconds since 1970."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        """Turn a moment into microseconds."""
        if value is None:
            return None
        since = value.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        """Turn microseconds into a moment."""
        if value is None:
            return None
        seconds, microseconds = divmod(int(value), 1_000_000)
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=microseconds)


def url_of(path: Path) -> str:
    """The address of a SQLite database in a file."""
    return f"sqlite:///{path}"


def open_database(url: str) -> sa.Engine:
    """Open a database. SQLite writes ahead and syncs fully, so that what was committed survives a power cut."""
    if not url.startswith("sqlite"):
        return sa.create_engine(
            url.replace("postgresql://", "postgresql+psycopg://", 1), pool_pre_ping=True, pool_size=10
        )
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where `_begin` says so
        for pragma in (
            f"busy_timeout = {BUSY_TIMEOUT_MS}",
            "auto_vacuum = INCREMENTAL",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A transaction that begins as a reader and then writes fails at once where another one wrote meanwhile.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A short transaction that only reads. Raises: DatabaseUnavailable (retryable)."""
    try:
        with engine.connect() as connection, connection.begin():
            yield connection
    except sa.exc.OperationalError as error:
        raise DatabaseUnavailable(f"the database cannot be read: {_first_line(error)}; try again") from error


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that writes; committed and on disk when it ends well. Raises: DatabaseUnavailable (retryable)."""
    try:
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection
    except sa.exc.OperationalError as error:
        raise DatabaseUnavailable(
            f"the database cannot be written: {_first_line(error)}; try again"
        ) from error


def _first_line(error: sa.exc.OperationalError) -> str:
    return str(error.orig).strip().split("\n", 1)[0]
