"""Databases for tests: the same test on SQLite and on PostgreSQL, each empty but for the tables."""

from __future__ import annotations

import os
import secrets
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from gridkeeper.database import open_database, url_of
from gridkeeper.migrations import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

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


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Iterator[sa.Engine]:
    """A SQLite database with this version's tables."""
    path = tmp_path / "gridkeeper.db"
    path.write_bytes(_migrated_file())
    yield from _opened(url_of(path))


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    """A database with this version's tables, on each engine in turn."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_database")
        return
    reason = why_no_postgresql()
    if reason is not None:
        if SERVICES_REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)
    schema = f"test_{secrets.token_hex(8)}"
    with psycopg.connect(POSTGRESQL, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        try:
            for engine in _opened(f"{POSTGRESQL}?options=-csearch_path%3D{schema}"):
                migrate(engine)
                yield engine
        finally:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")


def _opened(url: str) -> Iterator[sa.Engine]:
    engine = open_database(url)
    try:
        yield engine
    finally:
        engine.dispose()
