"""Databases for tests: the same test on SQLite and on PostgreSQL, each empty but for the tables.

`database` gives an engine. A test of whole homes asks for `on_each_engine` instead (`pytest.mark.usefixtures`): every home
that `settle` is told of then has SQLite in it, or names a schema of PostgreSQL that is the test's own.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import event

from gridkeeper.database import open_database, url_of
from gridkeeper.migrations import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

POSTGRESQL = os.environ.get("GRIDKEEPER_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1/test")
SERVICES_REQUIRED = os.environ.get("GRIDKEEPER_REQUIRE_SERVICES") == "1"
CONNECT_SECONDS = 3


@cache
def why_no_postgresql() -> str | None:
    """Why PostgreSQL cannot be used here; None: it can."""
    try:
        psycopg.connect(POSTGRESQL, connect_timeout=CONNECT_SECONDS).close()
    except psycopg.OperationalError as error:
        return f"PostgreSQL at {POSTGRESQL} does not answer: {error}"
    return None


@cache
def _migrated_file() -> bytes:
    """A SQLite database with the tables, made once: a copy of it costs a millisecond."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.db"
        for engine in _opened(url_of(path)):
            migrate(engine)
        return path.read_bytes()  # closed, so that nothing is left beside the file


# What runs on SQLite runs on PostgreSQL, too: with the slow tests, so that `make test` stays quick.
BOTH = ("sqlite", pytest.param("postgresql", marks=pytest.mark.slow))


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Iterator[sa.Engine]:
    """A SQLite database with this version's tables."""
    path = tmp_path / "gridkeeper.db"
    path.write_bytes(_migrated_file())
    yield from _opened(url_of(path))


@pytest.fixture(params=BOTH)
def database(request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    """A database with this version's tables, on each engine in turn."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_database")
        return
    with postgresql_schema() as url:
        for engine in _opened(url):
            migrate(engine)
            yield engine


@pytest.fixture(params=BOTH)
def on_each_engine(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Homes that this test settles are on each engine in turn. Gives: the address on PostgreSQL; None: SQLite in the home."""
    if request.param == "sqlite":
        yield None
        return
    with postgresql_schema() as url, _every_connection_closed(), _chosen(url):
        yield url


def settle(home: Path, file: Path | None = None) -> None:
    """Write into the settings of a home that is new which database this test is about.

    file: where SQLite's lies, which then has its tables already, if the home has none yet.
    """
    if file is not None and not _CHOSEN and not file.exists():
        file.write_bytes(_migrated_file())
    if _CHOSEN:
        with (home / "gridkeeper.toml").open("a", encoding="utf-8") as stream:
            stream.write(f'[database]\nurl = "{_CHOSEN[-1]}"\n')


@contextmanager
def postgresql_schema() -> Iterator[str]:
    """An empty schema as long as it is wanted; skips the test, or fails it, where there is no PostgreSQL. Gives: its address."""
    reason = why_no_postgresql()
    if reason is not None:
        if SERVICES_REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)
    schema = f"test_{secrets.token_hex(8)}"
    with psycopg.connect(POSTGRESQL, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        try:
            yield f"{POSTGRESQL}?options=-csearch_path%3D{schema}"
        finally:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")


_CHOSEN: list[str] = []


@contextmanager
def _chosen(url: str) -> Iterator[None]:
    _CHOSEN.append(url)
    try:
        yield
    finally:
        _CHOSEN.remove(url)


@contextmanager
def _every_connection_closed() -> Iterator[None]:
    """Close what the engines of this test's homes leave open: each command opens its own, and ends with its process elsewhere."""
    opened: list[Any] = []

    def note(connection: Any, _record: object) -> None:
        opened.append(connection)

    event.listen(sa.pool.Pool, "connect", note)
    try:
        yield
    finally:
        event.remove(sa.pool.Pool, "connect", note)
        for connection in opened:
            connection.close()


def _opened(url: str) -> Iterator[sa.Engine]:
    engine = open_database(url)
    try:
        yield engine
    finally:
        engine.dispose()
