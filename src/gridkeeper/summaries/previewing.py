"""What another set of corrections would make of the records that it changes: before and after, in one reading, and nothing written.

Only records that a changed correction fits are read, and of them only the columns that decide. They are added up by the words
that they are mapped by, before and after; each distinct combination is then mapped once for each side.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gridkeeper.records.columns import DAY, FLAG, TEXT, WHOLE
from gridkeeper.summaries.corrections.applying import corrected_columns, excluded, fits, of_records
from gridkeeper.summaries.corrections.estimates import ESTIMATED
from gridkeeper.summaries.tables import PLACE, USAGE_DAILY_USERS, WHOSE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import date

    from gridkeeper.federation.mapping import Meaning
    from gridkeeper.lake.lake import Snapshot
    from gridkeeper.summaries.corrections.in_force import Corrections
    from gridkeeper.summaries.corrections.rules import Rule
    from gridkeeper.summaries.making import Maker

_MEASURES = ("records", "jobs", "wall_seconds", "core_seconds", "cpu_us")
# One row a day (or month, `day` being its first, where every day counts alike), place, VO, project and level; `after` says which side it is of.
SCHEMA = pa.schema(
    [
        ("after", FLAG), (ESTIMATED, FLAG), ("day", DAY), *PLACE.items(), *WHOSE.items(), ("project", TEXT),
        *((measure, WHOLE) for measure in _MEASURES),
    ]
)  # fmt: skip
_RULES_OF_A_NUMBER = 60
_PROJECT = "project_reported"
_FIRST_OF_MONTH = "CAST(end_day - CAST(EXTRACT(DAY FROM end_day) - 1 AS INTEGER) AS DATE)"


@dataclass(frozen=True)
class Overlap:
    """Two corrections that fit the same records, in the order in which they count."""

    first: Rule
    second: Rule
    records: int

    @property
    def effect(self) -> str:
        """What becomes of these records."""
        for one, other in ((self.first, self.second), (self.second, self.first)):
            if one.exclude:
                return f"{one.id} excludes them, so that {other.id} does nothing to them"
        if self.first.changes == self.second.changes:
            return f"both change {self.first.changes}; {self.first.id} comes first and counts"
        return f"both are done: one changes {self.first.changes}, the other {self.second.changes}"


@dataclass(frozen=True)
class Changes:
    """What changes between two sets of corrections.

    rows:     of SCHEMA, both sides of the records that any changed correction fits, and of the changed estimates.
    rules:    the changed corrections, in their order; records: how many of them each fits, by content hash.
    overlaps: of a changed correction with any other of the set after.
    """

    rows: pa.Table
    rules: tuple[Rule, ...]
    records: dict[str, int]
    overlaps: tuple[Overlap, ...]


def changes_between(
    snapshot: Snapshot, makers: tuple[Maker, Maker], before: Corrections, after: Corrections
) -> Changes:
    """Say what becomes of records and estimates when `after` takes the place of `before`.

    makers: of both sets, for one registry.
    Raises: LakeUnavailable (retryable).
    """
    ours, theirs = {rule.content_hash for rule in after.rules}, {rule.content_hash for rule in before.rules}
    changed = [
        rule
        for rule in (*after.rules, *before.rules)
        if (rule.content_hash in ours) != (rule.content_hash in theirs)
    ]
    rows: list[pa.Table] = [SCHEMA.empty_table()]
    records: Counter[str] = Counter()
    together: Counter[tuple[str, str]] = Counter()
    looked_at = [
        *of_records(after.rules),
        *(rule for rule in of_records(changed) if rule.content_hash not in ours),
    ]
    if read := of_records(changed):
        first, until = min(rule.period.first for rule in read), max(rule.period.until for rule in read)
        looked_at = [rule for rule in looked_at if rule.period.meets(first, until)]
        sides = [
            [rule for rule in of_records(each.rules) if rule.period.meets(first, until)]
            for each in (before, after)
        ]
        sql, words = _statement(
            read,
            sides,
            looked_at,
            makers[0].deciding,
            by_project=_sets_projects(read),
            by_month=makers[0].counts_every_day_alike,
        )
        found = snapshot.select(sql, days=(first, until))
        for fitting, count in _fitting(found, looked_at):
            records.update(dict.fromkeys(fitting, count))
            together.update(dict.fromkeys(combinations(fitting, 2), count))
        rows += [_side(found, words[side], makers[side], side) for side in (0, 1)]
    named = {rule.content_hash: rule for rule in looked_at}
    overlaps = [
        Overlap(named[one], named[other], count) for (one, other), count in together.items() if {one, other} <= ours
    ]  # fmt: skip
    estimates = [
        _estimated(maker, [rule for rule in changed if rule.add and rule.content_hash in side], is_after)
        for maker, side, is_after in ((makers[0], theirs, False), (makers[1], ours, True))
    ]
    table = pa.concat_tables([*rows, *estimates])
    return Changes(
        table,
        tuple(changed),
        dict(records),
        tuple(sorted(overlaps, key=lambda one: (one.first.id, one.second.id))),
    )


def _sets_projects(rules: Iterable[Rule]) -> bool:
    return any(rule.set is not None and rule.set.column == "project" for rule in rules)


def _statement(
    read: Sequence[Rule],
    sides: Sequence[Sequence[Rule]],
    looked_at: Sequence[Rule],
    deciding: Collection[str],
    *,
    by_project: bool,
    by_month: bool,
) -> tuple[str, list[dict[str, str]]]:
    """The statement that adds records up by what they are mapped by on each side; and word → its column there, for each side."""
    made = [corrected_columns(rules) for rules in sides]
    wanted = sorted({*(word for word in deciding if word != _PROJECT or by_project), *(made[0].keys() & {"corrected_resource"}), *(made[1].keys() & {"corrected_resource"})})  # fmt: skip
    chosen: dict[str, str] = {}  # expression → its name
    words: list[dict[str, str]] = [{}, {}]
    for side, columns in enumerate(made):
        for word in wanted:
            expression = columns.get(word, "NULL" if word == "corrected_resource" else word)
            words[side][word] = chosen.setdefault(expression, f"word_{len(chosen)}")
    keys = [f"{expression} AS {name}" for expression, name in chosen.items()]
    for begin in range(0, len(looked_at), _RULES_OF_A_NUMBER):
        bits = [f"CASE WHEN {fits(rule)} THEN CAST({1 << bit} AS BIGINT) ELSE 0 END" for bit, rule in enumerate(looked_at[begin : begin + _RULES_OF_A_NUMBER])]  # fmt: skip
        keys.append(f"{' + '.join(bits)} AS fitting_{begin // _RULES_OF_A_NUMBER}")
    sums = []
    for side, (rules, columns) in enumerate(zip(sides, made, strict=True)):
        out = excluded(rules)
        kept = f"CASE WHEN {out} THEN 0 ELSE 1 END" if out else "1"
        wall, processors = (columns.get(name, name) for name in ("wall_duration_s", "processors"))
        cpu = " + ".join(
            f"COALESCE({columns.get(name, name)}, 0)" for name in ("cpu_user_us", "cpu_system_us")
        )
        keys.append(
            f"{kept} AS kept_{side}, {wall} AS wall_{side}, {processors} AS processors_{side}, {cpu} AS cpu_{side}"
        )
        sums.append(
            f"CAST(SUM(kept_{side}) AS BIGINT) AS records_{side}, CAST(SUM(kept_{side} * njobs) AS BIGINT) AS jobs_{side}, "
            f"CAST(SUM(kept_{side} * wall_{side}) AS BIGINT) AS wall_seconds_{side}, "
            f"CAST(SUM(kept_{side} * wall_{side} * processors_{side}) AS BIGINT) AS core_seconds_{side}, "
            f"CAST(SUM(kept_{side} * cpu_{side}) AS BIGINT) AS cpu_us_{side}"
        )
    inner = f"SELECT {_FIRST_OF_MONTH if by_month else 'end_day'} AS day, njobs, {', '.join(keys)} FROM usage_records WHERE {' OR '.join(fits(rule) for rule in read)}"
    groups = [
        "day",
        *chosen.values(),
        *(f"fitting_{number}" for number in range(-(-len(looked_at) // _RULES_OF_A_NUMBER))),
    ]
    return (
        f"SELECT {', '.join(groups)}, COUNT(*) AS records, {', '.join(sums)} FROM ({inner}) AS fitting GROUP BY {', '.join(groups)}",
        words,
    )


def _fitting(found: pa.Table, looked_at: Sequence[Rule]) -> Iterable[tuple[list[str], int]]:
    """Which rules together fit how many records; by content hash, in their order."""
    counts: Counter[tuple[int, ...]] = Counter()
    numbers = [found[name].to_pylist() for name in found.column_names if name.startswith("fitting_")]
    for count, *fitting in zip(found["records"].to_pylist(), *numbers, strict=True):
        counts[tuple(fitting)] += count
    for told, count in counts.items():
        names = [
            rule.content_hash
            for number, rule in enumerate(looked_at)
            if told[number // _RULES_OF_A_NUMBER] >> number % _RULES_OF_A_NUMBER & 1
        ]
        yield names, count


def _side(found: pa.Table, words: Mapping[str, str], maker: Maker, side: int) -> pa.Table:
    """The rows of one side, mapped: each distinct combination of words once, and whether it counts once a day."""
    meanings: dict[tuple[Any, ...], tuple[int, Meaning]] = {}
    counting: dict[tuple[int, date], bool | None] = {}
    places, counted = [], []
    told = [found[name].to_pylist() for name in words.values()]
    for day, *combination in zip(found["day"].to_pylist(), *told, strict=True):
        key = (maker.as_of(day), *combination)
        if key not in meanings:
            said = dict(zip(words, combination, strict=True))
            meanings[key] = len(meanings), maker.known_meaning(said, day)
        place, meaning = meanings[key]
        if (place, day) not in counting:
            counting[place, day] = maker.is_counted(meaning, day)
        places.append(place)
        counted.append(counting[place, day])
    made = {
        "after": pa.repeat(bool(side), len(found)),
        ESTIMATED: pa.repeat(False, len(found)),
        "day": found["day"],
        "counted": pa.array(counted, FLAG),
    } | {measure: found[f"{measure}_{side}"] for measure in _MEASURES}
    for field in SCHEMA:
        if field.name not in made:
            values = pa.array([getattr(meaning, field.name) for _, meaning in meanings.values()], field.type)
            made[field.name] = values.take(pa.array(places, pa.int32()))
    return pa.table({field.name: made[field.name] for field in SCHEMA}, schema=SCHEMA)


def _estimated(maker: Maker, rules: Sequence[Rule], is_after: bool) -> pa.Table:
    rows = maker.estimated(USAGE_DAILY_USERS, rules)
    columns = {
        field.name: pa.repeat(is_after, len(rows))
        if field.name == "after"
        else rows[field.name].cast(field.type)
        for field in SCHEMA
    }
    return pa.table(columns, schema=SCHEMA)
