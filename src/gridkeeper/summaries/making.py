"""Makes summary rows of records: a pure function of the records, the registry, the corrections and the days asked for.

Records are staged first: the facts that sums are made of, and one number for the words and labels they say. Each distinct
combination of words is mapped once, and all summaries are made of the same stage.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gridkeeper.federation.mapping import DECIDING, WORDS, Mapper, Meaning, count_levels
from gridkeeper.lake.lake import column_names
from gridkeeper.records.columns import WHOLE
from gridkeeper.summaries import reported, sql
from gridkeeper.summaries.corrections.applying import CORRECTED_RESOURCE, corrected, corrected_columns
from gridkeeper.summaries.corrections.estimates import estimated_rows, words_of
from gridkeeper.summaries.corrections.in_force import NO_CORRECTIONS
from gridkeeper.summaries.tables import MONTHLY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from gridkeeper.federation.model import Registry
    from gridkeeper.lake.lake import Snapshot
    from gridkeeper.summaries.corrections.in_force import Corrections
    from gridkeeper.summaries.corrections.rules import Estimate, Rule
    from gridkeeper.summaries.tables import Summary

_KEYS = frozenset({"queue", "probe"})  # words that are keys of summaries as they stand
# A word beside what records say: the day since which the registry's words mean what they do on the day that a record ended.
AS_OF = "as_of"
_MEANING_TYPES = {"in_grid": pa.bool_(), "registered": pa.bool_()}
_MEANT = {field.name: _MEANING_TYPES.get(field.name, pa.string()) for field in fields(Meaning)}
# From when until when a part counts; unknown where the registry does not know the resource.
_COUNTING = """
    SELECT DISTINCT parts.part, count_levels.first, count_levels.until, parts.level = count_levels.level AS counted
    FROM parts JOIN count_levels ON count_levels.resource = parts.resource
    WHERE parts.registered
