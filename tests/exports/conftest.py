"""What the tests of feeds share: the databases."""

from tests.databases import database, on_each_engine, sqlite_database

__all__ = ["database", "on_each_engine", "sqlite_database"]
