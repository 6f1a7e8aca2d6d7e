"""Says what changed since an edition, and why: the edition's rows, then one cause after the other, up to today's books.

Rows add up, so a cause is what its records bring: those that came late; those that were revised, with their new content less
the old. Both are read by the registry and the corrections of then. Only where today's corrections or registry are others
are there further causes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gridkeeper.editions import asof
from gridkeeper.editions.restatement import CAUSES, UNEXPLAINED, Amounts, Restatement, added, difference
from gridkeeper.editions.rows import levels_of
from gridkeeper.errors import UserMistake
from gridkeeper.queries.answering import rows_of
from gridkeeper.queries.ledger import totals
from gridkeeper.queries.usage import Scope, conditions_of, levels_for
from gridkeeper.summaries.changes import days_of
from gridkeeper.summaries.corrections.in_force import Corrections
from gridkeeper.summaries.making import Maker
from gridkeeper.summaries.sql import THOSE_THAT_END
from gridkeeper.summaries.tables import USAGE_DAILY_END

if TYPE_CHECKING:
    from gridkeeper.editions.restatement import Cells, Place
    from gridkeeper.editions.then import Then
    from gridkeeper.queries.periods import Period
    from gridkeeper.summaries.books import Books

_PLAIN = ", ".join(f"CAST(COALESCE(SUM({name}), 0) AS BIGINT) AS {name}" for name in Amounts._fields)
_LEVELS_LEFT = "SELECT resource FROM levels GROUP BY resource HAVING NOT BOOL_OR(is_batch)"


def restate(books: Books, then: Then) -> Restatement:
    """Say what today's books hold for the period of an edition, what it held then, and why they differ.

    Reads:   today's summary of the period; of the records those that came or were revised since.
    Returns: parts that add up exactly, by VO and site.
    Units:   whole seconds and jobs; CPU in microseconds, where it was measured.
    Raises:  UserMistake (permanent) where the records were made anew since; LakeUnavailable (retryable).
    """
    cells = _Cells(books, then.period)
    today, levels_today = cells.of_today(), levels_of(books)
    _must_be_the_same_records(books, then)
    maker = Maker(then.registry, then.corrections)
    same_topology = then.registry.revision == books.registry.revision
    same_corrections = then.corrections.revision == books.corrections.revision
    # Which level counts at a resource that the registry does not know follows from all its records; late ones may tell of another.
    levels = levels_today
    if not (same_topology and same_corrections):
        levels = pa.concat_tables([then.levels, asof.levels_since(books.snapshot, maker, then.load_seq)])
    late, late_records = asof.late_rows(books.snapshot, maker, then.period, then.load_seq)
    before, after, revised_records = asof.revised_rows(books.snapshot, maker, then.period, then.load_seq)

    stages: list[Cells] = [cells.of(then.rows, then.levels)]
    stages.append(added(cells.of(then.rows, levels), cells.of_days(late, levels)))
    stages.append(added(stages[-1], difference(cells.of_days(after, levels), cells.of_days(before, levels))))
    stages.append(
        stages[-1]
        if same_corrections
        else today
        if same_topology
        else _corrected(books, then, cells, levels, stages[-1])
    )
    stages.append(stages[-1] if same_topology else today)
    parts = {cause: difference(stages[place + 1], stages[place]) for place, cause in enumerate(CAUSES)}
    parts[UNEXPLAINED] = difference(today, stages[-1])
    ids_then, ids_now = (
        {rule.id: rule.content_hash for rule in one.corrections.rules} for one in (then, books)
    )
    return Restatement(
        stages[0], parts, today, late_records, revised_records, books.snapshot.load_seq(),
        tuple(name for name, said in ids_now.items() if ids_then.get(name) != said),
        tuple(name for name, said in ids_then.items() if ids_now.get(name) != said),
        topology_changed=not same_topology,
    )  # fmt: skip


def recount(books: Books, then: Then) -> dict[Place, Amounts]:
    """Count an edition's sums anew from the records, as they were known then; say what differs from its rows: nothing should.

    Raises: UserMistake (permanent) where the records were made anew since; LakeUnavailable (retryable).
    """
    _must_be_the_same_records(books, then)
    cells = _Cells(books, then.period)
    maker = Maker(then.registry, then.corrections)
    made = asof.rows_as_of(books.snapshot, maker, then.period, then.load_seq)
    estimates = cells.of_days(_estimated(maker, then.corrections), then.levels)
    return difference(added(cells.of_days(made, then.levels), estimates), cells.of(then.rows, then.levels))


class _Cells:
    """Adds rows up by VO and site: of the period, what counts in the federation's grid, as reports count."""

    def __init__(self, books: Books, period: Period) -> None:
        self._books = books
        self._parameters: dict[str, Any] = {}
        self._scope = Scope(period)
        conditions = conditions_of(books, self._scope, USAGE_DAILY_END.name, self._parameters)
        self._where = " AND ".join(conditions)

    def of_today(self) -> dict[Place, Amounts]:
        """Of today's books."""
        table, by = USAGE_DAILY_END.name, ("vo", "site")
        rows, months = rows_of(table, by, self._scope, f"{', '.join(by)} {totals()} {self._where}")
        found = self._books.select(
            f"SELECT vo, site, {totals()} FROM {rows} WHERE {self._where} GROUP BY vo, site",
            days=(self._scope.period.first, self._scope.period.until) if self._scope.period else None,
            tables=levels_for(self._books, self._scope, table), **self._parameters, **months,
        )  # fmt: skip
        return _by_place(found)

    def of(self, rows: pa.Table, levels: pa.Table) -> dict[Place, Amounts]:
        """Of an edition's rows."""
        return self._added(rows, levels, _PLAIN)

    def of_days(self, rows: pa.Table, levels: pa.Table) -> dict[Place, Amounts]:
        """Of rows of `usage_daily_end`."""
        return self._added(rows, levels, totals()) if len(rows) else {}

    def _added(self, rows: pa.Table, levels: pa.Table, sums: str) -> dict[Place, Amounts]:
        snapshot = self._books.snapshot
        payload_only = snapshot.select(_LEVELS_LEFT, tables={"levels": levels})
        found = snapshot.select(
            f"SELECT vo, site, {sums} FROM rows_of_days WHERE {self._where} GROUP BY vo, site",
            tables={"rows_of_days": rows, "payload_only": payload_only}, **self._parameters,
        )  # fmt: skip
        return _by_place(found)


