"""Keeps what was refused until somebody decides: one row a distinct text under one rule, or a batch; never dropped silently."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gridkeeper.database import insert, reading, writing
from gridkeeper.errors import UserMistake
from gridkeeper.intake.tables import REJECT_DELIVERIES, REJECTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gridkeeper.intake.owned import Owned
    from gridkeeper.intake.reading import Refused
    from gridkeeper.records.draft import Delivery

OPEN, RETRIED, DISCARDED = "open", "loaded", "discarded"
AT_ONCE = 500
_TOLD_ANEW = ("source", "line", "reason", "archive_ref", "binding")  # of the delivery that opens a row again
_CLOSING = ("closed_at", "closed_by", "closed_because")


def keep(engine: sa.Engine, refused: Sequence[Refused], format_name: str, load: str = "") -> None:
    """Keep refusals, on disk when this returns.

    A text counts as often as deliveries held it, each place in them once. A delivery that is loaded again (after a
    crash, or because somebody handed it back) counts anew instead of once more: `load` names the round that loads it.
    Open again is what comes in a new delivery after it was discarded, and what is refused again after it was read again.
    Raises: DatabaseUnavailable (retryable).
    """
    with writing(engine) as connection:
        keep_within(connection, [_row(one, format_name) for one in refused], load)


def keep_whole(connection: sa.Connection, one: Refused, batch: str, format_name: str, load: str) -> None:
    """Keep the refusal of a whole batch, in the transaction that sets it aside: a row of its own, whatever its text."""
    name = hashlib.blake2b(f"{one.reject.rule.value}\0{batch}".encode(), digest_size=12).hexdigest()
    keep_within(connection, [_row(one, format_name) | {"id": name, "batch": batch}], load)


def keep_within(connection: sa.Connection, rows: Sequence[dict[str, Any]], load: str) -> None:
    """Keep rows in the caller's transaction; see `keep`."""
    found: dict[tuple[str, str, datetime], tuple[dict[str, Any], int]] = {}
    for row in rows:
        key = (row["id"], row["source"], row["first_seen"])
        found[key] = (row, found[key][1] + 1 if key in found else 1)
    keys = sorted(found)  # in one order, so that two loaders never wait for each other
    for start in range(0, len(keys), AT_ONCE):
        _keep_some(connection, {key: found[key] for key in keys[start : start + AT_ONCE]}, load)


def _keep_some(
    connection: sa.Connection, found: dict[tuple[str, str, datetime], tuple[dict[str, Any], int]], load: str
) -> None:
    ids = sorted({key[0] for key in found})
    first = {key[0]: row | {"times": 0} for key, (row, _) in found.items()}
    connection.execute(insert(connection, REJECTS).on_conflict_do_nothing(), list(first.values()))
    rows = connection.execute(
        sa.select(REJECTS.c.id, REJECTS.c.state, REJECTS.c.first_seen, REJECTS.c.last_seen, REJECTS.c.times)
        .where(REJECTS.c.id.in_(ids))
        .order_by(REJECTS.c.id)
        .with_for_update()
    )
    known = {row.id: dict(row._mapping) for row in rows}
    heard = REJECT_DELIVERIES.c
    deliveries = connection.execute(
        sa.select(REJECT_DELIVERIES).where(
            heard.reject.in_(ids), heard.source.in_(sorted({key[1] for key in found}))
        )
    )
    before = {(row.reject, row.source, row.received_at): row for row in deliveries}
    counted, reopened = [], []
    for key, (row, times) in found.items():
        one, past = known[key[0]], before.get(key)
        total = times + (past.times if past is not None and past.load == load else 0)
        names = dict(zip(("reject", "source", "received_at"), key, strict=True))
        counted.append(names | {"load": load, "times": total})
        one["times"] += total - (past.times if past is not None else 0)
        one["first_seen"], one["last_seen"] = min(one["first_seen"], key[2]), max(one["last_seen"], key[2])
        if one["state"] == RETRIED or (one["state"] == DISCARDED and past is None):
            one["state"] = OPEN
            reopened.append({f"new_{name}": row[name] for name in ("id", *_TOLD_ANEW)})
    upsert = insert(connection, REJECT_DELIVERIES)
    connection.execute(
        upsert.on_conflict_do_update(
            index_elements=["reject", "source", "received_at"],
            set_={"load": upsert.excluded.load, "times": upsert.excluded.times},
        ),
        counted,
    )
    changed = [{f"new_{name}": value for name, value in one.items()} for one in known.values()]
    seen = ("state", "first_seen", "last_seen", "times")
    connection.execute(_update(seen), changed)
    if reopened:
        connection.execute(_update(_TOLD_ANEW).values(dict.fromkeys(_CLOSING)), reopened)


def _update(names: Sequence[str]) -> sa.Update:
    values: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in names}
    return sa.update(REJECTS).where(REJECTS.c.id == sa.bindparam("new_id")).values(values)


