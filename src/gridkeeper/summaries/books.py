"""The books: one moment's view of all summaries, up to the newest record, for questions that belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gridkeeper.lake.engines.contract import Source
from gridkeeper.summaries import reported
from gridkeeper.summaries.changes import Change, by_month, change_of, is_by_another, records_of
from gridkeeper.summaries.corrections.estimates import ESTIMATED
from gridkeeper.summaries.corrections.in_force import NO_CORRECTIONS
from gridkeeper.summaries.making import Maker
from gridkeeper.summaries.months import DAILY, are_equally_far, first_and_next
from gridkeeper.summaries.previewing import changes_between
from gridkeeper.summaries.refreshing import refresh
from gridkeeper.summaries.tables import SUMMARIES, Summary

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date

    from gridkeeper.federation.model import Registry
    from gridkeeper.lake.lake import Lake, Snapshot
    from gridkeeper.summaries.corrections.in_force import Corrections
    from gridkeeper.summaries.previewing import Changes


class Books:
    """What a home knows at one moment.

    A summary is read at its watermark; the days that later records touched are added up from the records
    themselves, so that an answer never lags behind. After a change of the registry the summaries are
    refreshed first. What corrections estimate is put beside what records say, with `estimated` true.

    corrections: those in force.
    """

    def __init__(self, lake: Lake, registry: Registry, *, corrections: Corrections = NO_CORRECTIONS) -> None:
        self.registry = registry
        self.corrections = corrections
        self._lake = lake
        self._snapshot = lake.snapshot()
        self._maker = Maker(registry, corrections)
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

    @property
    def has_estimates(self) -> bool:
        """Whether summaries have a column `estimated`, true for what a correction adds and no record tells of."""
        return bool(self.corrections.estimates)

    def _prepare(self, summary: Summary) -> None:
        if summary.name in DAILY:
            self._prepare_months(summary, DAILY[summary.name])
        else:
            self._prepare_days(summary)
        if self.has_estimates:
            self._put_estimates_beside(summary)

    def _put_estimates_beside(self, summary: Summary) -> None:
        """Let a summary's name mean what records say of it, from here on `..__recorded`, and what corrections add."""
        name, columns = summary.name, ", ".join((*summary.keys, *summary.measures))
        recorded = self._snapshot.meaning(name) or Source(view=f"SELECT {columns} FROM {name}__kept")
        self._snapshot.put(f"{name}__recorded", recorded)
        self._snapshot.put(f"{name}__estimated", Source(rows=self._maker.estimated(summary)))
        view = f"""
            SELECT {columns}, FALSE AS {ESTIMATED} FROM {name}__recorded
            UNION ALL SELECT {columns}, {ESTIMATED} FROM {name}__estimated
        """
        self._snapshot.put(name, Source(view=view))

    def _recorded(self, summary: Summary) -> str:
        """The name of what records alone say of a summary that is ready."""
        return f"{summary.name}__recorded" if self.has_estimates else summary.name

    def _prepare_days(self, summary: Summary) -> None:
        name = summary.name
        self._ready.add(name)
        handle = self._snapshot.handle(name)
        # What another registry asks takes a look at the words of all records: once, not with every question.
        known = not is_by_another(handle, self.registry)
        change = change_of(self._snapshot, handle, self.registry, self.corrections) if known else None
        if change is None or change.kind == "rebuild":
            refresh(self._lake, self.registry, corrections=self.corrections)
            self._snapshot = self._lake.snapshot()
            self._ready = {name}
            self._renewed.clear()
        elif change.days:
            live = pa.concat_tables(
                self._maker.rows(
                    self._snapshot,
                    summary,
                    self._maker.stage(self._snapshot, portion.days, change.after, files=portion.files),
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
            self._snapshot.put(monthly.name, Source(view=f"SELECT {columns} FROM {self._recorded(daily)}"))
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
            view = f"{kept} WHERE NOT ({within}) UNION ALL SELECT {columns} FROM {self._recorded(daily)} WHERE {within}"
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
                self._maker.stage(self._snapshot, portion.days, source=source, facts=facts),
            )
            for portion in wanted.portions()
        )

    def changes_by(self, corrections: Corrections) -> Changes:
        """Say what another set of corrections would make of these books; nothing is written. Raises: LakeUnavailable (retryable)."""
        makers = (self._maker, Maker(self.registry, corrections))
        return changes_between(self._snapshot, makers, self.corrections, corrections)

    @property
    def snapshot(self) -> Snapshot:
        """The lake as these books know it."""
        return self._snapshot

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
