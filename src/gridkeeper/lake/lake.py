"""The lake as its users see it: append, archive, replace a month of a summary, and take a snapshot to ask."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import sqlglot
from sqlglot import exp

from gridkeeper.errors import UserMistake
from gridkeeper.lake import append as appending
from gridkeeper.lake import archive
from gridkeeper.lake.engines.contract import Question, Source
from gridkeeper.lake.files import all_or_none, removal, write_file
from gridkeeper.lake.seen import Seen
from gridkeeper.lake.tables import APPENDS, Handle, Layout, newest_version
from gridkeeper.records.tables import RECORD_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import date
    from pathlib import Path

    import numpy as np

    from gridkeeper.lake.append import Appended
    from gridkeeper.lake.engines.contract import Engine
    from gridkeeper.lake.files import DataFile
    from gridkeeper.records.columns import Table

RECORDS_POSITION = "usage_records"


class Lake:
    """All tables of one home.

    root:      the folder of the tables.
    summaries: layouts of the summary tables, which the room of summaries fills.
    """

    def __init__(self, root: Path, engine: Engine, summaries: Sequence[Layout] = ()) -> None:
        self.root = root
        self.engine = engine
        self.layouts: dict[str, Layout] = {
            name: appending.layout_of(table) for name, table in RECORD_TABLES.items()
        }
        self.layouts |= {layout.name: layout for layout in (*summaries, *archive.LAYOUTS)}
        self._seen = {
            name: Seen(root) for name in (*RECORD_TABLES, *(layout.name for layout in archive.LAYOUTS))
        }

    def append(self, table: Table, rows: pa.Table) -> Appended:
        """Append records and count what became of them; see append.append. Raises: LakeUnavailable (retryable)."""
        return appending.counted(self.append_each(table, rows))

    def append_each(
        self, table: Table, rows: pa.Table, awaited: Callable[[], object] | None = None
    ) -> np.ndarray:
        """Append records and say of each what became of it; see append.append. Raises: LakeUnavailable (retryable)."""
        return appending.append(self.root, self.engine, table, rows, self._seen[table.name], awaited)

    def archive(self, blocks: Sequence[archive.Received]) -> int:
        """Keep blocks of text; see archive.keep. Raises: LakeUnavailable (retryable)."""
        return archive.keep(self.root, self.engine, blocks, self._seen)

    def has(self, name: str) -> bool:
        """Whether a table is there; one that is not would be made by asking for it."""
        return (self.root / name / "_delta_log").is_dir()

    def snapshot(self) -> Snapshot:
        """Pin the lake as it is now, for questions that belong together."""
        return Snapshot(self)

    def stamp(self, *names: str) -> tuple[int, ...]:
        """The newest version of each table by the names of its log's files, -1 where there is none: cheap enough for every second."""
        return tuple(newest_version(self.root / name) for name in names)

    def replace_months(
        self,
        handle: Handle,
        months: Sequence[str],
        rows: pa.Table,
        positions: Mapping[str, int],
        says: Mapping[str, str],
    ) -> None:
        """Put `rows` in the place of everything that the summary holds for `months`, in one commit.

        Rows of other months stand beside what is there.

        Raises: tables.Conflict (retryable) when somebody committed since `handle` was opened.
        """
        layout = handle.layout
        actions: list[Any] = [removal(file) for file in handle.files() if file.partition["month"] in months]
        actions += all_or_none(
            handle.folder,
            (
                write_file(
                    handle.folder,
                    rows.filter(pc.equal(rows["month"], month)),
                    {"month": month},
                    layout.pruned,
                    layout.plain,
                )
                for month in sorted(set(rows["month"].unique().to_pylist()))
            ),
        )
        handle.commit(actions, positions, says)


class Touched(NamedTuple):
    """How many records have these days; the previous ones are those of a content that a revision replaced."""

    start: date
    end: date
    previous_start: date | None
    previous_end: date | None
    records: int