def _by_place(found: pa.Table) -> dict[Place, Amounts]:
    cells = {
        (row["vo"], row["site"]): Amounts(*(row[name] or 0 for name in Amounts._fields))
        for row in found.to_pylist()
    }
    return {place: amounts for place, amounts in cells.items() if any(amounts)}


def _corrected(books: Books, then: Then, cells: _Cells, levels: pa.Table, before: Cells) -> Cells:
    """Today's corrections, by the registry of then: what they make of the days that the changed ones touch, and their estimates."""
    changed = Corrections(
        books.corrections.rules, {then.corrections.revision: then.corrections.rules}
    ).changed_since(then.corrections.revision)
    days = {
        day for day in days_of(books.snapshot, changed or ()) if then.period.first <= day < then.period.until
    }
    result: Cells = before
    for corrections, sign in ((then.corrections, -1), (books.corrections, 1)):
        maker = Maker(then.registry, corrections)
        made = [_estimated(maker, corrections)]
        if days:
            made.append(asof.rows_of_source(books.snapshot, maker, days, THOSE_THAT_END))
        for rows in made:
            found = cells.of_days(rows, levels)
            result = added(result, found if sign > 0 else difference({}, found))
    return result


def _estimated(maker: Maker, corrections: Corrections) -> pa.Table:
    rows = maker.estimated(USAGE_DAILY_END, corrections.estimates)
    return rows.select(USAGE_DAILY_END.layout.file_schema.names)


def _must_be_the_same_records(books: Books, then: Then) -> None:
    snapshot = books.snapshot
    if then.records_id != snapshot.handle("usage_records").table_id or snapshot.load_seq() < then.load_seq:
        raise UserMistake(
            f"the records were made anew since: append {then.load_seq} of then is none of today's, so that late records and revisions "
            "cannot be told apart; compare the edition's JSON with that of today's report"
        )
