"""A downtime that is kept here and its revisions: announced, extended, shortened, ended early, cancelled, changed. Nothing is overwritten."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import orjson

from gridkeeper.errors import UserMistake
from gridkeeper.federation.downtimes.model import Affected, Classification, Incident, Place, Row, Severity
from gridkeeper.federation.downtimes.times import Stamp, Window

if TYPE_CHECKING:
    from collections.abc import Sequence


class Act(StrEnum):
    """What a revision does."""

    ANNOUNCE = "announce"
    EXTEND = "extend"
    SHORTEN = "shorten"
    END_EARLY = "end-early"
    CANCEL = "cancel"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class Revision:
    """One change, and what the downtime is from then on."""

    number: int
    act: Act
    at: datetime
    who: str
    reason: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """A downtime with its whole history, first revision first."""

    id: str
    source: str
    revisions: tuple[Revision, ...]

    @property
    def last(self) -> Revision:
        """What holds now."""
        return self.revisions[-1]

    @property
    def cancelled(self) -> bool:
        """Whether it was called off before it began."""
        return self.last.act is Act.CANCEL

    @property
    def incident(self) -> Incident:
        """As it is now."""
        return Incident(self.id, self.last.rows)

    def state(self, moment: datetime) -> str:
        """`cancelled`, `past`, `current` or `future`."""
        return "cancelled" if self.cancelled else self.incident.state(moment)


def moved(kept: Kept, until: Stamp | None, now: datetime) -> tuple[Act, tuple[Row, ...]]:
    """Give a downtime another end. until: None for an open one.

    Returns: what that is (extend, shorten, end-early) and the rows from then on.
    Raises: UserMistake (permanent) where it was cancelled, is over, would end before it begins, or has that end already.
    """
    _must_go_on(kept, now)
    window = kept.incident.window
    if until is not None and until.at <= window.start.at:
        raise UserMistake(
            f"downtime {kept.id} begins {window.start.at:%Y-%m-%d %H:%M} UTC; an end must be later (or cancel it)"
        )
    old, new = _end(window.end), _end(until)
    if old == new:
        raise UserMistake(f"downtime {kept.id} has that end already")
    earlier = Act.END_EARLY if until is not None and until.at <= now else Act.SHORTEN
    return Act.EXTEND if new > old else earlier, _with_end(kept.last.rows, until)


def called_off(kept: Kept, now: datetime) -> tuple[Act, tuple[Row, ...]]:
    """Cancel a downtime: one that has begun ends now instead, since what happened stays.

    Raises: UserMistake (permanent) where it was cancelled already or is over.
    """
    _must_go_on(kept, now)
    if kept.incident.window.start.at >= now:
        return Act.CANCEL, kept.last.rows
    # Forms have no seconds: it ends with this minute.
    minute = now.replace(second=0, microsecond=0)
    end = minute if minute == now else minute + timedelta(minutes=1)
    return Act.END_EARLY, _with_end(kept.last.rows, Stamp(end, end.isoformat(), 0))


def _must_go_on(kept: Kept, now: datetime) -> None:
    state = kept.state(now)
    if state == "cancelled":
        raise UserMistake(f"downtime {kept.id} was cancelled on {kept.last.at:%Y-%m-%d}; announce a new one")
    if state == "past":
        raise UserMistake(f"downtime {kept.id} is over; announce a new one")


def _end(stamp: Stamp | None) -> datetime:
    return stamp.at if stamp is not None else datetime.max.replace(tzinfo=UTC)


def _with_end(rows: Sequence[Row], until: Stamp | None) -> tuple[Row, ...]:
    return tuple(replace(row, window=Window(row.window.start, until)) for row in rows)


def what_changed(old: Sequence[Row], new: Sequence[Row]) -> Act | None:
    """What makes the new rows of the old ones; None where nothing differs that is worth a revision."""
    if _said(old) == _said(new):
        return None
    before, after = old[0].window, new[0].window
    only_the_end = _said(old) == _said(_with_end(new, before.end))
    if not only_the_end:
        return Act.CHANGE
    return Act.EXTEND if _end(after.end) > _end(before.end) else Act.SHORTEN


def _said(rows: Sequence[Row]) -> list[tuple[object, ...]]:
    return sorted(
        (
            row.id or "", row.resource or "", row.host or "", [each.name for each in row.services], row.window.start.at,
            _end(row.window.end), row.declared_class.value, row.severity.value, row.description, row.site or "",
        )
        for row in rows
    )  # fmt: skip


def as_text(rows: Sequence[Row]) -> str:
    """Rows as the database keeps them."""
    return orjson.dumps([_kept(row) for row in rows]).decode()


def _kept(row: Row) -> dict[str, Any]:
    return {
        "id": row.id, "resource": row.resource, "site": row.site, "host": row.host, "provider": row.provider, "url": row.url,
        "services": [[each.name, each.said, each.flavour, each.host, each.endpoint] for each in row.services],
        "named": row.named, "start": _stamp(row.window.start), "end": row.window.end and _stamp(row.window.end),
        "class": row.declared_class.value, "severity": row.severity.value, "description": row.description,
        "created": row.created and _stamp(row.created), "source": row.source, "file": row.place.file, "line": row.place.line,
        "hidden": row.hidden,
    }  # fmt: skip


def _stamp(stamp: Stamp) -> list[Any]:
    return [stamp.at.isoformat(), stamp.text, stamp.offset_minutes]


def from_text(text: str) -> tuple[Row, ...]:
    """The rows that `as_text` wrote."""
    return tuple(_row(entry) for entry in orjson.loads(text))


def _row(entry: dict[str, Any]) -> Row:
    return Row(
        id=entry["id"],
        resource=entry["resource"],
        services=tuple(Affected(*each) for each in entry["services"]),
        window=Window(_read(entry["start"]), entry["end"] and _read(entry["end"])),
        declared_class=Classification(entry["class"]),
        severity=Severity(entry["severity"]),
        description=entry["description"],
        created=entry["created"] and _read(entry["created"]),
        source=entry["source"],
        place=Place(entry["file"], entry["line"]),
        site=entry["site"],
        host=entry["host"],
        named=tuple(entry["named"]),
        provider=entry["provider"],
        url=entry["url"],
        hidden=entry["hidden"],
    )


def _read(stamp: list[Any]) -> Stamp:
    return Stamp(datetime.fromisoformat(stamp[0]), stamp[1], stamp[2])
