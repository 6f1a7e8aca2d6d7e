"""Compares records that were read again with those in the books: what is as it was, what is new, what changes.

Only what still counts from the same text is changed: where a later delivery revised a record, that one goes on counting.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gridkeeper.federation.mapping import WORDS
from gridkeeper.lake.append import layout_of
from gridkeeper.lake.engines.contract import Question, Source
from gridkeeper.records.tables import RECORD_TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from gridkeeper.federation.mapping import Mapper
    from gridkeeper.lake.lake import Lake, Snapshot
    from gridkeeper.records.columns import Table

# Wall seconds, core seconds and CPU microseconds of a row, for the tables that have such.
_SUMS = {
    "usage_records": (
        "wall_duration_s", "wall_duration_s * processors", "COALESCE(cpu_user_us, 0) + COALESCE(cpu_system_us, 0)",
    ),
    "usage_reported": (
        "wall_duration_s", "wall_duration_s * COALESCE(processors, 1)", "COALESCE(cpu_duration_s, 0) * 1000000",
    ),
}  # fmt: skip
_NO_SUMS = ("0", "0", "0")
_OTHER_NAMES = {"usage_reported": {"fqan": "vo_group"}}
SAME, ELSEWHERE, CANDIDATE = 0, 1, 2


@dataclass
class Sums:
    """What a replay changes at one place: new records, changed ones, and by how much the sums move."""

    new: int = 0
    changed: int = 0
    wall_seconds: int = 0
    core_seconds: int = 0
    cpu_us: int = 0

    @property
    def cpu_seconds(self) -> int:
        """CPU time in whole seconds, towards zero."""
        return int(self.cpu_us / 1_000_000)


@dataclass
class Changes:
    """What a replay finds for one table. rows = same + new + changed + duplicates + elsewhere.

    same:       read as the books have it.
    duplicates: told once more within the replay, with the same content.
    elsewhere:  read differently, but a later delivery counts, or counted before and was replaced.
    orphans:    records that the texts gave before and give no more; they stay, since nothing is removed.
    by_place:   (VO, site), both as the registry maps them, → what changes there.
    """

    rows: int = 0
    same: int = 0
    new: int = 0
    changed: int = 0
    duplicates: int = 0
    elsewhere: int = 0
    orphans: int = 0
    by_place: defaultdict[tuple[str | None, str | None], Sums] = field(
        default_factory=lambda: defaultdict(Sums)
    )


class Comparison:
    """Takes what is read again of one table, portion by portion; then says what it changes."""

    def __init__(self, lake: Lake, snapshot: Snapshot, table: Table) -> None:
        self._lake, self._snapshot, self._table = lake, snapshot, table
        self._candidates: list[pa.Table] = []
        self._again: list[pa.ChunkedArray] = []
        self.found = Changes()

    def take(self, rows: pa.Table) -> None:
        """Compare a portion; what is as it was is counted and let go of. Raises: LakeUnavailable (retryable)."""
        fates = self._ask(
            """
            WITH counting AS (
                SELECT identity, content_hash, archive_ref FROM known WHERE supersedes
                QUALIFY ROW_NUMBER() OVER (PARTITION BY identity ORDER BY revision DESC) = 1
            ), contents AS (SELECT DISTINCT identity, content_hash FROM known)
            SELECT again.row,
                   CASE WHEN counting.content_hash = again.content_hash THEN $same
                        WHEN counting.identity IS NOT NULL AND counting.archive_ref IS DISTINCT FROM again.archive_ref THEN $elsewhere
                        WHEN contents.identity IS NOT NULL THEN $elsewhere
                        ELSE $candidate END AS fate
            FROM again
            LEFT JOIN counting ON counting.identity = again.identity
            LEFT JOIN contents ON contents.identity = again.identity AND contents.content_hash = again.content_hash
            ORDER BY again.row
            """,
            {
                "again": _numbered(rows.select(["identity", "content_hash", "archive_ref"])),
                "known": self._known(rows, ["archive_ref"]),
            },
            same=SAME,
            elsewhere=ELSEWHERE,
            candidate=CANDIDATE,
        )["fate"].to_numpy()
        self.found.rows += len(rows)
        self.found.same += int((fates == SAME).sum())
        self.found.elsewhere += int((fates == ELSEWHERE).sum())
        self._again.append(rows["identity"])
        if (fates == CANDIDATE).any():
            self._candidates.append(rows.filter(pa.array(fates == CANDIDATE)))

    def changes(self, names: pa.Table, mapper: Mapper, moment: datetime) -> pa.Table:
        """The rows that change the books, received at `moment`; `found` then says all of it.

        names: one column `name`, the archived texts that were read again.
        Raises: LakeUnavailable (retryable).
        """
        self._count_orphans(names)
        if not self._candidates:
            return self._table.schema.empty_table()
        rows = pa.concat_tables(self._candidates)
        places = self._places(rows)
        kept = rows.filter(pa.array(places == 1))
        self.found.duplicates += int((places == 0).sum())
        self.found.elsewhere += int((places > 1).sum())
        self._sum_up(kept, mapper)
        received = pa.repeat(pa.scalar(moment, pa.timestamp("us", tz="UTC")), len(kept))
        return kept.set_column(kept.schema.get_field_index("received_at"), "received_at", received)

    def _places(self, rows: pa.Table) -> np.ndarray:
        """1 for the content of each record that was received last, as an append would choose; 0 for one told before."""
        order = ", ".join(
            f"{column} DESC NULLS LAST" for column in ("received_at", *self._table.precedence, "row")
        )
        columns = dict.fromkeys(["identity", "content_hash", "received_at", *self._table.precedence])
        places: np.ndarray = self._ask(
            f"""
            SELECT row, CASE WHEN ROW_NUMBER() OVER (PARTITION BY identity, content_hash ORDER BY {order}) > 1 THEN 0
                             ELSE ROW_NUMBER() OVER (PARTITION BY identity ORDER BY {order}) END AS place
            FROM again ORDER BY row
            """,
            {"again": _numbered(rows.select(list(columns)))},
        )["place"].to_numpy()
        return places

    def _sum_up(self, kept: pa.Table, mapper: Mapper) -> None:
        words, needed = self._words()
        known = self._known(kept, [*needed, "archive_ref"])
        wall, core, cpu = _SUMS.get(self._table.name, _NO_SUMS)
        said = f"{words}, {wall} AS wall, {core} AS core, {cpu} AS cpu"
        names = ", ".join(WORDS)
        told = self._ask(
            f"""
            WITH counting AS (
                SELECT * FROM known WHERE supersedes
                QUALIFY ROW_NUMBER() OVER (PARTITION BY identity ORDER BY revision DESC) = 1
            ), moved AS (
                SELECT {said}, 1 AS sign, NOT identity IN (SELECT identity FROM counting) AS new FROM again
                UNION ALL BY NAME
                SELECT {said}, -1 AS sign, FALSE AS new FROM counting
            )
            SELECT {names}, COUNT(*) FILTER (WHERE new) AS new, COUNT(*) FILTER (WHERE sign = 1 AND NOT new) AS changed,
                   CAST(SUM(sign * wall) AS BIGINT) AS wall, CAST(SUM(sign * core) AS BIGINT) AS core,
                   CAST(SUM(sign * cpu) AS BIGINT) AS cpu
            FROM moved GROUP BY {names}
            """,
            {"again": kept, "known": known},
        )
        for row in told.to_pylist():
            meaning = mapper.meaning({word: row[word] for word in WORDS})
            sums = self.found.by_place[meaning.vo, meaning.site]
            sums.new += row["new"]
            sums.changed += row["changed"]
            sums.wall_seconds += row["wall"] or 0
            sums.core_seconds += row["core"] or 0
            sums.cpu_us += row["cpu"] or 0
            self.found.new += row["new"]
            self.found.changed += row["changed"]

    def _words(self) -> tuple[str, list[str]]:
        """The words that a registry maps by, as this table has them; and the columns that they and the sums need."""
        columns = {column.name for column in self._table.columns}
        other = _OTHER_NAMES.get(self._table.name, {})
        here = {word: other.get(word, word) for word in WORDS if other.get(word, word) in columns}
        said = ", ".join(
            f"{here[word]} AS {word}" if word in here else f"CAST(NULL AS VARCHAR) AS {word}"
            for word in WORDS
        )
        summed = {"wall_duration_s", "processors", "cpu_user_us", "cpu_system_us", "cpu_duration_s"}
        return said, [*dict.fromkeys([*here.values(), *sorted(summed & columns)])]

    def _count_orphans(self, names: pa.Table) -> None:
        if not self._lake.has(self._table.name) or not len(names):
            return
        chunks = [chunk for column in self._again for chunk in column.chunks]
        again = pa.table({"identity": pa.chunked_array(chunks, pa.binary())})
        found = self._snapshot.select(
            f"""
            SELECT COUNT(*) AS orphans FROM {self._table.name}
            WHERE archive_ref IN (SELECT name FROM names) AND NOT identity IN (SELECT identity FROM again)
            """,
            tables={"names": names, "again": again},
        )
        self.found.orphans = int(found["orphans"][0].as_py())

    def _known(self, rows: pa.Table, columns: Sequence[str]) -> pa.Table:
        if self._lake.has(self._table.name):
            return self._snapshot.contents(self._table, rows, columns)
        return layout_of(self._table).schema.empty_table()

    def _ask(self, sql: str, tables: Mapping[str, pa.Table], **parameters: Any) -> pa.Table:
        sources = {name: Source(rows=rows) for name, rows in tables.items()}
        return self._lake.engine.answer(Question(sql, sources, parameters))


def comparisons(lake: Lake, snapshot: Snapshot) -> dict[str, Comparison]:
    """A comparison for each table of records, by its name."""
    return {name: Comparison(lake, snapshot, table) for name, table in RECORD_TABLES.items()}


def _numbered(rows: pa.Table) -> pa.Table:
    return rows.append_column("row", pa.array(np.arange(len(rows), dtype=np.int64)))
