"""Invented sources: days with records in a few words, heartbeats, and what is judged of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from gridkeeper.federation.model import Registry
from gridkeeper.monitoring.backlogs import Backlog
from gridkeeper.monitoring.ends import judged_until
from gridkeeper.monitoring.heard import Heard
from gridkeeper.monitoring.history import History, Source, Track
from gridkeeper.monitoring.silence import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gridkeeper.monitoring.states import Silence, SourceState

FIRST = date(2017, 1, 2)  # a Monday
HOUR_S = 3600


def day(number: int) -> date:
    """The day of this number; day 0 is a Monday."""
    return FIRST + timedelta(days=number)


def moment(number: int, hour: int = 0) -> datetime:
    """A moment on the day of this number, UTC."""
    return datetime.combine(day(number), time(hour), UTC)


def track(
    resource: str, numbers: Iterable[int], *, hours: float | Callable[[int], float] = 100.0,
    probe: str | None = "", level: str = "batch", site: str | None = None,
) -> Track:  # fmt: skip
    """A source with records on these days, of so many core hours each. Its probe is that of its name unless named."""
    amount = hours if callable(hours) else lambda _: hours
    source = Source(f"slurm:{resource}" if probe == "" else probe, resource, level)
    by_day = {day(number): round(amount(number) * HOUR_S) for number in numbers}
    return Track(source, site, min(by_day), by_day)


def payloads(resource: str, numbers: Iterable[int], *, hours: float | Callable[[int], float] = 50.0, probe: str = "condor:ap1") -> Track:  # fmt: skip
    """What an access point sees of a resource."""
    return track(resource, numbers, hours=hours, probe=probe, level="payload")


def history(*tracks: Track, until: int) -> History:
    """What the books know of these sources up to a day."""
    return History(day(until), {each.source: each for each in tracks})


def judged(
    *tracks: Track, until: int, heard: Iterable[Heard] = (), registry: Registry | None = None, hour: int = 0
) -> Silence:
    """The states of these sources on a day."""
    asked, words = moment(until, hour), tuple(heard)
    known = {each.source: each for each in tracks}
    return judge(History(judged_until(known, words, asked)[0], known), registry or Registry(), asked, words)


def state_of(found: Silence, resource: str, level: str = "batch") -> SourceState:
    """The state of one source."""
    (one,) = [each for each in found.sources if each.resource == resource and each.level in (level, None)]
    return one


def beats(
    resource: str | None, hours: Iterable[datetime], *, probe: str = "", backlog: Callable[[int], int | None] = lambda _: 0, unit: str = "records",
    oldest: datetime | None = None, running: int | None = None,
) -> Heard:  # fmt: skip
    """A probe that was heard in these hours. backlog: of the n-th of them, in this unit."""
    heard = list(hours)
    waiting = [(hour, Backlog(**{unit: backlog(number)})) for number, hour in enumerate(heard)]
    return Heard(
        probe or f"slurm:{resource}", resource, "heartbeat", heard[0], heard[-1] + timedelta(minutes=45), "1.2.0",
        waiting[-1][1], oldest, None, tuple(waiting), running,
    )  # fmt: skip


def every_hour(first: datetime, until: datetime, step: int = 1) -> list[datetime]:
    """The hours from `first` on, before `until`."""
    return [first + timedelta(hours=number) for number in range(0, int((until - first) / timedelta(hours=1)), step)]  # fmt: skip
