"""DuckDB, embedded: the engine of a single host."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import duckdb

from gridkeeper.errors import LakeUnavailable, UserMistake

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from gridkeeper.lake.engines.contract import Question, Source

MEMORY_LIMIT = "1GB"


class DuckDB:
    """Answers each question in a session of its own; sessions share one instance, and keep nothing."""

    name = "duckdb"

    def __init__(
        self, threads: int | None = None, memory_limit: str = MEMORY_LIMIT, spill: Path | None = None
    ) -> None:
        settings: dict[str, Any] = {"memory_limit": memory_limit, "TimeZone": "UTC"}
        if threads:
            settings["threads"] = threads
        if spill:
            settings["temp_directory"] = str(spill)
        # Starting an instance costs 25 ms, a session in it next to nothing.
        self._instance = duckdb.connect()
        weakref.finalize(self, self._instance.close)  # at the end of the program at the latest
        for name, value in settings.items():
            self._instance.execute(f"SET GLOBAL {name} = '{value}'")

    def answer(self, question: Question) -> pa.Table:
        """Run one statement; see Engine. May be called from several threads at once."""
        with self._instance.cursor() as session:
            try:
                for name, source in question.sources.items():
                    _register(session, name, source)
                return session.sql(question.sql, params=dict(question.parameters) or None).to_arrow_table()
            except (
                duckdb.IOException,
                duckdb.OutOfMemoryException,
            ) as error:  # also a full disk, when it spills
                raise LakeUnavailable(f"the lake cannot be read: {_first_line(error)}") from error
            except duckdb.Error as error:
                raise UserMistake(f"the statement cannot be answered: {_first_line(error)}") from error


def _register(session: duckdb.DuckDBPyConnection, name: str, source: Source) -> None:
    if source.view is not None:
        session.execute(f"CREATE TEMP VIEW {name} AS {source.view}")
    elif source.rows is not None:
        session.register(name, source.rows)
    elif source.files:
        listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in source.files)
        session.execute(f"CREATE TEMP VIEW {name} AS SELECT * FROM read_parquet([{listed}])")
    else:
        if source.schema is None:
            raise TypeError(f"{name} has neither files, rows, view nor schema")
        session.register(name, source.schema.empty_table())


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
