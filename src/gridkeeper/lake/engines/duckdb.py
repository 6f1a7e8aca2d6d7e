"""DuckDB, embedded: the engine of a single host."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import duckdb

from gridkeeper.errors import GridkeeperError, LakeDamaged, LakeUnavailable, UserMistake
from gridkeeper.lake.wholeness import first_damaged

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from gridkeeper.lake.engines.contract import Question, Source

MEMORY_LIMIT = "1GB"
# What a question freed beyond this goes back to the system; by default each thread keeps 128 MiB and more.
KEPT_BY_A_THREAD = "16MiB"
# What no file can be the cause of.
_OF_THE_STATEMENT = (
    duckdb.ParserException, duckdb.SyntaxException, duckdb.BinderException, duckdb.CatalogException, duckdb.ConversionException,
    duckdb.OutOfRangeException, duckdb.TypeMismatchException, duckdb.InvalidTypeException, duckdb.NotImplementedException,
)  # fmt: skip


class DuckDB:
    """Answers each question in a session of its own; sessions share one instance, and keep nothing."""

    name = "duckdb"

    def __init__(
        self, threads: int | None = None, memory_limit: str = MEMORY_LIMIT, spill: Path | None = None
    ) -> None:
        settings: dict[str, Any] = {
            "memory_limit": memory_limit,
            "TimeZone": "UTC",
            "allocator_flush_threshold": KEPT_BY_A_THREAD,
            "allocator_bulk_deallocation_flush_threshold": KEPT_BY_A_THREAD,
            # Else what is freed goes back only when somebody asks again: 90 MiB after a refresh by 4 million records.
            "allocator_background_threads": "true",
        }
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
            except duckdb.Error as error:
                raise _explained(error, question) from error


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


def _explained(error: duckdb.Error, question: Question) -> GridkeeperError:
    """Tell a wrong statement, a damaged file and a lake that cannot be read now apart."""
    wrong = UserMistake(f"the statement cannot be answered: {_first_line(error)}")
    if isinstance(error, _OF_THE_STATEMENT):
        return wrong
    files = [path for source in question.sources.values() for path in source.files]
    of_input = isinstance(error, duckdb.InvalidInputException) and "read file" not in str(error)
    of_room = isinstance(error, duckdb.OutOfMemoryException) or "write" in str(error)
    spared = of_input or of_room  # a look at every byte of the files
    damaged = first_damaged(files, thoroughly=False)
    if damaged is None and not spared:
        damaged = first_damaged(files, thoroughly=True)
    if damaged is not None:
        path, why = damaged
        return LakeDamaged(
            f"{path} {why}; `gridkeeper lake verify` says all that is damaged, and how to mend it"
        )
    if isinstance(
        error, duckdb.IOException | duckdb.OutOfMemoryException
    ):  # a full disk, too, when it spills
        return LakeUnavailable(f"the lake cannot be read: {_first_line(error)}")
    return wrong


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
