"""What the books were when an edition was made, as far as sums need it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from pydantic import ValidationError

from gridkeeper.editions import corrected, rows
from gridkeeper.editions.edition import CORRECTIONS, LEVELS, REGISTRY, ROWS, EditionDamaged
from gridkeeper.federation.model import Registry

if TYPE_CHECKING:
    from gridkeeper.editions.storing import Stored
    from gridkeeper.queries.periods import Period
    from gridkeeper.summaries.books import Books
    from gridkeeper.summaries.corrections.in_force import Corrections


@dataclass(frozen=True)
class Then:
    """The books of then.

    load_seq:   the last append of records that they knew of; records_id: see Edition.
    rows:       see rows.rows_of. levels: see rows.levels_of.
    """

    period: Period
    load_seq: int
    records_id: str
    registry: Registry
    corrections: Corrections
    rows: pa.Table
    levels: pa.Table


def then_of(stored: Stored) -> Then:
    """What an edition was made of. Raises: EditionDamaged (permanent) where this version cannot read it."""
    edition, files = stored.edition, stored.files
    try:
        return Then(
            edition.period, edition.load_seq, edition.records_id, Registry.model_validate_json(files[REGISTRY]),
            corrected.read(files[CORRECTIONS]), rows.from_parquet(files[ROWS]), rows.from_parquet(files[LEVELS]),
        )  # fmt: skip
    except (ValidationError, ValueError, KeyError, pa.ArrowException) as error:
        raise EditionDamaged(
            f"edition {edition.number} was made by Gridkeeper {edition.program}, and what it was made of cannot be read by this one; "
            "restate it with that version"
        ) from error


def now_of(books: Books, period: Period) -> Then:
    """The same of today's books. Raises: LakeUnavailable (retryable)."""
    found, levels = rows.rows_of(books, period, "jobs"), rows.levels_of(books)
    snapshot = books.snapshot  # last, for a question may have had the summaries made anew
    return Then(
        period, snapshot.load_seq(), snapshot.handle("usage_records").table_id, books.registry, books.corrections, found, levels
    )  # fmt: skip