class Snapshot:
    """The lake at one moment: every table is read at the version it had when it was first asked for."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._handles: dict[str, Handle] = {}
        self._replaced: dict[str, Source] = {}

    def handle(self, name: str) -> Handle:
        """The table at the snapshot's version."""
        if name not in self._handles:
            self._handles[name] = Handle(self.lake.root, self.lake.layouts[name])
        return self._handles[name]

    def load_seq(self, name: str = RECORDS_POSITION) -> int:
        """The number of the last append that the snapshot knows of; 0 for an empty table."""
        return self.handle(name).position(APPENDS) or 0

    def contents(self, table: Table, rows: pa.Table, columns: Sequence[str]) -> pa.Table:
        """Every content, counting or not, that the lake holds under the identities of `rows`.

        columns: which columns of them, beside those that say which of them counts.
        """
        return appending.known(self.lake.engine, table, rows, self.handle(table.name), columns)

    def touched_days(self, after: int, name: str = RECORDS_POSITION) -> list[Touched]:
        """The days that records appended after number `after` touch, and how many records touch which."""
        handle = self.handle(name)
        files = [
            handle.folder / file.path for file in handle.files() if file.may_hold("load_seq", after + 1, None)
        ]
        question = Question(
            """
            SELECT start_day, end_day, previous_start_day, previous_end_day, COUNT(*) AS records
            FROM later WHERE load_seq > $after AND supersedes GROUP BY ALL
            """,
            {"later": Source(handle.layout.file_schema, files)},
            {"after": after},
        )
        return [Touched(*row.values()) for row in self.lake.engine.answer(question).to_pylist()]

    def later(self, after: int, name: str = RECORDS_POSITION) -> list[DataFile]:
        """The files that may hold first contents of records appended after number `after`."""
        return [file for file in self.handle(name).files() if _may_hold_later(file, after)]

    def meaning(self, name: str) -> Source | None:
        """What `name` was made to mean; None where it means what the lake holds."""
        return self._replaced.get(name)

    def put(self, name: str, source: Source) -> None:
        """Let `name` mean `source` in the questions to come."""
        self._replaced[name] = source

    def select(
        self,
        sql: str,
        *,
        days: tuple[date | None, date | None] | None = None,
        after: int | None = None,
        files: Collection[str] | None = None,
        tables: Mapping[str, pa.Table] | None = None,
        **parameters: Any,
    ) -> pa.Table:
        """Answer one statement.

        days:   first and until (half-open) of the period asked for; files with no day in it are not read.
        after:  only first contents of records whose load_seq is greater.
        files:  of these, only what certain files hold, by their paths; see `later`.
        tables: rows in memory, by the name that the statement gives them.
        Raises: UserMistake (permanent), LakeUnavailable (retryable).
        """
        sources: dict[str, Source] = {}
        for name in table_names(sql):
            if tables is not None and name in tables:
                sources[name] = Source(rows=tables[name])
            elif name in self._replaced:
                sources |= self._needed_by(self._replaced[name], days)
                sources[name] = self._replaced[name]
            else:
                sources |= self._stored(name, days, after, files)
        return self.lake.engine.answer(Question(sql, sources, parameters))

    def _needed_by(self, source: Source, days: tuple[date | None, date | None] | None) -> dict[str, Source]:
        if source.view is None:
            return {}
        needed: dict[str, Source] = {}
        for name in table_names(source.view):
            if name in self._replaced:
                needed |= self._needed_by(self._replaced[name], days) | {name: self._replaced[name]}
            else:
                needed |= self._stored(name, days)
        return needed

    def _stored(
        self,
        name: str,
        days: tuple[date | None, date | None] | None,
        after: int | None = None,
        only: Collection[str] | None = None,
    ) -> dict[str, Source]:
        """The inputs that make up one of the lake's tables: its files, or the records that count."""
        name, _, part = name.partition("__")
        layout = self.lake.layouts.get(name)
        if layout is None:
            raise UserMistake(
                f"there is no table {name!r}; there are: {', '.join(sorted(self.lake.layouts))}"
            )
        first, until = days or (None, None)
        handle = self.handle(name)
        if name not in RECORD_TABLES:
            files = [file for file in handle.files() if file.may_hold("day", first, until)]
            return {
                f"{name}__{part}" if part else name: Source(
                    layout.file_schema, [handle.folder / file.path for file in files]
                )
            }
        files = [
            file
            for file in handle.files()
            if file.may_hold("end_day", first, None) and file.may_hold("start_day", None, until)
        ]
        if after is not None:
            wanted = None if only is None else frozenset(only)
            fresh = [file.path for file in files if _may_hold_later(file, after)]
            later = [handle.folder / path for path in fresh if wanted is None or path in wanted]
            view = f"SELECT * FROM {name}__first WHERE load_seq > {after}"
            return {f"{name}__first": Source(layout.file_schema, later), name: Source(view=view)}
        revised = [file for file in handle.files() if file.partition["revised"] == "1"]
        stored = {
            f"{name}__first": Source(
                layout.file_schema,
                [handle.folder / file.path for file in files if file.partition["revised"] == "0"],
            ),
            f"{name}__revised": Source(layout.file_schema, [handle.folder / file.path for file in revised]),
        }
        return stored | {name: Source(view=_counting(name, bool(revised)))}


def _may_hold_later(file: DataFile, after: int) -> bool:
    """Whether a file may hold first contents of records that came after an append."""
    return file.partition["revised"] == "0" and file.may_hold("load_seq", after + 1, None)


def _counting(name: str, revised: bool) -> str:
    """The records that count: first contents that nothing superseded, and the newest superseding ones."""
    if not revised:
        return f"SELECT * FROM {name}__first"
    return f"""
        SELECT * FROM {name}__first ANTI JOIN (SELECT identity FROM {name}__revised WHERE supersedes) USING (identity)
        UNION ALL BY NAME
        SELECT * FROM {name}__revised WHERE supersedes
        QUALIFY ROW_NUMBER() OVER (PARTITION BY identity ORDER BY revision DESC) = 1
    """


@lru_cache(maxsize=256)
def column_names(expression: str) -> frozenset[str]:
    """The names of the columns that an expression reads."""
    return frozenset(
        column.name for column in sqlglot.parse_one(expression, dialect="duckdb").find_all(exp.Column)
    )


@lru_cache(maxsize=256)  # to read a statement takes longer than many an answer
def table_names(sql: str) -> list[str]:
    """The names of the tables that a statement reads. Raises: UserMistake (permanent) if it cannot be read."""
    try:
        statement = sqlglot.parse_one(sql, dialect="duckdb")
    except sqlglot.errors.ParseError as error:
        raise UserMistake(f"the statement cannot be read: {str(error).splitlines()[0]}") from error
    made = {cte.alias_or_name for cte in statement.find_all(exp.CTE)}
    return sorted({table.name for table in statement.find_all(exp.Table)} - made - {""})