"""


@dataclass(frozen=True)
class Stage:
    """Records made ready to be added up.

    records: one row a record: `combo` and the facts.
    combos:  one row a distinct combination of words and labels: `combo`, these ("" is unknown), what they mean (`meant_...`).
    days:    the days that rows are wanted for.
    """

    records: pa.Table
    combos: pa.Table
    days: pa.Table


class Maker:
    """Makes rows for one registry and one set of corrections; remembers what words mean from one call to the next."""

    def __init__(self, registry: Registry, corrections: Corrections = NO_CORRECTIONS) -> None:
        self._grid = registry.federation.grid
        self._corrections = corrections
        self._mapper = Mapper(registry)
        self._deciding = DECIDING | self._mapper.words_of_rules
        self._words = (*(word for word in WORDS if word in self._deciding | _KEYS), *sql.LABELS)
        self._known: dict[tuple[tuple[str, ...], tuple[str, ...]], Meaning] = {}
        self._levels = _levels(registry)
        self._by_resource: dict[str, list[tuple[date, date, str]]] = {}
        for row in self._levels.to_pylist():
            entry = (row["first"], row["until"], row["level"])
            self._by_resource.setdefault(row["resource"], []).append(entry)

    def stage(
        self,
        snapshot: Snapshot,
        days: Collection[date],
        after: int | None = None,
        source: str | None = None,
        facts: Mapping[str, str] = sql.FACTS,
        files: Collection[str] | None = None,
    ) -> Stage:
        """Stage records of `snapshot`.

        after:  None for rows of `days` from all records that touch them; else only records whose load_seq is
                greater and that ended on `days`, for whatever days they touch.
        source: another statement that chooses the records (tables `dirty`, and the lake's).
        facts:  name → where it comes from, in the columns of the source.
        files:  of the later records, only what these files hold; see Snapshot.select.
        """
        dirty = _table_of(days)
        source = source or (sql.ALL_THAT_TOUCH if after is None else sql.THOSE_THAT_END)
        window = (min(days), max(days) + timedelta(days=1))
        words = self._words
        if rules := self._corrections.of_records(days):
            source, words = self._corrected(source, rules, facts)
        tables = {"dirty": dirty}

        def asked(statement: str) -> pa.Table:
            return snapshot.select(statement, days=window, after=after, files=files, tables=tables)

        if self._mapper.changes:
            tables["epochs"] = self._epochs(asked(f"SELECT DISTINCT end_day FROM ({source}) AS chosen"))
            source = f"SELECT dated.*, epochs.{AS_OF} FROM ({source}) AS dated JOIN epochs ON dated.end_day = epochs.end_day"
            words = (*words, AS_OF)
        said = ", ".join(f"COALESCE({word}, '') AS {word}" for word in words)
        combos = self._mapped(asked(f"SELECT DISTINCT {said} FROM ({source}) AS chosen"))
        tables["combos"] = combos.select(["combo", *words])
        joined = " AND ".join(f"COALESCE(chosen.{word}, '') = combos.{word}" for word in words)
        made = ", ".join(f"{where} AS {name}" for name, where in facts.items())
        records = asked(f"SELECT combos.combo, {made} FROM ({source}) AS chosen JOIN combos ON {joined}")
        return Stage(records, combos, dirty if after is None else _table_of(_spanned(records)))

    def _epochs(self, ends: pa.Table) -> pa.Table:
        """For each day on which records ended: since when the registry's words mean what they do on it."""
        days = ends["end_day"].to_pylist()
        return pa.table({"end_day": ends["end_day"], AS_OF: pa.array(map(self.as_of, days), pa.string())})

    def as_of(self, day: date) -> str:
        """Since when the registry's words mean what they do on a day, as 2017-01-31; "" for before anything changed."""
        place = bisect_right(self._mapper.changes, day)
        return self._mapper.changes[place - 1].isoformat() if place else ""

    @property
    def is_dated(self) -> bool:
        """Whether the registry says that some words meant something else on other days."""
        return bool(self._mapper.changes)

    def _corrected(
        self, source: str, rules: Sequence[Rule], facts: Mapping[str, str]
    ) -> tuple[str, tuple[str, ...]]:
        """The statement of the corrected records of a source, and the words that they are mapped by."""
        words = self._words
        if CORRECTED_RESOURCE in corrected_columns(rules):
            words = (*words, CORRECTED_RESOURCE)
        needed = {*words, "end_day", *(column for where in facts.values() for column in column_names(where))}
        return corrected(source, rules, needed), words

    def rows(self, snapshot: Snapshot, summary: Summary, stage: Stage) -> pa.Table:
        """Make the rows of `summary` from a stage of `snapshot`; columns as in the summary, names as dictionaries."""
        parts = snapshot.select(summary.numbering, tables={"combos": stage.combos})
        counting = snapshot.select(_COUNTING, tables={"parts": parts, "count_levels": self._levels})
        tables = {
            "staged": stage.records,
            "numbered": parts.select(["combo", "part"]),
            "counting": counting,
            "dirty": stage.days,
        }
        return _with_names(snapshot.select(summary.adding, tables=tables), parts, summary)

    def reported(self, snapshot: Snapshot) -> pa.Table:
        """Make the rows of `usage_reported_monthly` from what others reported."""
        raw = snapshot.select(reported.RAW_SQL)
        if self.is_dated:
            as_of = pa.array([self.as_of(day) for day in raw["day"].to_pylist()], pa.string())
        else:
            as_of = pa.repeat(pa.scalar("", pa.string()), len(raw))
        raw = raw.append_column(AS_OF, as_of)
        words = ", ".join((*WORDS, AS_OF))
        distinct = snapshot.select(f"SELECT DISTINCT {words} FROM raw", tables={"raw": raw})
        return snapshot.select(reported.FOLD_SQL, tables={"raw": raw, "meanings": self._mapped(distinct)})

    def _mapped(self, distinct: pa.Table) -> pa.Table:
        """Number distinct combinations of words, and map each."""
        deciding = [
            name
            for name in distinct.column_names
            if name in self._deciding or name in (CORRECTED_RESOURCE, AS_OF)
        ]
        meanings = [
            self._meaning(deciding, words)
            for words in zip(*(distinct[name].to_pylist() for name in deciding), strict=True)
        ]
        columns = {"combo": pa.array(range(len(meanings)), pa.int32())}
        columns |= {name: distinct[name] for name in distinct.column_names}
        columns |= {
            f"meant_{name}": pa.array([getattr(meaning, name) for meaning in meanings], kind)
            for name, kind in _MEANT.items()
        }
        return pa.table(columns)

    def _meaning(self, names: Sequence[str], words: tuple[str, ...]) -> Meaning:
        key = (tuple(names), words)
        meaning = self._known.get(key)
        if meaning is None:
            meaning = self.meaning({name: word or None for name, word in zip(names, words, strict=True)})
            self._known[key] = meaning
        return meaning

    def meaning(self, words: dict[str, str | None]) -> Meaning:
        """Say what words mean; where a correction sets the resource, the record belongs there, whoever sent it.

        With the word AS_OF, what they meant then.
        """
        corrected_to = words.pop(CORRECTED_RESOURCE, None)
        day = date.min
        if since := words.pop(AS_OF, None):
            day = date.fromisoformat(since)
        if corrected_to is None:
            return self._mapper.meaning(words, day)
        there = {"resource": corrected_to, "host_description": None, "site_reported": None}
        whose = self._mapper.meaning(words | there, day)
        place = self._mapper.meaning(words | there | {"probe": None}, day)
        in_grid = not place.registered or (whose.grid or "").lower() == self._grid.lower()
        return replace(
            whose, resource=place.resource, site=place.site, facility=place.facility, registered=place.registered, in_grid=in_grid
        )  # fmt: skip

    @property
    def counts_every_day_alike(self) -> bool:
        """Whether neither a resource's count level nor what words mean depends on the day."""
        return not self.is_dated and all(
            first == date.min for entries in self._by_resource.values() for first, _, _ in entries
        )

    @property
    def deciding(self) -> frozenset[str]:
        """The words of a record that its meaning depends on."""
        return frozenset(self._deciding)

    def known_meaning(self, words: Mapping[str, str | None], day: date) -> Meaning:
        """Say what words mean on a day, found once for each distinct combination."""
        if self.is_dated:
            words = {**words, AS_OF: self.as_of(day)}
        return self._meaning(tuple(words), tuple(word or "" for word in words.values()))

    def told(
        self, words: Mapping[str, str | None], day: date
    ) -> tuple[Meaning, tuple[tuple[date, date, str], ...]]:
        """All that sums depend on of what words mean on a day: this, and which levels count at the resource in which time."""
        meaning = self.known_meaning(words, day)
        counting = self._by_resource.get(meaning.resource or "", ()) if meaning.registered else ()
        return meaning, tuple(_joined(counting))

    def estimated(self, summary: Summary, rules: Sequence[Rule] | None = None) -> pa.Table:
        """Make the rows that corrections in force, or `rules`, add to a summary; its columns, and `estimated`."""

        def meant(estimate: Estimate, day: date) -> Meaning:
            return self.known_meaning(words_of(estimate, self._grid), day)

        by_month = summary in MONTHLY.values()
        chosen = self._corrections.estimates if rules is None else rules
        return estimated_rows(summary, chosen, meant, self.is_counted, by_month=by_month)

    def is_counted(self, meaning: Meaning, day: date) -> bool | None:
        """Whether a level counts at a resource on a day; None where the registry does not know the resource."""
        if not meaning.registered:
            return None
        entries = self._by_resource.get(meaning.resource or "", ())
        return next((level == meaning.level for first, until, level in entries if first <= day < until), None)


def _joined(counting: Iterable[tuple[date, date, str]]) -> list[tuple[date, date, str]]:
    """Times of one level that follow each other without a gap as one time: a resource that moved has several."""
    joined: list[tuple[date, date, str]] = []
    for first, until, level in counting:
        if joined and joined[-1][1:] == (first, level):
            first = joined.pop()[0]
        joined.append((first, until, level))
    return joined


def _with_names(sums: pa.Table, parts: pa.Table, summary: Summary) -> pa.Table:
    """Put the names of its part beside each sum."""
    _, places = np.unique(parts["part"].to_numpy(), return_index=True)
    of_part = parts.take(pa.array(places)).combine_chunks()
    row = pc.subtract(sums["part"], 1).combine_chunks()  # parts are numbered from 1 without gaps
    columns = {}
    for key, kind in summary.keys.items():
        if key not in summary.named:
            columns[key] = sums[key].cast(kind)
        elif kind == pa.string():
            encoded = pc.dictionary_encode(of_part[key].combine_chunks())
            columns[key] = pa.DictionaryArray.from_arrays(encoded.indices.take(row), encoded.dictionary)
        else:
            columns[key] = of_part[key].take(row)
    return pa.table(columns | {measure: sums[measure].cast(WHOLE) for measure in summary.measures})


def _levels(registry: Registry) -> pa.Table:
    """Which level counts at a resource in which time."""
    rows: list[dict[str, Any]] = [
        {"resource": name, "first": since, "until": until, "level": level}
        for name, entries in count_levels(registry).items()
        for (since, level), until in zip(
            entries, [*(entry[0] for entry in entries[1:]), date.max], strict=True
        )
    ]
    kinds = {"resource": pa.string(), "first": pa.date32(), "until": pa.date32(), "level": pa.string()}
    return pa.Table.from_pylist(rows, pa.schema(kinds))


def _table_of(days: Collection[date]) -> pa.Table:
    return pa.table({"day": pa.array(sorted(days), pa.date32())})


def _spanned(records: pa.Table) -> list[date]:
    """Every day from the earliest start to the latest end."""
    first, last = pc.min(records["start_day"]).as_py(), pc.max(records["end_day"]).as_py()
    return [date.fromordinal(day) for day in range(first.toordinal(), last.toordinal() + 1)] if first else []
