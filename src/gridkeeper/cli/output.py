"""Prints answers: tables that line up for people, CSV, JSON and Parquet for machines."""

from __future__ import annotations

import csv
import io
import sys
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

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
    title: str | None = None,
) -> None:
    """Print an answer, or write it to the file `where` (Parquet needs one, or a pipe)."""
    if shape is Shape.PARQUET:
        table = (
            pa.Table.from_pylist([dict(row) for row in rows])
            if rows
            else pa.table({column: pa.nulls(0) for column in columns})
        )
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        _put(buffer.getvalue(), where)
    elif shape is Shape.JSON:
        _put(
            (as_json([{key: plain(value) for key, value in row.items()} for row in rows]) + "\n").encode(),
            where,
        )
    elif shape is Shape.CSV:
        _put(as_csv(rows, columns).encode(), where)
    elif where is not None:
        with where.open("w", encoding="utf-8") as stream:
            _table(Console(file=stream, width=200), rows, columns, title)
    else:
        _table(console, rows, columns, title)


def _put(data: bytes, where: Path | None) -> None:
    if where is not None:
        where.write_bytes(data)
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()


def _table(
    target: Console, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], title: str | None
) -> None:
    table = Table(
        title=title, title_justify="left", header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    numeric = {
        column
        for column in columns
        if any(isinstance(row[column], int | float) and not isinstance(row[column], bool) for row in rows)
    }
    for column in columns:
        table.add_column(
            column,
            justify="right" if column in numeric else "left",
            no_wrap=column in numeric,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(_cell(row[column], column) for column in columns))
    target.print(table)


def _cell(value: Any, column: str) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return (
            f"{value:.3f}"
            if column.startswith("efficiency") or column.endswith(("share", "ratio"))
            else f"{value:,.1f}"
        )
    if isinstance(value, int) and not isinstance(value, bool) and column not in ("processors",):
        return f"{value:,}"
    return str(plain(value))
