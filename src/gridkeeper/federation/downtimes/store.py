"""Keeps downtimes in the operational database: announced here or imported, each change a revision of its own."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gridkeeper.database import reading
from gridkeeper.errors import UserMistake
from gridkeeper.federation.downtimes.model import Severity, incidents
from gridkeeper.federation.downtimes.osg_writing import numbered
from gridkeeper.federation.downtimes.revising import (
    Act,
    Kept,
    Revision,
    as_text,
    called_off,
    from_text,
    moved,
    what_changed,
)
from gridkeeper.federation.downtimes.tables import DOWNTIME_REVISIONS, DOWNTIMES
from gridkeeper.federation.model import Downtime

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from gridkeeper.federation.downtimes.model import Row
    from gridkeeper.federation.downtimes.times import Stamp

TENTHS = 10  # of a second: ids made here count them since 1970, far above all that OSG has given
# What of a resource may go on without its jobs or transfers: no accounting source stops for it.
_BESIDE = frozenset({"Squid", "net.perfSONAR.Bandwidth", "net.perfSONAR.Latency", "perfsonar data store"})
_DOWN = frozenset({Severity.OUTAGE, Severity.SEVERE})


@dataclass(frozen=True)
class Imported:
    """What an import did. vanished: kept ones of that form of which the document says nothing (any more); they stay."""

    new: tuple[Kept, ...]
    changed: tuple[Kept, ...]
    same: int
    vanished: tuple[Kept, ...]


def everything(connection: sa.Connection) -> list[Kept]:
    """All downtimes with their histories, in the order of their starts."""
    revisions: dict[str, list[Revision]] = {}
    query = sa.select(DOWNTIME_REVISIONS).order_by(DOWNTIME_REVISIONS.c.downtime, DOWNTIME_REVISIONS.c.number)
    for one in connection.execute(query):
        revisions.setdefault(one.downtime, []).append(
            Revision(one.number, Act(one.act), one.at, one.who, one.reason, from_text(one.rows))
        )
    found = [
        Kept(one.id, one.source, tuple(revisions[one.id]))
        for one in connection.execute(sa.select(DOWNTIMES))
        if one.id in revisions
    ]
    return sorted(found, key=lambda kept: (kept.incident.window.start.at, kept.id))


def one(connection: sa.Connection, name: str) -> Kept:
    """The downtime of an id, the beginning of it, or the id of one of its rows.

    Raises: UserMistake (permanent) where there is none, or more than one.
    """
    kept = everything(connection)
    exact = [each for each in kept if each.id == name or any(row.id == name for row in each.last.rows)]
    found = exact or [each for each in kept if name and each.id.startswith(name)]
    if not found:
        raise UserMistake(f"there is no downtime {name!r} here; `gridkeeper downtimes list` shows them")
    if len(found) > 1:
        raise UserMistake(
            f"{name!r} is the beginning of {', '.join(each.id for each in found)}; write more of it"
        )
    return found[0]


def announce(
    connection: sa.Connection, rows: Sequence[Row], who: str, now: datetime, reason: str = ""
) -> Kept:
    """Keep a new incident. Rows without an id get one that nobody has."""
    _alone(connection)
    taken = {row.id for kept in everything(connection) for row in kept.last.rows if row.id}
    if any(row.id is None for row in rows):
        rows = numbered(rows, int(now.timestamp() * TENTHS), taken)
    return _new(connection, rows, who, now, reason)


def extend(
    connection: sa.Connection, name: str, until: Stamp | None, who: str, now: datetime, reason: str
) -> Kept:
    """Give a downtime another end, later or earlier. Raises: UserMistake (permanent); see revising.moved."""
    _alone(connection)
    kept = one(connection, name)
    return _revised(connection, kept, *moved(kept, until, now), who, now, reason)


def cancel(connection: sa.Connection, name: str, who: str, now: datetime, reason: str) -> Kept:
    """Call a downtime off; one that has begun ends now. Raises: UserMistake (permanent); see revising.called_off."""
    _alone(connection)
    kept = one(connection, name)
    return _revised(connection, kept, *called_off(kept, now), who, now, reason)


def take_in(
    connection: sa.Connection, rows: Sequence[Row], who: str, now: datetime, reason: str = ""
) -> Imported:
    """Import what a document says. What is here already is revised where it differs; the same document again changes nothing.

    What was cancelled here, or ended early, stays so: a document that does not know of it does not bring it back.
    """
    _alone(connection)
    here = everything(connection)
    by_key = {key: kept for kept in here for key in _keys(kept.last.rows)}
    new: list[Kept] = []
    changed: list[Kept] = []
    met: set[str] = set()
    same = 0
    for incident in incidents(rows):
        told = Counter(
            by_key[key].id for key in _keys(incident.rows) if key in by_key and by_key[key].id not in met
        )
        kept = next((each for each in here if told and each.id == told.most_common(1)[0][0]), None)
        if kept is None:
            new.append(_new(connection, incident.rows, who, now, reason))
            continue
        met.add(kept.id)
        act = what_changed(kept.last.rows, incident.rows)
        if act is None or kept.last.act in (Act.CANCEL, Act.END_EARLY):
            same += 1
        else:
            changed.append(_revised(connection, kept, act, incident.rows, who, now, reason))
    sources = {row.source for row in rows}
    vanished = tuple(each for each in here if each.source in sources and each.id not in met)
    return Imported(tuple(new), tuple(changed), same, vanished)


def read_announced(engine: sa.Engine, asked: datetime) -> tuple[Downtime, ...]:
    """What of it explains a silence, as it was known at `asked`. Raises: DatabaseUnavailable (retryable)."""
    with reading(engine) as connection:
        kept = everything(connection)
    then = [replace(each, revisions=tuple(one for one in each.revisions if one.at <= asked)) for each in kept]
    return tuple(announced(each for each in then if each.revisions))


def announced(kept: Iterable[Kept]) -> Iterator[Downtime]:
    """Kept downtimes as the registry's, for whoever asks why a source is silent.

    Only what stops records is told: an Outage or Severe one of more than Squids and perfSONARs, of a named resource, that
    was not cancelled and covers time.
    """
    for each in kept:
        window = each.incident.window
        if each.cancelled or window.is_empty:
            continue
        for row in each.last.rows:
            names = {service.name for service in row.services}
            if row.resource and row.severity in _DOWN and not (names and names <= _BESIDE):
                yield Downtime.model_validate(
                    {
                        "resource": row.resource,
                        "from": window.start.at,
                        "until": window.until,
                        "reason": row.description,
                    }
                )


def _keys(rows: Iterable[Row]) -> list[tuple[str, str, str]]:
    """What tells rows of a document apart: whose ids, the id, and what the document itself says that it is of."""
    return [(row.ids, row.id, _said(row)) for row in rows if row.id]


def _said(row: Row) -> str:
    # Our names of resources are no part of what GOCDB, AGIS and CRIC say: they change with our registry.
    said = row.host or row.site if row.source in ("gocdb", "cric") else row.resource or row.host or row.site
    return said or ""


def _alone(connection: sa.Connection) -> None:
    """Let nobody else change downtimes meanwhile; on SQLite one writes at a time anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("LOCK TABLE downtimes IN EXCLUSIVE MODE"))


def _new(connection: sa.Connection, rows: Sequence[Row], who: str, now: datetime, reason: str) -> Kept:
    kept = Kept(secrets.token_hex(4), rows[0].source, ())
    connection.execute(DOWNTIMES.insert().values(id=kept.id, source=kept.source, made_at=now, made_by=who))
    return _revised(connection, kept, Act.ANNOUNCE, rows, who, now, reason)


def _revised(
    connection: sa.Connection, kept: Kept, act: Act, rows: Sequence[Row], who: str, now: datetime, reason: str
) -> Kept:
    revision = Revision(len(kept.revisions) + 1, act, now, who, reason, tuple(rows))
    window = rows[0].window
    connection.execute(
        DOWNTIME_REVISIONS.insert().values(
            downtime=kept.id, number=revision.number, act=act.value, at=now, who=who, reason=reason,
            starts_at=window.start.at, ends_at=window.until, rows=as_text(rows),
        )
    )  # fmt: skip
    return replace(kept, revisions=(*kept.revisions, revision))
