"""Two books of the same days side by side: per site and VO, what agrees, what does not, what is missing."""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from gridkeeper.queries.grids import in_words
from gridkeeper.queries.influence import NO_INFLUENCE, Influence
from gridkeeper.queries.site_vo import NO_SITE, UNMAPPED, summary_of
from gridkeeper.queries.usage import Scope, conditions_of, influence_in, payload_only
from gridkeeper.units import MICROSECONDS_PER_HOUR, SECONDS_PER_HOUR

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gridkeeper.queries.periods import Period
    from gridkeeper.queries.usage import UsageSource
    from gridkeeper.summaries.books import Books


@dataclass(frozen=True)
class Compared:
    """A measure that two books are compared by: the field of Amount, the divisor that makes its unit, its names."""

    field: str
    divisor: int
    name: str
    unit: str


MEASURES = (
    Compared("jobs", 1, "jobs", "jobs"),
    Compared("wall_seconds", SECONDS_PER_HOUR, "wall_hours", "wall hours"),
    Compared("core_seconds", SECONDS_PER_HOUR, "core_hours", "core hours"),
    Compared("cpu_us", MICROSECONDS_PER_HOUR, "cpu_hours", "CPU hours"),
    Compared("normalised_cpu_s", SECONDS_PER_HOUR, "normalised_cpu_hours", "normalised CPU hours"),
)


@dataclass(frozen=True)
class Amount:
    """The whole sums of one site and VO in one book; None where the book does not say.

    cpu_us:           of records whose CPU was measured; None where none was.
    normalised_cpu_s: CPU seconds times benchmark, as the sender made them; only in reported sums.
    """

    jobs: int | None
    wall_seconds: int | None
    core_seconds: int | None
    cpu_us: int | None
    normalised_cpu_s: int | None


NOTHING = Amount(None, None, None, None, None)


@dataclass(frozen=True)
class Side:
    """One of the two books: what it is called, what was counted, and where it stands.

    grids: which grids are counted, in words.
    total: over all its sites and VOs.
    """

    name: str
    scope: Scope
    table: str
    grids: str
    versions: dict[str, int]
    total: Amount
    influence: Influence = NO_INFLUENCE


@dataclass(frozen=True)
class Pair:
    """One site and VO in both books; None on the side where it is missing."""

    site: str
    vo: str
    left: Amount | None
    right: Amount | None

    @property
    def weight(self) -> int:
        """The larger of the two core seconds."""
        return max((side.core_seconds or 0) for side in (self.left, self.right) if side is not None)

    def ratio(self, field: str) -> float | None:
        """Left ÷ right; None where the right is 0 or one is not known."""
        left, right = self.values(field)
        return left / right if left is not None and right else None

    def values(self, field: str) -> tuple[int | None, int | None]:
        """The two sums of a field of Amount."""
        return getattr(self.left or NOTHING, field), getattr(self.right or NOTHING, field)


@dataclass(frozen=True)
class Agreement:
    """How many of the common pairs agree in one measure; `compared` are those where both sides know it."""

    measure: Compared
    compared: int
    within: int


@dataclass(frozen=True)
class Comparison:
    """Two books side by side.

    period:     None for all days of both.
    tolerance:  a ratio.
    common:     pairs that both have, most core hours first; then those that one side misses.
    agreements: one per measure, over `common`.
    """

    period: Period | None
    tolerance: float
    left: Side
    right: Side
    common: tuple[Pair, ...]
    left_only: tuple[Pair, ...]
    right_only: tuple[Pair, ...]
    agreements: tuple[Agreement, ...]

    @property
    def agrees(self) -> bool:
        """Whether nothing is missing and everything that both know lies within the tolerance."""
        return not self.left_only and not self.right_only and all(
            agreement.within == agreement.compared for agreement in self.agreements
        )  # fmt: skip

    def disagrees(self, pair: Pair) -> tuple[str, ...]:
        """The fields in which a pair lies outside the tolerance."""
        return tuple(
            measure.field
            for measure in MEASURES
            if within(*pair.values(measure.field), self.tolerance) is False
        )


def within(left: int | None, right: int | None, tolerance: float) -> bool | None:
    """Whether two sums differ by at most `tolerance` times the larger one (the same both ways); None where one is not known."""
    if left is None or right is None:
        return None
    return abs(left - right) <= Fraction(str(tolerance)) * max(abs(left), abs(right))


