"""What another set of corrections would change: before and after, by VO, site and month."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from gridkeeper.queries.usage import Scope, conditions_of, payload_only

if TYPE_CHECKING:
    from gridkeeper.summaries.books import Books
    from gridkeeper.summaries.corrections.in_force import Corrections
    from gridkeeper.summaries.corrections.rules import Rule
    from gridkeeper.summaries.previewing import Overlap

_CHANGED = "changed"


@dataclass(frozen=True)
class Amounts:
    """Whole sums; divided by whoever shows them."""

    records: int = 0
    jobs: int = 0
    wall_seconds: int = 0
    core_seconds: int = 0
    cpu_us: int = 0

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    def __sub__(self, other: Amounts) -> Amounts:
        return Amounts(*(getattr(self, one.name) - getattr(other, one.name) for one in fields(self)))


@dataclass(frozen=True)
class Line:
    """What changes of one VO at one site in one month; None where nothing says which.

    project:   only where a correction sets projects, else None.
    estimated: whether it is of estimates, which no record tells of.
    """

    vo: str | None
    site: str | None
    month: str
    project: str | None
    estimated: bool
    before: Amounts
    after: Amounts

    @property
    def change(self) -> Amounts:
        """After less before."""
        return self.after - self.before


@dataclass(frozen=True)
class Preview:
    """What another set of corrections would change.

    lines:    by VO, site and month, only where something changes: counted as `usage` counts, at each resource's own level
              and in the federation's grid.
    before, after: of all records that the changed corrections fit, and of changed estimates.
    rules:    the changed corrections; records: how many each fits, by content hash.
    """

    lines: tuple[Line, ...]
    before: Amounts
    after: Amounts
    rules: tuple[Rule, ...]
    records: dict[str, int]
    overlaps: tuple[Overlap, ...]
    by_project: bool = field(default=False)


def preview(books: Books, corrections: Corrections) -> Preview:
    """Say what changes when `corrections` takes the place of those that the books were opened with; nothing is written.

    Reads:   `usage_records`, only those that a changed correction fits, and of them only what decides.
    Units:   whole seconds and microseconds; a job counts on the day it ended.
    Raises:  LakeUnavailable (retryable).
    """
    changes = books.changes_by(corrections)
    by_project = any(rule.set is not None and rule.set.column == "project" for rule in changes.rules)
    parameters: dict[str, Any] = {}
    conditions = " AND ".join(conditions_of(books, Scope(), _CHANGED, parameters))
    sums = ", ".join(
        f"CAST(SUM(CASE WHEN {'after' if side else 'NOT after'} THEN {one.name} ELSE 0 END) AS BIGINT) AS {one.name}_{side}"
        for side in (0, 1)
        for one in fields(Amounts)
    )
    project = "project" if by_project else "CAST(NULL AS VARCHAR)"
    needed = {_CHANGED: changes.rows, "payload_only": payload_only(books)}
    rows = books.select(
        f"""
        SELECT vo, site, STRFTIME(day, '%Y-%m') AS month, {project} AS project, estimated, {sums}
        FROM {_CHANGED} WHERE {conditions} GROUP BY 1, 2, 3, 4, 5
        ORDER BY month, vo NULLS LAST, site NULLS LAST, project NULLS LAST, estimated
        """,
        tables=needed,
        **parameters,
    ).to_pylist()
    lines = [
        Line(row["vo"], row["site"], row["month"], row["project"], row["estimated"], _amounts(row, 0), _amounts(row, 1)) for row in rows
    ]  # fmt: skip
    before, after = (sum((getattr(line, side) for line in lines), Amounts()) for side in ("before", "after"))
    return Preview(
        tuple(line for line in lines if line.change != Amounts()), before, after,
        changes.rules, changes.records, changes.overlaps, by_project,
    )  # fmt: skip


def _amounts(row: dict[str, Any], side: int) -> Amounts:
    return Amounts(*(row[f"{one.name}_{side}"] or 0 for one in fields(Amounts)))
