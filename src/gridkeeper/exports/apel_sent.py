"""What APEL was told last of a month, and how that differs from what the books say now.

APEL replaces a group by its keys and never forgets one. So a group that is no more is told once more, with zeros, and goes on
being told so: the same books give the same messages, however often they are sent.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import orjson
import sqlalchemy as sa

from gridkeeper.database import reading, writing
from gridkeeper.exports.apel_groups import Key, Sums, total
from gridkeeper.exports.tables import APEL_SENDINGS
from gridkeeper.trust import audit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from gridkeeper.exports.apel import Message
    from gridkeeper.queries.periods import Period

Destination = Literal["files", "queue", "ams", "pull"]
DESTINATIONS: tuple[Destination, ...] = get_args(Destination)
_TOLD = [column for column in APEL_SENDINGS.columns if column.name != "groups"]


@dataclass(frozen=True)
class Sending:
    """One time that a month was handed over; sent_at: None where it broke off."""

    id: int
    month: str
    dialect: str
    destination: Destination
    begun_at: datetime
    sent_at: datetime | None
    who: str
    messages: int
    records: int
    jobs: int
    checksum: str


@dataclass(frozen=True)
class Change:
    """What is told of one site and VO, before and now."""

    site: str
    vo: str
    before: Sums
    now: Sums


@dataclass(frozen=True)
class Difference:
    """What was told last against what is told now.

    last:  None where nothing was told.
    new, changed, gone, same: numbers of groups; gone: of those that were told and are no more.
    by_place: sites and VOs whose sums differ, in order.
    """

    last: Sending | None
    before: Sums
    now: Sums
    new: int
    changed: int
    gone: int
    same: int
    by_place: tuple[Change, ...]

    @property
    def is_none(self) -> bool:
        """Whether the same was told last."""
        return self.last is not None and not (self.new or self.changed or self.gone)


def checksum(messages: Sequence[Message]) -> str:
    """SHA-256 of all messages, one after the other."""
    return hashlib.sha256(b"".join(message.text for message in messages)).hexdigest()


def told_last(
    engine: sa.Engine | None, month: Period, dialect: str
) -> tuple[Sending | None, dict[Key, Sums]]:
    """What was sent last of a month in a dialect, wherever to, and each group that APEL may know since.

    engine:  None where there is no database yet.
    Raises:  DatabaseUnavailable (retryable).
    """
    if engine is None:
        return None, {}
    last: Sending | None = None
    known: dict[Key, Sums] = {}
    query = (
        sa.select(APEL_SENDINGS)
        .where(APEL_SENDINGS.c.month == f"{month.first:%Y-%m}", APEL_SENDINGS.c.dialect == dialect)
        .order_by(APEL_SENDINGS.c.id.desc())
    )
    with reading(engine) as connection:
        for row in connection.execute(query).mappings():
            # Of what broke off later, a part may have arrived.
            known = _groups(row["groups"]) | known
            if row["sent_at"] is not None:
                last = _sending(row)
                break
    return last, known


def with_those_gone(groups: Mapping[Key, Sums], known: Mapping[Key, Sums]) -> dict[Key, Sums]:
    """The groups of now, and with zeros those that APEL knows and that are no more; in order."""
    gone = {key: replace(sums, **_ZEROS) for key, sums in known.items() if key not in groups}
    return dict(sorted({**groups, **gone}.items()))


def difference(last: Sending | None, known: Mapping[Key, Sums], now: Mapping[Key, Sums]) -> Difference:
    """Compare what was told last with what is told now, groups that are gone included."""
    counts = {"new": 0, "changed": 0, "gone": 0, "same": 0}
    for key, sums in now.items():
        before = known.get(key)
        if before is None:
            counts["new"] += 1
        elif sums.is_nothing and not before.is_nothing:
            counts["gone"] += 1
        else:
            counts["same" if sums == before else "changed"] += 1
    places = sorted({(key.site, key.vo) for key in (*known, *now)})
    sums_before, sums_now = _by_place(known), _by_place(now)
    changes = tuple(
        Change(*place, sums_before.get(place, _NOTHING), sums_now.get(place, _NOTHING)) for place in places
    )
    return Difference(
        last, total(known.values()), total(now.values()), **counts,
        by_place=tuple(one for one in changes if _amounts(one.before) != _amounts(one.now)),
    )  # fmt: skip


def begin(
    engine: sa.Engine,
    month: Period,
    dialect: str,
    destination: Destination,
    groups: Mapping[Key, Sums],
    messages: Sequence[Message],
    who: str,
    at: datetime,
) -> int:
    """Write down that a month is about to be handed over. Returns: its number. Raises: DatabaseUnavailable (retryable)."""
    row = {
        "month": f"{month.first:%Y-%m}", "dialect": dialect, "destination": destination, "begun_at": at, "who": who, "messages": len(messages),
        "records": len(groups), "jobs": sum(sums.jobs for sums in groups.values()), "checksum": checksum(messages),
        "groups": zlib.compress(orjson.dumps([[*key, *astuple(sums)] for key, sums in groups.items()])),
    }  # fmt: skip
    with writing(engine) as connection:
        written = connection.execute(APEL_SENDINGS.insert().values(row))
        number: int = written.inserted_primary_key[0]  # type: ignore[index]  # an insert of one row has one
    return number


def finish(engine: sa.Engine, number: int, at: datetime, address: str | None = None) -> None:
    """Write down that it was handed over, in the audit, too. Raises: DatabaseUnavailable (retryable)."""
    with writing(engine) as connection:
        connection.execute(APEL_SENDINGS.update().where(APEL_SENDINGS.c.id == number).values(sent_at=at))
        row = connection.execute(sa.select(*_TOLD).where(APEL_SENDINGS.c.id == number)).mappings().one()
        details = {name: row[name] for name in ("destination", "messages", "records", "jobs", "checksum")}
        audit.record(
            connection, row["who"], "apel.send", f"{row['month']} {row['dialect']}", details, address, at
        )


def note(
    engine: sa.Engine, same: Sending, destination: Destination, who: str, at: datetime, address: str | None
) -> None:
    """Write into the audit alone that what was sent before was handed over once more. Raises: DatabaseUnavailable (retryable)."""
    details = {name: getattr(same, name) for name in ("messages", "records", "jobs", "checksum")}
    with writing(engine) as connection:
        subject, told = f"{same.month} {same.dialect}", details | {"destination": destination}
        audit.record(connection, who, "apel.send", subject, told, address, at)


def sendings(
    engine: sa.Engine, months: Collection[str] | None = None, *, done: bool = True, most: int = 1000
) -> list[Sending]:
    """What was handed over, newest first. months: None for all. done: leave out what broke off.

    Raises: DatabaseUnavailable (retryable).
    """
    query = sa.select(*_TOLD).order_by(APEL_SENDINGS.c.id.desc()).limit(most)
    if months is not None:
        query = query.where(APEL_SENDINGS.c.month.in_(months))
    if done:
        query = query.where(APEL_SENDINGS.c.sent_at.is_not(None))
    with reading(engine) as connection:
        return [_sending(row) for row in connection.execute(query).mappings()]


def _sending(row: Mapping[Any, Any]) -> Sending:
    return Sending(**{column.name: row[column.name] for column in _TOLD})


def _groups(data: bytes) -> dict[Key, Sums]:
    width = len(Key._fields)
    return {Key(*entry[:width]): Sums(*entry[width:]) for entry in orjson.loads(zlib.decompress(data))}


def _by_place(groups: Mapping[Key, Sums]) -> dict[tuple[str, str], Sums]:
    held: dict[tuple[str, str], list[Sums]] = {}
    for key, sums in groups.items():
        held.setdefault((key.site, key.vo), []).append(sums)
    return {place: total(found) for place, found in held.items()}


def _amounts(sums: Sums) -> Iterable[int]:
    return astuple(sums)[: len(_ZEROS)]


_ZEROS = dict.fromkeys(("jobs", "wall_s", "cpu_s", "normalised_wall_s", "normalised_cpu_s"), 0)
_NOTHING = Sums(0, 0, 0, 0, 0, 0, 0)
