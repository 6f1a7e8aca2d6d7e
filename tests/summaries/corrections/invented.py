"""Invented corrections and jobs, and what summaries say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gridkeeper.summaries.corrections.in_force import Corrections
from gridkeeper.summaries.corrections.rules import Rule
from gridkeeper.summaries.tables import SUMMARIES

if TYPE_CHECKING:
    from gridkeeper.lake.lake import Lake
    from gridkeeper.summaries.books import Books

JANUARY = "2017-01"


def rule(name: str = "a", period: Any = JANUARY, **act: Any) -> Rule:
    """A correction of January that alice asks for."""
    said = {"id": name, "reason": "invented", "author": "alice", "ticket": "GGUS-1", "period": period}
    return Rule.model_validate(said | act)


def having(*rules: Rule, before: Corrections | None = None) -> Corrections:
    """These in force, after another set."""
    earlier = {} if before is None else {**before.earlier, before.revision: before.rules}
    return Corrections(rules, earlier)


def summed(lake: Lake) -> dict[str, list[str]]:
    """What each summary of the lake holds, one row a key."""
    found = {}
    for name, summary in SUMMARIES.items():
        keys = ", ".join(summary.keys)
        sums = ", ".join(f"CAST(SUM({one}) AS BIGINT) AS {one}" for one in summary.measures)
        nothing = " AND ".join(f"SUM({one}) = 0" for one in summary.measures)
        sql = f"SELECT {keys}, {sums} FROM {name} GROUP BY ALL HAVING NOT ({nothing})"
        found[name] = sorted(map(str, lake.snapshot().select(sql).to_pylist()))
    return found


def by(books: Books, *keys: str, table: str = "usage_daily_end") -> dict[Any, tuple[int, int, int]]:
    """Jobs, wall seconds and core seconds by some keys of a summary."""
    named = ", ".join(keys)
    sums = ", ".join(
        f"CAST(SUM({one}) AS BIGINT) AS {one}" for one in ("jobs", "wall_seconds", "core_seconds")
    )
    rows = books.select(f"SELECT {named}, {sums} FROM {table} GROUP BY ALL").to_pylist()
    return {
        row[keys[0]] if len(keys) == 1 else tuple(row[key] for key in keys): (row["jobs"], row["wall_seconds"], row["core_seconds"])
        for row in rows
    }  # fmt: skip
