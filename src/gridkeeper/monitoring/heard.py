"""What probes said of themselves: when they were heard, and how far behind they were. Read from the operational database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gridkeeper.database import reading
from gridkeeper.intake.tables import CONTACT_HOURS, CONTACTS, POOL_HOURS, POOL_SAMPLES
from gridkeeper.monitoring.backlogs import UNTOLD, Backlog, grows_since
from gridkeeper.monitoring.chances import gamma_tail, quantile, shape_of
from gridkeeper.monitoring.rhythm import FALSE_ALARM_RATE, LEAST_GAPS, USUAL_PART

if TYPE_CHECKING:
    from collections.abc import Sequence

HEARD_DAYS = 14
# So long, and so many times its usual gap: a word or two may get lost.
LEAST_UNHEARD_HOURS = 3
UNHEARD_TIMES = 2.5
# A probe of which fewer than LEAST_GAPS gaps are known is given so long.
YOUNG_UNHEARD_HOURS = 24
LATE_AFTER_HOURS = 24
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Heard:
    """The last word of one probe, and the hours in which it was heard.

    resource:      None where it names none.
    hours:         (hour, the most that waited in it), in order.
    running_cores: what ran when it last looked at its pool; None where it did not look.
    """

    probe: str
    resource: str | None
    kind: str
    first_at: datetime
    last_at: datetime
    version: str | None = None
    backlog: Backlog = UNTOLD
    oldest_waiting_at: datetime | None = None
    problem: str | None = None
    hours: tuple[tuple[datetime, Backlog], ...] = ()
    running_cores: int | None = None


@dataclass(frozen=True)
class Pulse:
    """What a probe's words say at one moment.

    last_at:    when it was last heard.
    is_beating: whether it still is, by its own rhythm.
    backlog:    what waited at its last word.
    late_since: since when its backlog grows in its own unit, or the oldest that waits waits too long; None: it does not.
    """

    last_at: datetime
    is_beating: bool
    backlog: Backlog
    late_since: datetime | None


def read_heard(engine: sa.Engine, until: datetime) -> tuple[Heard, ...]:
    """Read what every probe said last, and when it was heard in the HEARD_DAYS days before `until`.

    Reads:   `probe_contacts`, `probe_contact_hours`; of `pool_samples` (and `pool_hours`, where they are rolled up) the latest.
    Returns: one Heard per probe and resource, by name.
    Raises:  DatabaseUnavailable (retryable).
    """
    hours, since = CONTACT_HOURS.c, until - timedelta(days=HEARD_DAYS)
    with reading(engine) as connection:
        words = connection.execute(sa.select(CONTACTS).order_by(CONTACTS.c.probe, CONTACTS.c.resource)).all()
        beats = connection.execute(
            sa.select(
                hours.probe,
                hours.resource,
                hours.hour,
                hours.most_backlog_batches,
                hours.most_backlog_records,
                hours.most_backlog_jobs,
            )
            .where(hours.hour >= since, hours.hour <= until)
            .order_by(hours.hour)
        ).all()
        looks = [
            *connection.execute(_latest_hours(since, until)).all(),
            *connection.execute(_latest_samples(since, until)).all(),
        ]
    running = {
        (look.probe, look.resource): int(look.cores) for look in sorted(looks, key=lambda look: look.at)
    }
    by_source: dict[tuple[str, str], list[tuple[datetime, Backlog]]] = {}
    for beat in beats:
        by_source.setdefault((beat.probe, beat.resource), []).append((beat.hour, Backlog(*beat[3:])))
    return tuple(
        Heard(
            word.probe, word.resource or None, word.kind, word.first_at, word.last_at, word.version,
            Backlog(word.backlog_batches, word.backlog_records, word.backlog_jobs), word.oldest_waiting_at, word.problem, tuple(by_source.get((word.probe, word.resource), ())),
            running.get((word.probe, word.resource)),
        )
        for word in words
    )  # fmt: skip


def _latest_hours(since: datetime, until: datetime) -> sa.Select[tuple[str, str, datetime, int]]:
    """The same of hours whose samples are rolled up; of each pool the later ones overtake the earlier."""
    hour = POOL_HOURS.c
    return sa.select(
        hour.probe, hour.resource, hour.last_at.label("at"), hour.last_running_cores.label("cores")
    ).where(hour.last_at >= since, hour.last_at <= until)


def _latest_samples(since: datetime, until: datetime) -> sa.Select[tuple[str, str, datetime, int]]:
    """Running cores of each pool when its probe last looked."""
    sample = POOL_SAMPLES.c
    last = (
        sa.select(sample.probe, sample.resource, sa.func.max(sample.at).label("at"))
        .where(sample.at >= since, sample.at <= until)
        .group_by(sample.probe, sample.resource)
        .subquery()
    )
    same = sa.and_(
        sample.probe == last.c.probe, sample.resource == last.c.resource, sample.at == last.c.at
    )  # fmt: skip
    cores = sa.func.sum(sa.case((sample.state == "running", sample.cores), else_=0)).label("cores")
    joined = sa.join(POOL_SAMPLES, last, same)
    return (
        sa.select(sample.probe, sample.resource, sa.func.max(sample.at).label("at"), cores)
        .select_from(joined)
        .group_by(sample.probe, sample.resource)
    )


def pulse_of(heard: Heard, moment: datetime) -> Pulse | None:
    """Say what a probe's words say at `moment`; None where it had not been heard yet."""
    hours = [hour for hour, _ in heard.hours if hour <= moment]
    is_last = heard.last_at <= moment
    last = heard.last_at if is_last else (hours[-1] if hours else None)
    if last is None:
        return None
    waiting = [(hour, most) for hour, most in heard.hours if most.is_told and hour <= moment]
    backlog = heard.backlog if is_last else (waiting[-1][1] if waiting else UNTOLD)
    late = _waits_since(heard, moment) if is_last and backlog else None
    return Pulse(last, _is_beating(hours, last, moment), backlog, late or grows_since(waiting, moment))


def _is_beating(hours: Sequence[datetime], last: datetime, moment: datetime) -> bool:
    unheard = (moment - last) / _HOUR
    gaps = [(later - earlier) / _HOUR for earlier, later in pairwise(hours)]
    if len(gaps) < LEAST_GAPS:
        return unheard <= max(YOUNG_UNHEARD_HOURS, *gaps, 0)
    if unheard <= max(LEAST_UNHEARD_HOURS, UNHEARD_TIMES * quantile(gaps, USUAL_PART)):
        return True
    return len(gaps) * gamma_tail(shape_of(gaps), unheard * len(gaps) / sum(gaps)) >= FALSE_ALARM_RATE


def _waits_since(heard: Heard, moment: datetime) -> datetime | None:
    oldest = heard.oldest_waiting_at
    return oldest if oldest is not None and moment - oldest > timedelta(hours=LATE_AFTER_HOURS) else None
