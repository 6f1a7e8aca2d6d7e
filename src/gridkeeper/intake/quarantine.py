"""Keeps what was refused until somebody decides: one row a distinct text under one rule, never dropped silently."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gridkeeper.database import insert, reading, writing
from gridkeeper.errors import UserMistake
from gridkeeper.intake.tables import REJECTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gridkeeper.intake.reading import Refused
    from gridkeeper.records.draft import Delivery

OPEN, RETRIED, DISCARDED = "open", "loaded", "discarded"


def keep(engine: sa.Engine, refused: Sequence[Refused], format_name: str) -> None:
    """Keep refusals, on disk when this returns.

    The same text refused again counts once more, unless it is the same delivery loaded again after a crash.
    Raises: DatabaseUnavailable (retryable).
    """
    # In an order that all loaders keep, so that no two of them wait for each other; the same text in order of its coming.
    rows = sorted(
        ((_row(one, format_name), one.parcel.delivery.received_at) for one in refused),
        key=lambda pair: (str(pair[0]["id"]), pair[1]),
    )
    with writing(engine) as connection:
        for row, moment in rows:
            connection.execute(
                insert(connection, REJECTS)
                .values(row)
                .on_conflict_do_update(
                    index_elements=[REJECTS.c.id],
                    set_={"last_seen": moment, "times": REJECTS.c.times + 1, "state": OPEN},
                    where=REJECTS.c.last_seen < moment,
                )
            )


def _row(one: Refused, format_name: str) -> dict[str, object]:
    reject, delivery = one.reject, one.parcel.delivery
    name = hashlib.blake2b(digest_size=12)
    probe = delivery.probe or delivery.said_by or ""
    for part in (reject.rule.value, format_name, delivery.resource or "", probe):
        name.update(part.encode() + b"\0")
    name.update(reject.text + str(reject.text_bytes).encode())
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
    """Which refusals are meant; None: whatever."""

    ids: tuple[str, ...] = ()
    rule: str | None = None
    probe: str | None = None
    resource: str | None = None
    state: str | None = OPEN

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