def compare(
    left: tuple[str, Books, UsageSource],
    right: tuple[str, Books, UsageSource],
    period: Period | None,
    tolerance: float,
) -> Comparison:
    """Put two books side by side, per site and VO, each resource at its own count level.

    left, right: (its name, the books, its source of usage).
    Reads:       `usage_daily_end`, or `usage_reported_monthly` for source `reported`; each federation's own grid.
    Returns:     a Comparison. Names of sites and VOs are the same when they are but for capitals.
    Units:       jobs, whole seconds and microseconds, by the day a job ended; divided where they are shown.
    Raises:      UserMistake (permanent) when reported sums are asked for parts of months; LakeUnavailable (retryable).
    """
    left_side, left_amounts = _side(*left, period)
    right_side, right_amounts = _side(*right, period)
    pairs = sorted(
        _pairs(left_amounts, right_amounts),
        key=lambda pair: (-pair.weight, pair.site.lower(), pair.vo.lower()),
    )
    common = tuple(pair for pair in pairs if pair.left and pair.right)
    return Comparison(
        period, tolerance, left_side, right_side, common,
        tuple(pair for pair in pairs if not pair.right), tuple(pair for pair in pairs if not pair.left),
        tuple(_agreement(measure, common, tolerance) for measure in MEASURES),
    )  # fmt: skip


def _agreement(measure: Compared, common: tuple[Pair, ...], tolerance: float) -> Agreement:
    answers = [within(*pair.values(measure.field), tolerance) for pair in common]
    return Agreement(measure, len(answers) - answers.count(None), answers.count(True))


_Found = dict[tuple[str, str], tuple[str, str, Amount]]


def _side(name: str, books: Books, source: UsageSource, period: Period | None) -> tuple[Side, _Found]:
    scope = Scope(period, source=source)
    found = _amounts(books, scope)
    total = _added(amount for _, _, amount in found.values())
    grids = in_words(books, scope, summary_of(source))
    corrected = influence_in(books, scope, summary_of(source))
    return Side(
        name, scope, summary_of(source), grids, books.versions_of(scope.source), total, corrected
    ), found


def _amounts(books: Books, scope: Scope) -> _Found:
    """(site, VO) without capitals → site, VO, sums."""
    table = summary_of(scope.source)
    parameters: dict[str, Any] = {}
    conditions = " AND ".join(conditions_of(books, scope, table, parameters))
    normalised = "SUM(normalised_cpu_s)" if scope.source == "reported" else "NULL"
    sql = f"""
        SELECT site, vo, CAST(SUM(jobs) AS BIGINT) AS jobs, CAST(SUM(wall_seconds) AS BIGINT) AS wall_seconds,
               CAST(SUM(core_seconds) AS BIGINT) AS core_seconds,
               CAST(SUM(CASE WHEN cpu_source = 'measured' THEN cpu_us END) AS BIGINT) AS cpu_us,
               CAST({normalised} AS BIGINT) AS normalised_cpu_s
        FROM {table} WHERE {conditions}
        GROUP BY site, vo ORDER BY site NULLS LAST, vo NULLS LAST
    """
    days = (scope.period.first, scope.period.until) if scope.period else None
    tables = {"payload_only": payload_only(books, table)}
    found: _Found = {}
    for row in books.select(sql, days=days, tables=tables, **parameters).to_pylist():
        site, vo = row.pop("site") or NO_SITE, row.pop("vo") or UNMAPPED
        amount = Amount(**row)
        key = (site.lower(), vo.lower())
        if key in found:
            site, vo, before = found[key]
            amount = _added((before, amount))
        found[key] = (site, vo, amount)
    return found


def _added(amounts: Iterable[Amount]) -> Amount:
    """Add sums up; a sum is known where at least one of its parts is."""
    parts = list(amounts)
    sums = {}
    for field in fields(Amount):
        known = [value for part in parts if (value := getattr(part, field.name)) is not None]
        sums[field.name] = sum(known) if known else None
    return Amount(**sums)


def _pairs(left: _Found, right: _Found) -> Iterable[Pair]:
    for key in {**left, **right}:
        site, vo, _ = left.get(key) or right[key]
        yield Pair(site, vo, left[key][2] if key in left else None, right[key][2] if key in right else None)
