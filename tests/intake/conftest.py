"""The databases that the tests of this room share."""

from tests.databases import database, sqlite_database

__all__ = ["database", "sqlite_database"]
