"""Counts refused logins, and writes down in the audit that there are some: not one row a guess."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING

from gridkeeper.database import DatabaseUnavailable, writing
from gridkeeper.trust import audit

if TYPE_CHECKING:
    from datetime import datetime

    import sqlalchemy as sa

SERIES = timedelta(hours=1)  # refusals of one address within it are one series
WRITTEN_AT = (1, 10, 100, 1_000, 10_000, 100_000)  # after so many of a series there is a row
MOST_SERIES = 10_000
MOST_ROWS_A_MINUTE = 60


@dataclass
class _Series:
    since: datetime
    times: int = 0


class RefusedLogins:
    """The refusals that this process has seen, by address, for many threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._lock = Lock()
        self._series: OrderedDict[str, _Series] = OrderedDict()
        self._minute: _Series | None = None

    def count(self, address: str, subject: str, because: str, now: datetime) -> None:
        """Count one. subject: whose login it was, as far as it said so; never a secret. because: the sentence that it got."""
        with self._lock:
            times = self._counted(address, now)
            if times not in WRITTEN_AT or not self._may_write(now):
                return
        # That it is not written is no reason to refuse in another way.
        with suppress(DatabaseUnavailable), writing(self._engine) as connection:
            details = {"because": because, "times": times}
            audit.record(connection, f"address {address}", "login.refused", subject, details, address, now)

    def _counted(self, address: str, now: datetime) -> int:
        series = self._series.pop(address, None)
        if series is None or not timedelta() <= now - series.since < SERIES:
            series = _Series(now)
        self._series[address] = series
        while len(self._series) > MOST_SERIES:
            self._series.popitem(last=False)
        series.times += 1
        return series.times

    def _may_write(self, now: datetime) -> bool:
        """Whether the audit takes another row: who has many addresses must not fill it."""
        if self._minute is None or not timedelta() <= now - self._minute.since < timedelta(minutes=1):
            self._minute = _Series(now)
        self._minute.times += 1
        return self._minute.times <= MOST_ROWS_A_MINUTE
