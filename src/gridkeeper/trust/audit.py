"""The audit: everything that changed state, who did it, when and from where; rows are only ever added."""

from __future__ import annotations

import json
import os
import pwd
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gridkeeper import clock
from gridkeeper.trust.refusals import shown
from gridkeeper.trust.tables import AUDIT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

MOST_ENTRIES_AT_ONCE = 1000
LOADER, SCHEDULER = "loader", "scheduler"  # who, where nobody stands behind it but this program
_ACT = re.compile(r"[a-z][a-z-]*(\.[a-z][a-z-]*)+")
_SECRET = re.compile(r"(gk_[0-9a-f]+_)[0-9a-f]+|(eyJ[\w-]+\.[\w-]+\.)[\w-]*")


@dataclass(frozen=True)
class Entry:
    """One thing that was done.

    act: what, as `token.create`; subject: to what; details: in values; address: from where, None at the console.
    """

    id: int
    at: datetime
    who: str
    address: str | None
    act: str
    subject: str
    details: dict[str, Any]


def record(
    connection: sa.Connection,
    who: str,
    act: str,
    subject: str,
    details: Mapping[str, Any],
    address: str | None = None,
    at: datetime | None = None,
) -> int:
    """Write down what is done, in the transaction that does it: both are there, or neither. Returns: the entry's id.

    details: what JSON can say; a token among it is cut down to its public part.
    Raises: ValueError where `act` is not of the form `noun.verb`; DatabaseUnavailable (retryable) by the transaction.
    """
    if not _ACT.fullmatch(act):
        raise ValueError(f"the act {act!r} is not of the form noun.verb")
    written = connection.execute(
        AUDIT.insert().values(
            at=at or clock.now(),
            who=_without_secrets(who),
            address=None if address is None else _without_secrets(address),
            act=act,
            subject=_without_secrets(subject),
            details=_without_secrets(json.dumps(details, ensure_ascii=False, sort_keys=True, default=str)),
        )
    )
    number: int = written.inserted_primary_key[0]  # type: ignore[index]  # an insert of one row has one
    return number


def entries(
    connection: sa.Connection,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    who: str | None = None,
    act: str | None = None,
    subject: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Entry]:
    """Read the audit, newest first.

    since, until: moments, half-open. act: whole (`token.create`) or its noun (`token`). who, subject: exact.
    before: only entries with a smaller id, to read on. limit: at most MOST_ENTRIES_AT_ONCE.
    """
    query = sa.select(AUDIT).order_by(AUDIT.c.id.desc()).limit(min(limit, MOST_ENTRIES_AT_ONCE))
    if since is not None:
        query = query.where(AUDIT.c.at >= since)
    if until is not None:
        query = query.where(AUDIT.c.at < until)
    if who is not None:
        query = query.where(AUDIT.c.who == who)
    if act is not None:
        query = query.where(sa.or_(AUDIT.c.act == act, AUDIT.c.act.startswith(f"{act}.", autoescape=True)))
    if subject is not None:
        query = query.where(AUDIT.c.subject == subject)
    if before is not None:
        query = query.where(AUDIT.c.id < before)
    return [
        Entry(row.id, row.at, row.who, row.address, row.act, row.subject, json.loads(row.details))
        for row in connection.execute(query)
    ]


def local_user() -> str:
    """Who sits at the console: `local alice`. The system says so, not the environment, which anybody can set."""
    number = os.getuid()
    try:
        return f"local {shown(pwd.getpwuid(number).pw_name)}"
    except KeyError:
        return f"local uid {number}"


def _without_secrets(text: str) -> str:
    text = (
        text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    )  # as PostgreSQL needs it
    return _SECRET.sub(lambda found: f"{found[1] or found[2]}…", text)
