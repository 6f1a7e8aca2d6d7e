"""Reads what pages are asked: periods and filters from the address bar, and writes them back into links."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from gridkeeper.errors import UserMistake
from gridkeeper.queries.periods import Period, parse_day, parse_month, period_between, week_of
from gridkeeper.web.errors import Answered

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from gridkeeper.web.reading import Opened

RECENT_DAYS = 30
_ONE_HOUR = timedelta(hours=1)
# Which page each dimension's names have.
PAGES = {
    "vo": "/vo/", "site": "/site/", "resource": "/resource/", "probe": "/probe/", "project": "/project/", "user": "/user/",
}  # fmt: skip


def shown_until(opened: Opened, moment: datetime) -> datetime:
    """Until when pages look: now, or the end of the hour of the newest record where the books are older."""
    newest = opened.newest
    if newest is None:
        return moment
    return min(moment, newest.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + _ONE_HOUR)


def recent(opened: Opened, moment: datetime, days: int = RECENT_DAYS) -> Period:
    """The last whole days that the books know."""
    last = shown_until(opened, moment).date()
    return Period(last - timedelta(days=days), last)


def period_of(
    opened: Opened,
    moment: datetime,
    week_start: str,
    *,
    first: str | None = None,
    until: str | None = None,
    week: str | None = None,
    month: str | None = None,
    default: Period | None = None,
) -> Period:
    """The period that a page is asked for; else `default`, else the recent days.

    Raises: Answered (400) with a sentence that names the parameter and how to write it.
    """
    try:
        if sum((week is not None, month is not None, first is not None or until is not None)) > 1:
            raise UserMistake("a period is a week, a month, or first and until; give one of them")
        if week:
            return week_of(parse_day(week), week_start)
        if month:
            return parse_month(month)
        between = period_between(first or None, until or None)
    except UserMistake as error:
        raise Answered(400, str(error).replace("--", "")) from None
    return between or default or recent(opened, moment)


def query(values: Mapping[str, object] | Iterable[tuple[str, object]]) -> str:
    """`?a=1&b=2` of what is not None; empty where there is nothing."""
    pairs = values.items() if hasattr(values, "items") else values
    told = [(name, str(value)) for name, value in pairs if value is not None and value != ""]
    return "?" + urlencode(told) if told else ""


def must_know(asked: Iterable[str], known: Collection[str]) -> None:
    """Hold a question to the parameters that there are. Raises: Answered (400) that names one more, and those."""
    if odd := sorted(set(asked) - set(known)):
        raise Answered(400, f"there is no parameter {odd[0][:64]!r}; there are: {', '.join(known)}")


def offset_of(asked: Mapping[str, str]) -> int:
    """How many of a list the page passes over. Raises: Answered (400) with a sentence."""
    text = asked.get("offset", "") or "0"
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Answered(400, f"offset: {text[:64]!r} is no number of entries to pass over")
    return int(text)


def path_of(dimension: str, name: str | None) -> str | None:
    """The page of a name of a dimension; None where it has none."""
    if name is None or dimension not in PAGES:
        return None
    return PAGES[dimension] + quote(str(name), safe="")
