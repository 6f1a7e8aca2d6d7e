"""One month's feed from the books to where it goes: made, compared with the last one, judged, handed over, written down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gridkeeper.exports import apel_sent
from gridkeeper.exports.apel import messages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    import sqlalchemy as sa

    from gridkeeper.exports.apel import Message
    from gridkeeper.exports.apel_groups import Key, MonthTold, Sums
    from gridkeeper.exports.apel_sent import Destination, Difference
    from gridkeeper.feed_settings import Dialect


@dataclass(frozen=True)
class Feed:
    """A month ready to be handed over. groups: with those that are gone, which are told with zeros."""

    told: MonthTold
    dialect: Dialect
    groups: dict[Key, Sums]
    messages: tuple[Message, ...]
    difference: Difference

    @property
    def checksum(self) -> str:
        """SHA-256 of all messages, one after the other."""
        return apel_sent.checksum(self.messages)


def made(engine: sa.Engine | None, told: MonthTold, dialect: Dialect, now: datetime) -> Feed:
    """Make a month's feed of what is told of it.

    engine: where it stands what was sent; None where there is no database yet.
    Raises: NotToBeSent (permanent), DatabaseUnavailable (retryable).
    """
    last, known = apel_sent.told_last(engine, told.month, dialect)
    groups = apel_sent.with_those_gone(told.groups, known)
    found = apel_sent.difference(last, known, groups)
    return Feed(told, dialect, groups, messages(told.month, groups, dialect, now), found)


def hand_over(
    engine: sa.Engine,
    feed: Feed,
    destination: Destination,
    deliver: Callable[[Sequence[Message]], object],
    who: str,
    clock: Callable[[], datetime],
    address: str | None = None,
) -> None:
    """Hand a feed over, and write down that it went; what breaks off stays written down as begun, and may be sent again.

    deliver: takes the messages to where they go.
    Raises:  what `deliver` raises; DatabaseUnavailable (retryable).
    """
    number = apel_sent.begin(
        engine, feed.told.month, feed.dialect, destination, feed.groups, feed.messages, who, clock()
    )
    deliver(feed.messages)
    apel_sent.finish(engine, number, clock(), address)


def note_pull(engine: sa.Engine, feed: Feed, who: str, at: datetime, address: str) -> None:
    """Write down that a feed was fetched; what was told last already is not written down again, but for the audit.

    Raises: DatabaseUnavailable (retryable).
    """
    last = feed.difference.last
    if last is not None and last.checksum == feed.checksum:
        apel_sent.note(engine, last, "pull", who, at, address)
    else:
        hand_over(engine, feed, "pull", lambda _messages: None, who, lambda: at, address)


def as_dict(feed: Feed) -> dict[str, Any]:
    """A feed and its difference from the last one, for programs."""
    found = feed.difference
    return {
        "month": f"{feed.told.month.first:%Y-%m}",
        "dialect": feed.dialect,
        "source": feed.told.source,
        "groups": len(feed.groups),
        "totals": _amounts(found.now),
        "messages": [
            {"name": one.name, "kind": one.kind, "records": one.records, "bytes": len(one.text)}
            for one in feed.messages
        ],
        "checksum": feed.checksum,
        "notes": list(feed.told.notes),
        "versions": feed.told.versions,
        "difference": {
            "last_sent_at": found.last and found.last.sent_at,
            "last_destination": found.last and found.last.destination,
            "is_none": found.is_none,
            "new": found.new,
            "changed": found.changed,
            "gone": found.gone,
            "same": found.same,
            "totals_before": _amounts(found.before) if found.last else None,
            "by_place": [
                {"site": one.site, "vo": one.vo, "before": _amounts(one.before), "now": _amounts(one.now)}
                for one in found.by_place
            ],
        },
    }


def _amounts(sums: Sums) -> dict[str, int]:
    return {
        "jobs": sums.jobs,
        "wall_s": sums.wall_s,
        "cpu_s": sums.cpu_s,
        "normalised_wall_s": sums.normalised_wall_s,
        "normalised_cpu_s": sums.normalised_cpu_s,
    }
