"""What an engine is: it answers one SQL statement over named lists of Parquet files and Arrow tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa


@dataclass(frozen=True)
class Source:
    """A named input of a question: Parquet files of one schema, or rows in memory, or a view over others.

    schema: what the rows have; needed where there are no files.
    """

    schema: pa.Schema | None = None
    files: Sequence[Path] = ()
    rows: pa.Table | None = None
    view: str | None = None


@dataclass(frozen=True)
class Question:
    """One statement in the portable subset (docs/portable-sql.md), its inputs and parameters ($name)."""

    sql: str
    sources: Mapping[str, Source]
    parameters: Mapping[str, Any] = field(default_factory=dict)


class Engine(Protocol):
    """Answers questions. Sessions run in UTC."""

    name: str

    def answer(self, question: Question) -> pa.Table:
        """Run one statement.

        Raises: LakeDamaged (permanent) when a file is missing or damaged; LakeUnavailable (retryable) when files
        cannot be read now; UserMistake (permanent) when the statement is wrong.
        """
