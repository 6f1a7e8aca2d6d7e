"""Which corrections in force touch an answer, and how much of it they estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gridkeeper.summaries.corrections.estimates import ESTIMATED
from gridkeeper.summaries.tables import SUMMARIES
from gridkeeper.units import hours

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from gridkeeper.queries.periods import Period
    from gridkeeper.summaries.books import Books
    from gridkeeper.summaries.corrections.rules import Rule


@dataclass(frozen=True)
class Estimated:
    """What of an answer no record tells of: of one VO at one site. Whole sums."""

    vo: str | None
    site: str | None
    jobs: int
    wall_seconds: int
    core_seconds: int

    @property
    def sentence(self) -> str:
        """`cms at Purdue: 72.0 core hours, 12.0 wall hours, 6 jobs`."""
        return f"{self.vo} at {self.site}: {self.core_seconds / 3600:,.1f} core hours, {self.wall_seconds / 3600:,.1f} wall hours, {self.jobs:,} jobs"


@dataclass(frozen=True)
class Influence:
    """The corrections in force that have a day in common with an answer, in their order, and what of it they estimate."""

    rules: tuple[Rule, ...] = ()
    estimated: tuple[Estimated, ...] = ()

    @property
    def corrections(self) -> str:
        """The corrections in words; nothing where none touches the answer."""
        return "; ".join(told(rule) for rule in self.rules)

    @property
    def estimates(self) -> str:
        """The estimated amounts in words; nothing where nothing is estimated."""
        return "; ".join(one.sentence for one in self.estimated)

    def as_json(self) -> dict[str, Any]:
        """Both, as JSON has them."""
        return {
            "corrections": [
                {
                    "id": rule.id, "act": rule.act, "changes": rule.changes, "first": rule.period.first.isoformat(), "until": rule.period.until.isoformat(),
                    "reason": rule.reason, "ticket": rule.ticket, "content_hash": rule.content_hash,
                }
                for rule in self.rules
            ],
            "estimated": [
                {"vo": one.vo, "site": one.site, "jobs": one.jobs, "wall_hours": hours(one.wall_seconds), "core_hours": hours(one.core_seconds)}
                for one in self.estimated
            ],
        }  # fmt: skip


NO_INFLUENCE = Influence()


def told(rule: Rule) -> str:
    """A correction in a few words: `nebraska-cores (set processors, 2017-01-01 to 2017-01-31, GGUS-1)`."""
    what = "add an estimate" if rule.add else "exclude" if rule.exclude else f"{rule.act} {rule.changes}"
    if rule.scale is not None:
        what += f" by {rule.scale.ratio}"
    return f"{rule.id} ({what}, {rule.period}, {rule.ticket})"


def influence(
    books: Books,
    table: str,
    period: Period | None,
    conditions: str,
    tables: Mapping[str, pa.Table],
    parameters: Mapping[str, Any],
) -> Influence:
    """Say which corrections touch an answer from `table`, and how much they estimate of it.

    period:     of the answer; None: all time. conditions: its WHERE, with its tables and parameters.
    Reads:      `table`, only where an estimate is in force. What others reported is not corrected.
    Raises:     LakeUnavailable (retryable).
    """
    if table not in SUMMARIES:
        return NO_INFLUENCE
    days = (None, None) if period is None else (period.first, period.until)
    rules = tuple(books.corrections.touching(*days))
    if SUMMARIES[table].transfers or not any(rule.add is not None for rule in rules):
        return Influence(rules)
    jobs = "jobs" if "jobs" in SUMMARIES[table].measures else "0"
    rows = books.select(
        f"""
        SELECT vo, site, CAST(SUM({jobs}) AS BIGINT) AS jobs, CAST(SUM(wall_seconds) AS BIGINT) AS wall_seconds,
               CAST(SUM(core_seconds) AS BIGINT) AS core_seconds
        FROM {table} WHERE {ESTIMATED} AND {conditions} GROUP BY vo, site ORDER BY vo, site
        """,
        days=days,
        tables=tables,
        **parameters,
    )
    return Influence(rules, tuple(Estimated(*row.values()) for row in rows.to_pylist()))