def _row(one: Refused, format_name: str) -> dict[str, Any]:
    reject, delivery = one.reject, one.parcel.delivery
    name = hashlib.blake2b(digest_size=12)
    probe = delivery.probe or delivery.said_by or ""
    for part in (reject.rule.value, format_name, delivery.resource or "", probe):
        name.update(part.encode() + b"\0")
    name.update(one.context + b"\0" + reject.text + str(reject.text_bytes).encode())
    return {
        "id": name.hexdigest(),
        "rule": reject.rule.value,
        "format": format_name,
        "probe": delivery.probe,
        "said_by": delivery.said_by,
        "resource": delivery.resource,
        "vo": delivery.vo,
        "source": one.parcel.source,
        "line": reject.line,
        "reason": reject.detail,
        "context": one.context,
        "text": reject.text,
        "archive_ref": one.archive_ref,
        "text_bytes": reject.text_bytes,
        "binding": binding_text(delivery),
        "first_seen": delivery.received_at,
        "last_seen": delivery.received_at,
        "times": 1,
        "state": OPEN,
        "batch": None,
    }


def binding_text(delivery: Delivery) -> str | None:
    """What the sender may send for, as it is kept in tables; None where it may for anything."""
    if delivery.may_send_for is None and not delivery.may_send_vos and not delivery.foreign_probes:
        return None
    resources = None if delivery.may_send_for is None else sorted(delivery.may_send_for)
    told = {
        "resources": resources,
        "vos": sorted(delivery.may_send_vos),
        "foreign": sorted(delivery.foreign_probes),
    }
    return json.dumps(told)


def bound(delivery: Delivery, text: str | None) -> Delivery:
    """The delivery with what a binding says put in."""
    if text is None:
        return delivery
    told = json.loads(text)
    resources = None if told["resources"] is None else frozenset(told["resources"])
    return replace(
        delivery,
        may_send_for=resources,
        may_send_vos=frozenset(told["vos"]),
        foreign_probes=frozenset(told["foreign"]),
    )


@dataclass(frozen=True)
class Group:
    """Refusals of one rule, format, probe (declared, else as the sender calls itself) and resource."""

    rule: str
    format: str
    probe: str | None
    resource: str | None
    state: str
    texts: int
    count: int
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True)
class Choice:
    """Which refusals are meant; None: whatever.

    ids:   ids, or their beginnings. exactly: whole ids, of any number up to some thousands.
    owned: only of those that belong to somebody.
    """

    ids: tuple[str, ...] = ()
    rule: str | None = None
    probe: str | None = None
    resource: str | None = None
    state: str | None = OPEN
    owned: Owned | None = None
    exactly: tuple[str, ...] | None = None

    def condition(self) -> sa.ColumnElement[bool]:
        """The condition of the rows meant."""
        told: list[sa.ColumnElement[bool]] = [sa.true()]
        if self.ids:
            told.append(sa.or_(*(REJECTS.c.id.startswith(one, autoescape=True) for one in self.ids)))
        for column in ("rule", "resource", "state"):
            value = getattr(self, column)
            if value is not None:
                told.append(REJECTS.c[column] == value)
        if self.probe is not None:
            told.append(sa.or_(REJECTS.c.probe == self.probe, REJECTS.c.said_by == self.probe))
        if self.owned is not None:
            told.append(self.owned.condition(REJECTS))
        if self.exactly is not None:
            told.append(REJECTS.c.id.in_(self.exactly))
        return sa.and_(*told)


def groups(engine: sa.Engine, choice: Choice) -> list[Group]:
    """Refusals by rule, format, probe and resource, the latest first. Raises: DatabaseUnavailable (retryable)."""
    probe = sa.func.coalesce(REJECTS.c.probe, REJECTS.c.said_by).label("probe")
    keys = [REJECTS.c.rule, REJECTS.c.format, probe, REJECTS.c.resource, REJECTS.c.state]
    statement = (
        sa.select(
            *keys,
            sa.func.count(),
            sa.func.sum(REJECTS.c.times),
            sa.func.min(REJECTS.c.first_seen),
            sa.func.max(REJECTS.c.last_seen).label("last"),
        )
        .where(choice.condition())
        .group_by(*keys)
        .order_by(sa.desc("last"))
    )
    with reading(engine) as connection:
        return [Group(*row[:6], int(row[6]), row[7], row[8]) for row in connection.execute(statement)]


def entries(engine: sa.Engine, choice: Choice, most: int | None = None) -> list[sa.Row[tuple[object, ...]]]:
    """The rows themselves, oldest first. Raises: DatabaseUnavailable (retryable)."""
    statement = (
        sa.select(REJECTS).where(choice.condition()).order_by(REJECTS.c.first_seen, REJECTS.c.id).limit(most)
    )
    with reading(engine) as connection:
        return list(connection.execute(statement))


def close(
    connection: sa.Connection, ids: Sequence[str], state: str, by: str, because: str, moment: datetime
) -> int:
    """Close open refusals in the caller's transaction; say how many."""
    if state == DISCARDED and not because.strip():
        raise UserMistake("nothing is discarded without a reason; write --reason TEXT")
    done = connection.execute(
        sa.update(REJECTS)
        .where(REJECTS.c.id.in_(ids), REJECTS.c.state == OPEN)
        .values(state=state, closed_at=moment, closed_by=by, closed_because=because)
    )
    return done.rowcount
