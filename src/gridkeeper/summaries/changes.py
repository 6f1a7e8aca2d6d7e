"""Finds what later records, another registry or other corrections ask of a summary, and in which portions it is to be done."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

import pyarrow as pa

from gridkeeper.lake.lake import RECORDS_POSITION
from gridkeeper.summaries import registries
from gridkeeper.summaries.corrections.applying import fits, of_records
from gridkeeper.summaries.corrections.in_force import CORRECTIONS_POSITION, NO_CORRECTIONS
from gridkeeper.summaries.making import Maker
from gridkeeper.summaries.months import REGISTRY_POSITION

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from gridkeeper.federation.model import Registry
    from gridkeeper.lake.lake import Snapshot
    from gridkeeper.lake.tables import Handle
    from gridkeeper.summaries.corrections.in_force import Corrections
    from gridkeeper.summaries.corrections.rules import Rule

RECORDS_OF_A_PORTION = 500_000
FEW_PORTIONS = 3
_Of = TypeVar("_Of")


@dataclass(frozen=True)
class Change:
    """What a summary must do to be up to the records.

    add:     put what the records after the watermark bring beside what is there; `days` are those they ended on.
    renew:   make `days` anew from all their records (none, where another registry or other corrections change no record).
    rebuild: make everything anew: the records are others than it was made of, or by which registry or with which
             corrections it was made is not known any more.
    records: how many records end on each day.
    files:   where an `add` knows them, the files that hold the later records, and how many rows each has.
    """

    kind: Literal["none", "add", "renew", "rebuild"]
    days: frozenset[date]
    watermark: int
    records: Mapping[date, int] = field(default_factory=dict)
    files: Mapping[str, int] = field(default_factory=dict)

    @property
    def after(self) -> int | None:
        """The append whose later records matter; None where all do."""
        return self.watermark if self.kind == "add" else None

    def portions(self) -> Iterator[Portion]:
        """The records in portions of about RECORDS_OF_A_PORTION, so that memory stays bounded.

        Where many rows are put beside others, portions are files, each of which is read for one of them alone; only what
        a file too large for that holds, or one of which it is not known, goes by days.
        """
        if not self.files or self._are_few():
            yield from self.by_days(None)
            return
        days = sorted(self.days)
        small = {path: rows for path, rows in self.files.items() if 0 < rows <= RECORDS_OF_A_PORTION}
        if days:
            yield from (Portion(days, files, is_whole=True) for files in _gathered(small))
        if large := [path for path in self.files if path not in small]:
            yield from self.by_days(large)

    def _are_few(self) -> bool:
        """Whether to read all files for each portion of days is less work than to join what portions of files bring."""
        records = self.records.values()
        return (
            sum(records) <= FEW_PORTIONS * RECORDS_OF_A_PORTION
            and max(records, default=0) <= RECORDS_OF_A_PORTION
        )

    def by_days(self, files: Sequence[str] | None) -> Iterator[Portion]:
        """What certain files hold (None: all) in portions of some days each, which have no row's key in common."""
        rows, of_rows = sum(self.files[path] for path in files or ()), sum(self.files.values())
        # How the days share what these files hold is not known: as they share all of it.
        held = {day: self.records.get(day, 0) for day in sorted(self.days)}
        if rows:
            held = {day: records * rows // of_rows for day, records in held.items()}
        for days in _gathered(held):
            yield Portion(days, files)


class Portion(NamedTuple):
    """Records to be made ready at once: of some days, and only what certain files hold, where these are named.

    is_whole: these files are in no other portion.
    """

    days: Sequence[date]
    files: Sequence[str] | None = None
    is_whole: bool = False


def _gathered(records: Mapping[_Of, int]) -> Iterator[list[_Of]]:
    """What holds records, in lists of as many as RECORDS_OF_A_PORTION allows."""
    gathered: list[_Of] = []
    together = 0
    for each, count in records.items():
        if gathered and together + count > RECORDS_OF_A_PORTION:
            yield gathered
            gathered, together = [], 0
        gathered.append(each)
        together += count
    if gathered:
        yield gathered


def change_of(
    snapshot: Snapshot, handle: Handle, registry: Registry, corrections: Corrections = NO_CORRECTIONS
) -> Change:
    """Find what records after a summary's watermark, another registry, or other corrections ask of it."""
    watermark = handle.position(RECORDS_POSITION) or 0
    newest = snapshot.load_seq()
    # Records that were made anew from the archive count their appends anew, too.
    same_registry = not is_by_another(handle, registry)
    changed = corrections.changed_since(handle.position(CORRECTIONS_POSITION) or 0)
    rebuild = watermark > newest or changed is None
    if not rebuild and same_registry and watermark == newest and not changed:
        return Change("none", frozenset(), watermark)
    anew = set() if rebuild or not changed else days_of(snapshot, changed)
    if not rebuild and not same_registry:
        meant_otherwise = _meant_otherwise(
            snapshot, handle.position(REGISTRY_POSITION) or 0, registry, corrections
        )
        rebuild = meant_otherwise is None
        anew |= meant_otherwise or set()
    touched = snapshot.touched_days(0 if rebuild else watermark)
    if not rebuild and not anew and all(records.previous_end is None for records in touched):
        added = Counter[date]()
        for records in touched:
            added[records.end] += records.records
        files = {file.path: file.rows for file in snapshot.later(watermark)}
        return Change("add", frozenset(added), watermark, added, files)
    days: set[date] = set(anew)
    for records in touched:
        days.update(_between(records.start, records.end))
        if records.previous_start is not None and records.previous_end is not None:
            days.update(_between(records.previous_start, records.previous_end))
    return Change("rebuild" if rebuild else "renew", frozenset(days), watermark, records_of(snapshot, days))


def is_by_another(handle: Handle, registry: Registry) -> bool:
    """Whether a summary was made by another registry; what was never made was made by none."""
    return handle.position(REGISTRY_POSITION) not in (None, registry.revision)


def _meant_otherwise(
    snapshot: Snapshot, revision: int, registry: Registry, corrections: Corrections
) -> set[date] | None:
    """The days on which records mean something else than by the registry of `revision`; None where that is not known any more."""
    before = registries.kept(snapshot.lake.root, revision)
    if before is None:
        return None
    return _days_in(registries.spans_otherwise(snapshot, Maker(before), Maker(registry), corrections))


def days_of(snapshot: Snapshot, rules: Iterable[Rule]) -> set[date]:
    """The days on which records run or end that some corrections fit."""
    days: set[date] = set()
    for rule in of_records(rules):
        found = snapshot.select(
            f"SELECT DISTINCT start_day, end_day FROM usage_records WHERE {fits(rule)}",
            days=(rule.period.first, rule.period.until),
        )
        days |= _days_in(found)
    return days


def _days_in(spans: pa.Table) -> set[date]:
    """All days from each `start_day` to its `end_day`."""
    return {day for row in spans.to_pylist() for day in _between(row["start_day"], row["end_day"])}


def records_of(snapshot: Snapshot, days: Collection[date]) -> dict[date, int]:
    """How many records ended on each of some days."""
    if not days:
        return {}
    found = snapshot.select(
        "SELECT end_day, COUNT(*) AS records FROM usage_records WHERE end_day IN (SELECT day FROM dirty) GROUP BY end_day",
        days=(min(days), date.fromordinal(max(days).toordinal() + 1)),
        tables={"dirty": pa.table({"day": pa.array(sorted(days), pa.date32())})},
    )
    return {row["end_day"]: row["records"] for row in found.to_pylist()}


def _between(first: date, last: date) -> Iterable[date]:
    return map(date.fromordinal, range(first.toordinal(), last.toordinal() + 1))


def by_month(days: Collection[date]) -> dict[str, set[date]]:
    """Sort days by their month, as 2017-01."""
    found: defaultdict[str, set[date]] = defaultdict(set)
    for day in days:
        found[f"{day:%Y-%m}"].add(day)
    return dict(found)
