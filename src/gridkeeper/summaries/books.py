"""The books: one moment's view of all summaries, up to the newest record, for questions that belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gridkeeper.lake.engines.contract import Source
from gridkeeper.summaries import reported
from gridkeeper.summaries.making import Maker
from gridkeeper.summaries.refreshing import dirty_days, refresh
from gridkeeper.summaries.tables import SUMMARIES, Summary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from gridkeeper.federation.model import Registry
    from gridkeeper.lake.lake import Lake


class Books:
    """What a home knows at one moment.

    A summary is read at its watermark; the days that later records touched are added up from the records
    themselves, so that an answer never lags behind. After a change of the registry the summaries are
    refreshed first.
    """

    def __init__(self, lake: Lake, registry: Registry) -> None:
        self.registry = registry
        self._lake = lake
        self._snapshot = lake.snapshot()
        self._maker = Maker(registry)
        self._ready: set[str] = set()

    def select(
        self,
        sql: str,
        *,
        days: tuple[date | None, date | None] | None = None,
        tables: Mapping[str, pa.Table] | None = None,
        **parameters: Any,
    ) -> pa.Table:
        """Answer one statement over records and summaries; see Snapshot.select."""
        if reported.NAME in sql and reported.NAME not in self._ready:
            self._ready.add(reported.NAME)
            self._snapshot.put(reported.NAME, Source(rows=self._maker.reported(self._snapshot)))
        for name, summary in SUMMARIES.items():
            if name in sql and name not in self._ready:
                self._prepare(summary)
        return self._snapshot.select(sql, days=days, tables=tables, **parameters)

    def _prepare(self, summary: Summary) -> None:
        self._ready.add(summary.name)
        dirty = dirty_days(self._snapshot, summary, self._snapshot.handle(summary.name), self.registry)
        if dirty.everything:
            refresh(self._lake, self.registry)
            self._snapshot = self._lake.snapshot()
            self._ready = {summary.name}
        elif dirty.days:
            live = self._maker.rows(self._snapshot, summary, dirty.days)
            days = pa.table({"day": pa.array(sorted(dirty.days), pa.date32())})
            columns = ", ".join(live.column_names)
            self._snapshot.put(f"{summary.name}__live", Source(rows=live))
            self._snapshot.put(f"{summary.name}__dirty", Source(rows=days))
            self._snapshot.put(f"{summary.name}", Source(view=f"""
                SELECT {columns} FROM {summary.name}__kept WHERE day NOT IN (SELECT day FROM {summary.name}__dirty)
                UNION ALL SELECT {columns} FROM {summary.name}__live
            """))  # fmt: skip

    def holds(self, table: str) -> bool:
        """Whether a table of records holds anything."""
        return self._snapshot.load_seq(table) > 0

    def versions(self) -> dict[str, int]:
        """Where the numbers come from: the version of the records' table and the number of its last append."""
        return {
            "usage_records_version": self._snapshot.handle("usage_records").version,
            "load_seq": self._snapshot.load_seq(),
        }
