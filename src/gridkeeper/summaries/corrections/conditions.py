"""What a record must say for a correction to fit it: one test a column, read from `match` and written as SQL.

Texts are compared without regard to case, as everywhere in the home's files. What a record does not say fits no test but `missing`.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from gridkeeper.records.columns import BYTES, DAY, FLAG, REAL, TEXT, TIME
from gridkeeper.records.usage import USAGE_RECORDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

MOST_VALUES = 10_000
# A partition of the lake, which stands in no file: the period says the same.
_NOT_MATCHED = frozenset({"month"})
TYPES: dict[str, pa.DataType] = {
    column.name: column.type for column in USAGE_RECORDS.columns if column.name not in _NOT_MATCHED
}
_BOUNDS = {"over": ">", "at_least": ">=", "under": "<", "at_most": "<="}
_WITHOUT_ORDER = (TEXT, FLAG, BYTES)
_HEX = re.compile(r"[0-9a-fA-F]+")


def read_match(match: Mapping[str, Any]) -> dict[str, Any]:
    """Read `match` into its plain form: column → value, list of values, or a mapping of bounds, `pattern` or `missing`.

    Raises: ValueError that names the column, what was expected and what to write.
    """
    return {column: _read_one(column, said) for column, said in match.items()}


def _read_one(column: str, said: Any) -> Any:
    if column not in TYPES:
        raise ValueError(
            f"usage_records has no column {column!r} that can be matched; docs/records.md names them"
        )
    if said is None:
        return {"missing": True}
    if isinstance(said, list):
        if not 1 <= len(said) <= MOST_VALUES:
            raise ValueError(f"{column} lists {len(said):,} values; write 1 to {MOST_VALUES:,}")
        return [_value(column, one) for one in said]
    if not isinstance(said, dict):
        return _value(column, said)
    if set(said) == {"missing"} and isinstance(said["missing"], bool):
        return said
    if set(said) == {"pattern"} and TYPES[column] == TEXT:
        return {"pattern": _value(column, said["pattern"])}
    if said and set(said) <= set(_BOUNDS) and TYPES[column] not in _WITHOUT_ORDER:
        return {name: _value(column, bound) for name, bound in said.items()}
    kinds = (
        "a value, a list of values, or one of {pattern: 'a*'}, {missing: true}"
        if TYPES[column] in _WITHOUT_ORDER
        else f"a value, a list of values, {{missing: true}}, or bounds: {', '.join(_BOUNDS)}"
    )
    raise ValueError(f"{column} says {said!r}; it takes {kinds}")


def _value(column: str, said: Any) -> Any:
    """One value in the form that JSON keeps. Raises: ValueError."""
    kind = TYPES[column]
    if kind == TEXT:
        if isinstance(said, str) and said and said.isprintable():
            return said
        raise ValueError(f'{column} is text, and {said!r} is none; write it in quotes, as "{said}"')
    if kind == BYTES:
        if isinstance(said, str) and _HEX.fullmatch(said):
            return said.lower()
        raise ValueError(f"{column} is written in hexadecimal digits, in quotes; {said!r} is not")
    if kind == FLAG:
        if isinstance(said, bool):
            return said
        raise ValueError(f"{column} is true or false; {said!r} is neither")
    if kind in (DAY, TIME):
        return _moment(column, said, whole_day=kind == DAY)
    if isinstance(said, bool) or not isinstance(said, int | float if kind == REAL else int):
        raise ValueError(f"{column} is a {'number' if kind == REAL else 'whole number'}; {said!r} is none")
    return said


def _moment(column: str, said: Any, *, whole_day: bool) -> str:
    try:
        moment = datetime.fromisoformat(said) if isinstance(said, str) else said
    except ValueError:
        moment = None
    if (
        whole_day
        and isinstance(moment, datetime)
        and isinstance(said, str)
        and len(said) == len("2017-01-31")
    ):
        moment = moment.date()
    if whole_day and isinstance(moment, date) and not isinstance(moment, datetime):
        return moment.isoformat()
    if not whole_day and isinstance(moment, date):
        if not isinstance(moment, datetime):
            moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        return moment.isoformat()
    wanted = "a day, as 2017-01-31" if whole_day else "a moment, as 2017-01-31T12:00:00Z"
    raise ValueError(f"{column} is {wanted}; {said!r} is not")


def condition(match: Mapping[str, Any]) -> str:
    """The SQL of a match that `read_match` read; TRUE where it has no tests. It may be NULL for what a record does not say."""
    return " AND ".join(_test(column, said) for column, said in match.items()) or "TRUE"


def _test(column: str, said: Any) -> str:
    name = _compared(column)
    if isinstance(said, list):
        return f"{name} IN ({', '.join(_literal(column, value) for value in said)})"
    if not isinstance(said, dict):
        return f"{name} = {_literal(column, said)}"
    if "missing" in said:
        return f"{column} IS {'' if said['missing'] else 'NOT '}NULL"
    if "pattern" in said:
        return f"{name} LIKE {quoted(_like(said['pattern'].lower()))} ESCAPE '!'"
    return " AND ".join(f"{name} {_BOUNDS[bound]} {_literal(column, value)}" for bound, value in said.items())


def _compared(column: str) -> str:
    kind = TYPES[column]
    return f"LOWER({column})" if kind == TEXT else f"LOWER(HEX({column}))" if kind == BYTES else column


def _literal(column: str, value: Any) -> str:
    kind = TYPES[column]
    if kind in (TEXT, BYTES):
        return quoted(value.lower())
    if kind == DAY:
        return f"DATE '{value}'"
    if kind == TIME:
        return f"CAST('{value}' AS TIMESTAMP WITH TIME ZONE)"
    return str(value).upper() if kind == FLAG else str(value)


def _like(pattern: str) -> str:
    """A shell pattern (`*` any letters, `?` one) as LIKE has it."""
    escaped = re.sub(r"([!%_])", r"!\1", pattern)
    return escaped.replace("*", "%").replace("?", "_")


def quoted(text: str) -> str:
    """A text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"
