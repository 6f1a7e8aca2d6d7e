"""Whether each month has gone to APEL in time: on the 8th the WLCG takes its copy of the month before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from gridkeeper.exports.apel_sent import sendings
from gridkeeper.queries.periods import Period, month_of

if TYPE_CHECKING:
    import sqlalchemy as sa

    from gridkeeper.exports.apel_sent import Sending
    from gridkeeper.feed_settings import Apel

MOST_MONTHS = 12


@dataclass(frozen=True)
class OwedMonth:
    """A month that is over and that has not gone everywhere. why: where not, and whether it was tried."""

    month: Period
    due_at: datetime
    late_at: datetime
    why: str


@dataclass(frozen=True)
class ApelStanding:
    """How the feed stands. last: the newest sending to one of the destinations; owed: oldest first."""

    last: Sending | None
    owed: tuple[OwedMonth, ...]
    next_due_at: datetime


def standing(engine: sa.Engine, settings: Apel, moment: datetime) -> ApelStanding | None:
    """Say which months are owed at `moment`: the last one in any case, and those that ended since the first one was sent, at most MOST_MONTHS.

    A month counts as gone when it was sent after it was over: what was sent before is not the whole month.
    Returns: None where no destination is named.
    Raises:  DatabaseUnavailable (retryable).
    """
    if not settings.destinations:
        return None
    done = [one for one in sendings(engine) if one.destination in settings.destinations]
    begun = {one.month for one in sendings(engine, done=False) if one.sent_at is None}
    month, owed = month_of(moment.astimezone(UTC).date()).before(), []
    began = min((one.sent_at for one in done if one.sent_at), default=moment)
    next_due_at = _at(month_of(month.until).until, 1)
    for _ in range(MOST_MONTHS):
        name = f"{month.first:%Y-%m}"
        due_at = _at(month.until, 1)
        went = {one.destination for one in done if one.month == name and (one.sent_at or due_at) >= due_at}
        if missing := [one for one in settings.destinations if one not in went]:
            tried = ", tried and broken off" if name in begun else ""
            owed.append(
                OwedMonth(
                    month,
                    due_at,
                    _at(month.until, settings.late_day),
                    f"not sent to {' and '.join(missing)}{tried}",
                )
            )
        month = month.before()
        if _at(month.until, 1) <= began:
            break
    return ApelStanding(done[0] if done else None, tuple(reversed(owed)), next_due_at)


def _at(first: date, day: int) -> datetime:
    return datetime.combine(first, time(), UTC) + timedelta(days=day - 1)
