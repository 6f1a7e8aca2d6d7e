"""Answers as files: CSV, JSON, Parquet and XLSX, numbers unrounded, with where they come from."""

from __future__ import annotations

import csv
import io
import json
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from gridkeeper.queries.measures import MEASURES
from gridkeeper.units import hours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridkeeper.queries.usage import Usage

FORMATS = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
# What a spreadsheet would take for a formula; names come from strangers' records.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def written(kind: str, found: Usage, rows: Sequence[dict[str, Any]]) -> tuple[bytes, str]:
    """An answer in one of FORMATS, and its media type."""
    make = {"csv": _csv, "json": _json, "parquet": _parquet, "xlsx": _xlsx}[kind]
    return make(found, rows), FORMATS[kind]


def _csv(found: Usage, rows: Sequence[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\r\n")
    write.writerow(found.schema.names)
    write.writerows([harmless(row[name]) for name in found.schema.names] for row in rows)
    return text.getvalue().encode("utf-8")


def harmless(value: Any) -> Any:
    """A cell of CSV that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _json(found: Usage, rows: Sequence[dict[str, Any]]) -> bytes:
    return json.dumps(rows, default=str, ensure_ascii=False).encode()


def _parquet(found: Usage, rows: Sequence[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    told = {b"gridkeeper": json.dumps(about(found)).encode()}
    pq.write_table(pa.Table.from_pylist(list(rows), found.schema).replace_schema_metadata(told), buffer)
    return buffer.getvalue()


def about(found: Usage) -> dict[str, Any]:
    """Where an answer comes from."""
    scope = found.scope
    period = scope.period
    return {
        "table": found.table,
        "versions": found.versions,
        "sql": found.sql,
        "first": period.first.isoformat() if period else None,
        "until": period.until.isoformat() if period else None,
        "where": [f"{name}={value}" for name, value in scope.where],
        "count_level": scope.count_level or "each resource's own",
        "grid": scope.grid or "the federation's",
        "attribution": scope.attribution,
        "source": scope.source,
        **found.influence.as_json(),
        "factors": [
            {
                "kind": share.kind,
                "core_hours": hours(share.core_seconds),
                "default_core_hours": hours(share.of_default),
                "no_factor_core_hours": hours(share.without),
            }
            for share in found.factors
        ],
    }


def _xlsx(found: Usage, rows: Sequence[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    workbook = import_module("xlsxwriter").Workbook(
        buffer, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    head, dated = (
        workbook.add_format({"bold": True, "bottom": 1, "text_wrap": True}),
        workbook.add_format({"num_format": "yyyy-mm-dd"}),
    )
    sheet = workbook.add_worksheet("Usage")
    for column, name in enumerate(found.schema.names):
        measure = MEASURES.get(name)
        sheet.write_string(
            0,
            column,
            f"{name} ({measure.unit})" if measure and measure.unit not in (name, "ratio") else name,
            head,
        )
        style = workbook.add_format({"num_format": _number_format(name)}) if measure else None
        sheet.set_column(column, column, 16 if measure else 22, style)
        for place, row in enumerate(rows, 1):
            value = row[name]
            if value is None:
                continue
            if measure is not None or isinstance(value, int | float):
                sheet.write_number(place, column, value)
            elif hasattr(value, "isoformat"):
                sheet.write_datetime(place, column, value, dated)
            else:
                sheet.write_string(place, column, str(value))
    sheet.freeze_panes(1, len([name for name in found.schema.names if name not in MEASURES]))
    if rows:
        sheet.autofilter(0, 0, len(rows), len(found.schema.names) - 1)
    told = workbook.add_worksheet("About")
    told.set_column(0, 0, 16)
    told.set_column(1, 1, 100)
    for place, (name, value) in enumerate(about(found).items()):
        told.write_string(place, 0, name, head)
        told.write_string(place, 1, value if isinstance(value, str) else json.dumps(value))
    workbook.close()
    return buffer.getvalue()


def _number_format(name: str) -> str:
    measure = MEASURES[name]
    if measure.unit == "ratio":
        return "0.0%"
    return "#,##0" if measure.places == 0 else f"#,##0.{'0' * measure.places}"
