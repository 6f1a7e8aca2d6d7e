"""The portable SQL subset: every engine gives the same answers to the same questions, kept as text."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot

from gridkeeper.lake.engines.contract import Engine, Question, Source
from gridkeeper.lake.engines.duckdb import DuckDB
from gridkeeper.summaries.tables import SUMMARIES

CASES = sorted((Path(__file__).parent / "conformance").glob("*.txt"))
ENGINES: dict[str, Engine] = {"duckdb": DuckDB(threads=1)}
TYPES = {
    "int64": pa.int64(),
    "text": pa.string(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "double": pa.float64(),
}


def read(path: Path) -> tuple[dict[str, pa.Table], str, list[str]]:
    """Data, question and answer of a case."""
    tables: dict[str, pa.Table] = {}
    text = path.read_text(encoding="utf-8").split("\n", 1)[1]
    data, _, rest = text.partition("question\n")
    question, _, answer = rest.partition("answer\n")
    for part in data.split("table ")[1:]:
        name, header, *lines = part.strip().split("\n")
        columns = [column.strip().split(": ") for column in header.split("|")]
        values = [[cell.strip() for cell in line.split("|")] for line in lines]
        fields = {
            column: pa.array([_value(row[index], kind) for row in values], TYPES[kind])
            for index, (column, kind) in enumerate(columns)
        }
        tables[name.strip()] = pa.table(fields)
    return tables, question, [line.strip() for line in answer.strip().split("\n")]


def _value(text: str, kind: str) -> Any:
    if text == "null":
        return None
    if kind == "timestamp":
        return datetime.fromisoformat(text).astimezone(UTC)
    return int(text) if kind == "int64" else float(text) if kind == "double" else text


def _said(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, Decimal):
        raise AssertionError("a decimal got out of a question; cast its sums")
    return value.isoformat() if isinstance(value, date) else str(value)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("stored", ["in files", "in memory"])
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_an_engine_answers_as_the_case_says(engine: str, stored: str, path: Path, tmp_path: Path) -> None:
    tables, question, answer = read(path)
    sources = {}
    for name, rows in tables.items():
        pq.write_table(rows, tmp_path / f"{name}.parquet")
        sources[name] = (
            Source(files=[tmp_path / f"{name}.parquet"]) if stored == "in files" else Source(rows=rows)
        )
    found = ENGINES[engine].answer(Question(question, sources))
    lines = [
        " | ".join(found.column_names),
        *(" | ".join(map(_said, row.values())) for row in found.to_pylist()),
    ]
    assert lines == answer


@pytest.mark.parametrize("name", SUMMARIES)
def test_the_statements_of_a_summary_can_be_written_for_spark(name: str) -> None:
    for statement in (SUMMARIES[name].numbering, SUMMARIES[name].adding):
        assert sqlglot.transpile(
            statement, read="duckdb", write="spark", unsupported_level=sqlglot.ErrorLevel.RAISE
        )
