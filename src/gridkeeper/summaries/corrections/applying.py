"""Applies rules to records on their way into a summary: the SQL that gives corrected columns in the place of those that records have.

Every rule looks at what a record said, never at what another rule made of it. A record that any rule excludes is out. Of several
rules that set one column, or scale one measure, of a record, the first counts: by file name, then by place in the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridkeeper.summaries.corrections.conditions import quoted
from gridkeeper.summaries.corrections.rules import SETTABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gridkeeper.summaries.corrections.rules import Rule

# A column that only corrected records have: where a correction says that the record belongs.
CORRECTED_RESOURCE = "corrected_resource"
_MEASURED = {"wall": ("wall_duration_s",), "cpu": ("cpu_user_us", "cpu_system_us")}


def of_records(rules: Iterable[Rule]) -> list[Rule]:
    """Those rules that change records; the others add estimates."""
    return [rule for rule in rules if rule.add is None]


def fits(rule: Rule) -> str:
    """Whether a rule fits a record: TRUE or FALSE, never NULL."""
    return f"COALESCE({rule.condition()}, FALSE)"


def excluded(rules: Iterable[Rule]) -> str | None:
    """Whether any of the rules excludes a record; None where none of them excludes anything."""
    return " OR ".join(fits(rule) for rule in rules if rule.exclude) or None


def corrected_columns(rules: Sequence[Rule]) -> dict[str, str]:
    """Column → the SQL of what it holds after these rules; only of columns that they change."""
    found: dict[str, str] = {}
    for column, source in SETTABLE.items():
        setting = [rule for rule in rules if rule.set is not None and rule.set.column == column]
        if not setting:
            continue
        if column == "resource":
            found[CORRECTED_RESOURCE] = _first_of(
                [(fits(rule), _set_to(rule, source)) for rule in setting], "NULL"
            )
            continue
        found[source] = _first_of([(fits(rule), _set_to(rule, source)) for rule in setting], source)
        any_of_them = " OR ".join(fits(rule) for rule in setting)
        if column == "vo":  # a record's FQAN would decide before its VO
            found["fqan"] = f"CASE WHEN {any_of_them} THEN NULL ELSE fqan END"
        if column == "processors":  # they are not filled in any more
            found["flags"] = f"CASE WHEN {any_of_them} THEN NULL ELSE flags END"
    for measure, columns in _MEASURED.items():
        scaling = [rule for rule in rules if rule.scale is not None and rule.scale.measure == measure]
        for column in columns if scaling else ():
            found[column] = _first_of([(fits(rule), _scaled(rule, column)) for rule in scaling], column)
    return found


def corrected(source: str, rules: Sequence[Rule], columns: Iterable[str]) -> str:
    """The statement of the records of `source` after these rules.

    columns: which columns it gives; CORRECTED_RESOURCE is one of them where a rule sets it.
    """
    made = corrected_columns(rules)
    chosen = [f"{made[column]} AS {column}" if column in made else column for column in sorted(columns)]
    out = excluded(rules)
    return f"SELECT {', '.join(chosen)} FROM ({source}) AS said{f' WHERE NOT ({out})' if out else ''}"


def _first_of(cases: Sequence[tuple[str, str]], otherwise: str) -> str:
    told = " ".join(f"WHEN {condition} THEN {value}" for condition, value in cases)
    return f"CASE {told} ELSE {otherwise} END"


def _set_to(rule: Rule, source: str) -> str:
    """What a rule sets its column to; of a map, for a record that it fits."""
    if rule.set is None:
        raise TypeError(f"{rule.id} sets nothing")
    value = rule.set.value
    if isinstance(value, str):
        return quoted(value)
    if not isinstance(value, dict):
        return f"CAST({value} AS INTEGER)"
    if source == "processors":
        return f"CASE processors {' '.join(f'WHEN {old} THEN CAST({new} AS INTEGER)' for old, new in value.items())} END"
    cases = " ".join(f"WHEN {quoted(old.lower())} THEN {quoted(new)}" for old, new in value.items())
    return f"CASE LOWER({source}) {cases} END"


def _scaled(rule: Rule, column: str) -> str:
    """A whole number times the exact ratio, rounded half up to a whole number."""
    if rule.scale is None:
        raise TypeError(f"{rule.id} scales nothing")
    above, below = rule.scale.ratio.numerator, rule.scale.ratio.denominator
    return f"CAST((CAST({column} AS HUGEINT) * {2 * above} + {below}) // {2 * below} AS BIGINT)"
