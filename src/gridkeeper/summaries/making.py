"""Makes summary rows of records: a pure function of the records, the registry and the days asked for."""

from __future__ import annotations

from dataclasses import fields
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gridkeeper.federation.mapping import WORDS, Mapper, Meaning, count_levels
from gridkeeper.summaries import reported

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gridkeeper.federation.model import Registry
    from gridkeeper.lake.lake import Snapshot
    from gridkeeper.summaries.tables import Summary

_MEANING_TYPES = {"in_grid": pa.bool_(), "registered": pa.bool_()}
_MEANING_SCHEMA = pa.schema(
    [(word, pa.string()) for word in WORDS]
    + [(f"meant_{field.name}", _MEANING_TYPES.get(field.name, pa.string())) for field in fields(Meaning)]
)


class Maker:
    """Makes rows for one registry; remembers what words mean from one call to the next."""

    def __init__(self, registry: Registry) -> None:
        self._mapper = Mapper(registry)
        self._known: dict[tuple[str, ...], Meaning] = {}
        levels = [
            {"resource": name, "first": since, "until": until, "level": level}
            for name, entries in count_levels(registry).items()
            for (since, level), until in zip(
                entries, [*(entry[0] for entry in entries[1:]), date.max], strict=True
            )
        ]
        schema = pa.schema(
            [
                ("resource", pa.string()),
                ("first", pa.date32()),
                ("until", pa.date32()),
                ("level", pa.string()),
            ]
        )
        self._levels = pa.Table.from_pylist(levels, schema)

    def rows(
        self, snapshot: Snapshot, summary: Summary, days: Collection[date], after: int | None = None
    ) -> pa.Table:
        """Make the rows of `summary` for `days`, from the records of `snapshot`.

        after:   only from records whose load_seq is greater; None for all.
        Returns: a table of the summary's schema.
        """
        schema = summary.layout.file_schema
        if not days:
            return schema.empty_table()
        words = summary.words(self._mapper.words_of_rules)
        dirty = pa.table({"day": pa.array(sorted(days), pa.date32())})
        window = (min(days), max(days) + timedelta(days=1))
        raw = snapshot.select(summary.raw_sql(words), days=window, after=after, tables={"dirty": dirty})
        return (
            self._folded(snapshot, raw, words, summary.fold_sql(words)).cast(schema)
            if len(raw)
            else schema.empty_table()
        )

    def reported(self, snapshot: Snapshot) -> pa.Table:
        """Make the rows of `usage_reported_monthly` from what others reported."""
        return self._folded(snapshot, snapshot.select(reported.RAW_SQL), WORDS, reported.FOLD_SQL)

    def _folded(self, snapshot: Snapshot, raw: pa.Table, words: Sequence[str], fold_sql: str) -> pa.Table:
        """Map the words of `raw`, each distinct combination once, and add up by what they mean."""
        distinct = snapshot.select(f"SELECT DISTINCT {', '.join(words)} FROM raw", tables={"raw": raw})
        meanings = pa.Table.from_pylist([self._row(row) for row in distinct.to_pylist()], _MEANING_SCHEMA)
        return snapshot.select(
            fold_sql, tables={"raw": raw, "meanings": meanings, "count_levels": self._levels}
        )

    def _row(self, words: dict[str, str]) -> dict[str, Any]:
        key = tuple(words.get(word, "") for word in WORDS)
        meaning = self._known.get(key)
        if meaning is None:
            meaning = self._known[key] = self._mapper.meaning(
                {word: value or None for word, value in words.items()}
            )
        return words | {f"meant_{name}": value for name, value in vars(meaning).items()}
