"""Prints answers: tables that line up for people, CSV, JSON and Parquet for machines."""

from __future__ import annotations

import csv
import io
import sys
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import orjson
from rich.console import Console

from gridkeeper.cli.layout import Column, printed
from gridkeeper.errors import UserMistake

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa
    from rich.text import Text

console = Console()
complaints = Console(stderr=True)


class Shape(StrEnum):
    """How an answer is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def plain(value: Any) -> Any:
    """A value as JSON and CSV have it: days and times in ISO 8601, bytes as hex, numbers unrounded."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else value


def as_json(value: object) -> str:
    """JSON text, indented, unrounded."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2, default=_default).decode()


def _default(value: Any) -> Any:
    if hasattr(value, "as_tuple"):  # Decimal: a sum beyond 64 bits
        return int(value) if value == value.to_integral_value() else float(value)
    return plain(value)


def as_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """CSV text with a header; an unknown value is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(
        [["" if row[column] is None else plain(row[column]) for column in columns] for row in rows]
    )
    return text.getvalue()


def print_rows(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    shape: Shape,
    where: Path | None = None,
    *,
    schema: pa.Schema | None = None,
    free: Collection[str] = (),
    exact: bool = False,
) -> None:
    """Print an answer, or write it to the file `where`.

    schema: the types of Parquet's columns, the same whatever the rows hold; else they are taken from the rows.
    free:   columns of free text, which a narrow terminal may fold; nothing else is ever folded or cut.
    exact:  print fractions as they are in tables, too, not rounded for reading.
    Raises: UserMistake (permanent) where the file cannot be written.
    """
    if shape is Shape.PARQUET:
        _put(as_parquet(rows, columns, schema), where)
    elif shape is Shape.JSON:
        found = [{key: plain(value) for key, value in row.items()} for row in rows]
        _put((as_json(found) + "\n").encode(), where)
    elif shape is Shape.CSV:
        _put(as_csv(rows, columns).encode(), where)
    elif where is not None:
        text = io.StringIO()
        _table(Console(file=text), rows, columns, schema, free, exact=exact)
        save(text.getvalue().encode(), where)
    else:
        _table(console, rows, columns, schema, free, exact=exact)


def as_parquet(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], schema: pa.Schema | None = None
) -> bytes:
    """Parquet of `schema`, or of the types that the rows have."""
    import pyarrow as pa  # takes long, and whoever prints a sentence or a table of text needs none of it
    import pyarrow.parquet as pq

    if schema is not None:
        table = pa.Table.from_pylist([dict(row) for row in rows], schema)
    elif rows:
        table = pa.Table.from_pylist([dict(row) for row in rows])
    else:
        table = pa.table({column: pa.nulls(0) for column in columns})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def save(data: bytes, where: Path) -> None:
    """Write a file, and its folder where there is none. Raises: UserMistake (permanent) that says what stands in the way."""
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_bytes(data)
    except OSError as error:
        raise UserMistake(f"{where} cannot be written: {error.strerror}") from error


def _put(data: bytes, where: Path | None) -> None:
    if where is not None:
        save(data, where)
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()


def _table(
    target: Console,
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    schema: pa.Schema | None,
    free: Collection[str],
    *,
    exact: bool,
) -> None:
    numbers = {
        column
        for column in columns
        if (schema is not None and _counts(schema.field(column).type))
        or any(_is_number(row[column]) for row in rows)
    }
    heads = [Column(column, column in numbers, column in free) for column in columns]
    printed(target, heads, [[_cell(row[column], column, exact=exact) for column in columns] for row in rows])


def print_table(heads: Sequence[Column], rows: Sequence[Sequence[str | Text]]) -> None:
    """Print rows of cells that are made already on standard output."""
    printed(console, heads, rows)


def _counts(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _cell(value: Any, column: str, *, exact: bool) -> str:
    if value is None:
        return "–"
    if isinstance(value, float) and not exact:
        places = 3 if column.startswith("efficiency") or column.endswith(("share", "ratio")) else 1
        # What is not 0 is not printed as 0.
        least = 10.0**-places
        return f"<{least:.{places}f}" if 0 < value < least / 2 else f"{value:,.{places}f}"
    # A whole number of a table that is shown as it is may be a hash or an exit code: it is written as one.
    if _is_number(value) and column != "processors" and not (exact and isinstance(value, int)):
        return f"{value:,}"
    return str(plain(value))
