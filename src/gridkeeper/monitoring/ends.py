"""Where the books end: the days and months before which sources are judged, in a home that is loaded by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from gridkeeper.monitoring.months import learn_months, months_later
from gridkeeper.monitoring.rhythm import learn
from gridkeeper.monitoring.sums import together

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from gridkeeper.monitoring.heard import Heard
    from gridkeeper.monitoring.history import History, Source, Track
    from gridkeeper.monitoring.other_records import Sums

# Where so many sources end together and nothing came after them, it is the books that end there.
COMMON_END_SOURCES = 3
_DAY = timedelta(days=1)


def judged_until(
    tracks: Mapping[Source, Track], heard: Sequence[Heard], moment: datetime, sums: Mapping[Source, Sums] | None = None
) -> tuple[date, date | None]:  # fmt: skip
    """The day before which sources of days are judged; and the newest day in the books, where these end long before `moment`.

    Days before `moment` are over. In a home that probes send to, silence of all is silence. In one that is
    loaded by hand, several sources that end together say that nothing was loaded since, so all are judged
    as of then; unless there are sums of a month that began later.
    """
    until = moment.date()
    if heard or not tracks:
        return until, None
    newest = max(track.last_day for track in tracks.values())
    if any(one.last_month > newest for one in (sums or {}).values()):
        return until, None
    at_end = sum(track.last_day >= newest - _DAY for track in tracks.values())
    everything = learn(sorted({day for track in tracks.values() for day in track.days}))
    if at_end >= COMMON_END_SOURCES and everything is not None and everything.is_overdue(until):
        return newest + _DAY, newest
    return until, None


def sums_judged(history: History, heard: Sequence[Heard], moment: datetime) -> tuple[date, date | None]:
    """The day as of which monthly sums are judged; and the last day that they tell of, where the books end long before.

    Sums are due some days after their month, so it is asked whether they are here by now, whatever days are asked about.
    In a home that is loaded by hand, it is asked as of the day at which the records of days end, if they do; and where
    several senders end with the same month, and no records of days cover the next one, as of when all of that month was due.
    """
    asked = history.sums_day or history.until
    if heard or not history.sums:
        return asked, None
    if judged_until(history.tracks, heard, moment, history.sums)[1] is not None:
        return min(asked, history.until), None
    whole = together(history.sums.values())
    newest, rhythm = whole.last_month, learn_months(whole.first_came)
    following = months_later(newest, 1)
    if any(track.last_day >= months_later(following, 1) - _DAY for track in history.tracks.values()):
        return asked, None
    ending = [one for one in history.sums.values() if one.last_month == newest]
    if len(ending) < COMMON_END_SOURCES or rhythm is None or not rhythm.missing(moment.date(), asked):
        return asked, None
    own = [learn_months(one.first_came) for one in ending]
    due = max(each.due(newest) for each in (rhythm, *own) if each is not None)
    return min(asked, due + _DAY), following - _DAY
