"""The books: one moment's view of all summaries, up to the newest record, for questions that belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gridkeeper.lake.engines.contract import Source
from gridkeeper.summaries import reported
from gridkeeper.summaries.making import Maker
from gridkeeper.summaries.months import DAILY, are_equally_far, first_and_next
from gridkeeper.summaries.refreshing import Change, by_month, change_of, records_of, refresh
from gridkeeper.summaries.tables import SUMMARIES, Summary

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
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
        # Summaries that later records are put beside, and their days that are made anew.
        self._renewed: dict[str, frozenset[date]] = {}

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

    def prepare(self) -> None:
        """Make all summaries ready; from then on the books only read, so that threads may share them.

        Raises: LakeUnavailable (retryable).
        """
        if reported.NAME not in self._ready:
            self._ready.add(reported.NAME)
            self._snapshot.put(reported.NAME, Source(rows=self._maker.reported(self._snapshot)))
        for summary in SUMMARIES.values():
            if summary.name not in self._ready:
                self._prepare(summary)
        for name in (*SUMMARIES, "usage_records", "usage_reported", "storage_space"):
            self._snapshot.handle(name).files()

    def _prepare(self, summary: Summary) -> None:
        name = summary.name
        if name in DAILY:
            self._prepare_months(summary, DAILY[name])
            return
        self._ready.add(name)
        change = change_of(self._snapshot, self._snapshot.handle(name), self.registry)
        if change.kind == "rebuild":
            refresh(self._lake, self.registry)
            self._snapshot = self._lake.snapshot()
            self._ready = {name}
            self._renewed.clear()
        elif change.kind != "none":
            live = pa.concat_tables(
                self._maker.rows(
                    self._snapshot, summary, self._maker.stage(self._snapshot, portion, change.after)
                )
                for portion in change.portions()
            )
            renewed = self._renewed[name] = change.days if change.kind == "renew" else frozenset()
            columns = ", ".join(live.column_names)
            self._snapshot.put(f"{name}__live", Source(rows=live))
            self._snapshot.put(
                f"{name}__renewed", Source(rows=pa.table({"day": pa.array(sorted(renewed), pa.date32())}))
            )
            view = f"""
                SELECT {columns} FROM {name}__kept WHERE day NOT IN (SELECT day FROM {name}__renewed)
                UNION ALL SELECT {columns} FROM {name}__live
            """
            self._snapshot.put(name, Source(view=view))

    def _prepare_months(self, monthly: Summary, daily: Summary) -> None:
        """Read a month from the monthly summary, and from the days what it does not know: they keep their day then."""
        if daily.name not in self._ready:
            self._prepare(daily)
        self._ready.add(monthly.name)
        columns = ", ".join((*monthly.keys, *monthly.measures))
        if not are_equally_far(self._snapshot, daily):  # a refresh is between its two commits, say
            self._snapshot.put(monthly.name, Source(view=f"SELECT {columns} FROM {daily.name}"))
            return
        renewed = self._renewed.get(daily.name)
        if renewed is None:
            return
        kept = f"SELECT {columns} FROM {monthly.name}__kept"
        view = f"{kept} UNION ALL SELECT {columns} FROM {daily.name}__live"
        if renewed:
            spans = [first_and_next(month) for month in sorted(by_month(renewed))]
            within = " OR ".join(
                f"(day >= DATE '{first}' AND day < DATE '{until}')" for first, until in spans
            )
            view = f"{kept} WHERE NOT ({within}) UNION ALL SELECT {columns} FROM {daily.name} WHERE {within}"
        self._snapshot.put(monthly.name, Source(view=view))

    def of_records(
        self, summary: Summary, days: Collection[date], source: str, facts: Mapping[str, str]
    ) -> pa.Table:
        """Make rows of a few records, mapped as summaries are, for a question that no summary answers.

        source, facts: which records, and what of them; see Maker.stage.
        Returns: a table of the summary's schema.
        """
        if not days:
            return summary.layout.file_schema.empty_table()
        wanted = Change("renew", frozenset(days), 0, records_of(self._snapshot, days))
        return pa.concat_tables(
            self._maker.rows(
                self._snapshot,
                summary,
                self._maker.stage(self._snapshot, portion, source=source, facts=facts),
            )
            for portion in wanted.portions()
        )

    def holds(self, table: str) -> bool:
        """Whether a table of records holds anything."""
        return self._snapshot.load_seq(table) > 0

    def versions_of(self, source: str) -> dict[str, int]:
        """The versions behind an answer from `jobs` or `reported` sums."""
        return self.versions("usage_reported" if source == "reported" else "usage_records")

    def versions(self, table: str = "usage_records") -> dict[str, int]:
        """Where the numbers come from: the version of a table of records, and the number of its last append."""
        return {
            f"{table}_version": self._snapshot.handle(table).version,
            "load_seq": self._snapshot.load_seq(table),
        }
