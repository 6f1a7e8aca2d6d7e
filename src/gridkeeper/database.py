"""The operational database: what is not the lake's (inbox, quarantine, tokens, audit, contacts, schedules).

SQLite by default, in the home; PostgreSQL where `[database] url` names one. Each room's own tables stand in
its own `tables.py` and hang on the one METADATA here; migrations/ brings a database up to them.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite

from gridkeeper.errors import GridkeeperError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_TIMEOUT_MS = 30_000
# SQLite follows a long value from page to page to read it or to free it, and bodies of batches are long: with pages of 4 KiB,
# its own choice, a fifth fewer of them go in and out in the same time. Small rows prefer small pages: 32 KiB are too many.
PAGE_BYTES = 16 * 1024
# What is committed waits in a log, which is carried over when it is so long. With half of it a third fewer bodies go in; it is
# that much of the disk, and more where the disk is full.
LOG_BYTES = 8 * 1024 * 1024
NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
# What a database says that is gone, full, busy, starting or handing over; and a pool that all of which is at work.
NOT_NOW = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.InternalError, sa.exc.TimeoutError)
_NO_PRIVILEGE = "42501"  # of PostgreSQL
_NO_ACCESS = re.compile("unable to open database file|readonly database")
# Before there is a connection, PostgreSQL's refusals have no code; in another language than English they are tried again.
_MISNAMED = re.compile(
    r'(database|role) ".*" does not exist|authentication failed|no password supplied|no pg_hba.conf entry'
    "|invalid (port number|connection option)|SSL, but SSL was required|not permitted to log in|permission denied for database"
)
METADATA = sa.MetaData(naming_convention=NAMING)


class DatabaseUnavailable(GridkeeperError):
    """The operational database could not be read or written now. Retryable."""

    permanent = False


class DatabaseRefuses(DatabaseUnavailable):
    """The operational database is not there, is none, or lets its user do too little. Permanent."""

    permanent = True


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
        engine = sa.create_engine(
            url.replace("postgresql://", "postgresql+psycopg://", 1), pool_pre_ping=True, pool_size=10
        )
        _keep_only_keepable(engine)
        return engine
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
    _keep_only_keepable(engine)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where `_begin` says so
        for pragma in (
            f"busy_timeout = {BUSY_TIMEOUT_MS}",
            f"page_size = {PAGE_BYTES}",  # of a database that is made now; others keep theirs
            "auto_vacuum = INCREMENTAL",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_BYTES // page_bytes}")

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A transaction that begins as a reader and then writes fails at once where another one wrote meanwhile.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _keep_only_keepable(engine: sa.Engine) -> None:
    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def _prepare(
        _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, executemany: bool
    ) -> tuple[str, Any]:
        rows = [_keepable_row(row) for row in parameters] if executemany else _keepable_row(parameters)
        return statement, rows


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A short transaction that only reads. Raises: DatabaseUnavailable (retryable), DatabaseRefuses (permanent)."""
    with _in_words(engine, "read"), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that writes; committed and on disk when it ends well.

    Raises: DatabaseUnavailable (retryable), DatabaseRefuses (permanent).
    """
    with (
        _in_words(engine, "written"),
        engine.connect().execution_options(writes=True) as connection,
        connection.begin(),
    ):
        yield connection


def insert(connection: sa.Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that can say what is to be done where the row is there already.

    To look first and insert then is safe on SQLite, where one writes at a time; on PostgreSQL somebody else may come between.
    """
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


@contextmanager
def _in_words(engine: sa.Engine, done: str) -> Iterator[None]:
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        said = _first_line(error)
        if (remedy := _remedy(error, said)) is not None:
            raise DatabaseRefuses(f"{_named(engine)} cannot be {done}: {said}; {remedy}") from error
        if isinstance(error, NOT_NOW):
            raise DatabaseUnavailable(f"{_named(engine)} cannot be {done}: {said}; try again") from error
        raise


def _remedy(error: sa.exc.SQLAlchemyError, said: str) -> str | None:
    """What to do about an error that trying again does not mend; None: it may, or the fault is ours."""
    cause = getattr(error, "orig", None)
    if getattr(cause, "sqlstate", None) == _NO_PRIVILEGE:
        return "let its user create and change tables there (GRANT CREATE, USAGE ON SCHEMA ...)"
    if type(error) is sa.exc.DatabaseError:  # the file is none of SQLite's, or damaged
        return "put it back from a backup (docs/operating.md)"
    if _NO_ACCESS.search(said):
        return "let this user write to it and to its folder"
    if isinstance(error, sa.exc.OperationalError | sa.exc.ProgrammingError) and _MISNAMED.search(said):
        return "create what it names, or mend url under [database] in gridkeeper.toml"
    return None


def _named(engine: sa.Engine) -> str:
    """The database for a sentence; never with its password."""
    url = engine.url
    if url.get_backend_name() == "sqlite":
        return f"the database {url.database}"
    return f"the database {url.database or url.username} at {url.host or 'this host'}"


def _first_line(error: sa.exc.SQLAlchemyError) -> str:
    cause = getattr(error, "orig", None)
    return str(error if cause is None else cause).strip().split("\n", 1)[0]


def _keepable(value: Any) -> Any:
    """A text as both engines keep it: PostgreSQL takes no NUL, and neither takes half a surrogate (of a file's odd name)."""
    if not isinstance(value, str) or (value.isascii() and "\0" not in value):
        return value
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "backslashreplace").decode()


def _keepable_row(row: Any) -> Any:
    if isinstance(row, dict):
        return {name: _keepable(value) for name, value in row.items()}
    return tuple(map(_keepable, row))
