"""The loader's side of the inbox: claims batches, reads their bodies, says what became of them, frees them.

A claim names the process that has it. A process that ended (crashed, was killed) has no claims: on the same host
that is seen at once, on another after CLAIM_LASTS. Loading a batch twice does no harm, since a record counts once.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import sqlite3
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from gridkeeper.database import reading, writing
from gridkeeper.intake import counting
from gridkeeper.intake.inbox import DISCARDED, LOADED, WAITING
from gridkeeper.intake.tables import BATCHES, LOADER_FAULTS, PARTS, REJECT_DELIVERIES
from gridkeeper.trust import audit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

CLAIM_LASTS = timedelta(minutes=10)
MOST_ATTEMPTS = 100  # claims that ended with the loader's death, whoever killed it
SUSPECT_FROM_ATTEMPT = 2
MOST_BYTES_FREED = 100_000_000  # at once, so that nobody waits long for the database
SUSPECTS_TOGETHER = 64  # halved with every attempt, down to one


@dataclass(frozen=True)
class Batch:
    """A claimed batch; see the table `inbox_batches`."""

    id: str
    received_at: datetime
    door: str
    format: str
    encoding: str
    resource: str | None
    probe: str | None
    vo: str | None
    sender: str
    address: str
    binding: str | None
    bytes: int
    sha256: str
    attempts: int
    failures: int


_ONE_PART = sa.select(PARTS.c.data).where(
    PARTS.c.batch == sa.bindparam("batch"), PARTS.c.part == sa.bindparam("part")
)
_COLUMNS = [BATCHES.c[name] for name in Batch.__dataclass_fields__]


def me() -> str:
    """Name the process in claims: host, process, and when the process began."""
    return f"{socket.gethostname()}/{os.getpid()}/{_began(os.getpid())}"


def _began(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(") ", 1)[1].split()[19]
    except (OSError, IndexError):
        return "-"


def is_of_this_host(claimant: str) -> bool:
    """Whether a process named in a claim runs, or ran, on this host."""
    return claimant.partition("/")[0] == socket.gethostname()


def is_gone(claimant: str) -> bool:
    """Whether a process named in a claim has ended, as far as that can be seen from this host."""
    process, began = claimant.split("/")[-2:]
    return is_of_this_host(claimant) and process.isdecimal() and _began(int(process)) != began


def is_suspect(batch: Batch) -> bool:
    """Whether a loader died over a batch so often that it is loaded in small company, and nothing beside it."""
    return batch.attempts >= SUSPECT_FROM_ATTEMPT


def claim(
    engine: sa.Engine,
    claimant: str,
    most_bytes: int,
    moment: datetime,
    besides: Collection[str] = (),
    *,
    until: datetime | None = None,
    suspects: bool = True,
) -> list[Batch]:
    """Claim the oldest batches that nobody has and whose time has come, about `most_bytes` of them.

    What a loader died over before comes after all others, and in ever smaller company, so that in the end a poisonous
    batch takes no other down with it. One that failed has its place in the queue by when it may be tried again, so that
    it is never before what was not tried yet. What `claimant` has claimed already is free, but for those in `besides`:
    it would not ask if it were at work on it.

    until:    nothing is claimed unless the first of it came, or may be tried again, by then.
    suspects: whether what a loader died over before may be claimed, too.
    Raises: DatabaseUnavailable (retryable).
    """
    suspect = BATCHES.c.attempts >= SUSPECT_FROM_ATTEMPT
    chosen: list[Batch] = []
    with writing(engine) as connection:
        for kind in (~suspect, suspect) if suspects else (~suspect,):
            size = 0
            for since, batch in _free(connection, kind, claimant, moment, besides):
                most = max(1, SUSPECTS_TOGETHER >> batch.attempts) if is_suspect(batch) else len(chosen) + 1
                is_enough = chosen and (len(chosen) >= most or size + batch.bytes > most_bytes)
                if is_enough or (until is not None and not chosen and since > until):
                    break
                chosen.append(batch)
                size += batch.bytes
            if chosen:
                break
        if chosen:
            connection.execute(
                sa.update(BATCHES)
                .where(BATCHES.c.id.in_([batch.id for batch in chosen]))
                .values(claimed_by=claimant, claimed_at=moment, attempts=BATCHES.c.attempts + 1)
            )
    return chosen


def _free(
    connection: sa.Connection,
    kind: sa.ColumnElement[bool],
    claimant: str,
    moment: datetime,
    besides: Collection[str],
) -> Iterator[tuple[datetime, Batch]]:
    """Batches of a kind that `claimant` may claim, the oldest first, each with the moment that its place in the queue comes from."""
    found = connection.execute(
        sa.select(*_COLUMNS, BATCHES.c.claimed_by, BATCHES.c.claimed_at, BATCHES.c.not_before)
        .where(BATCHES.c.state == WAITING, _is_time(moment), kind)
        .order_by(sa.func.coalesce(BATCHES.c.not_before, BATCHES.c.received_at))
        .with_for_update(skip_locked=True)
    )
    for row in found:
        if row.id not in besides and _is_free(row.claimed_by, row.claimed_at, claimant, moment):
            yield row.not_before or row.received_at, Batch(*row[: len(_COLUMNS)])


def _is_free(claimed_by: str | None, claimed_at: datetime, claimant: str, moment: datetime) -> bool:
    return (
        claimed_by is None
        or claimed_by == claimant
        or moment - claimed_at > CLAIM_LASTS
        or is_gone(claimed_by)
    )


def _is_time(moment: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(BATCHES.c.not_before.is_(None), BATCHES.c.not_before <= moment)


def one_attempt_less() -> sa.ColumnElement[int]:
    """What `attempts` becomes where a claim ended through no fault of the batch."""
    return BATCHES.c.attempts - 1


def put_off(engine: sa.Engine, batches: Collection[str], until: datetime, **changes: object) -> None:
    """Give up claims on batches that failed; nobody claims them before a moment. Raises: DatabaseUnavailable (retryable).

    changes: of other columns, in the same breath.
    """
    with writing(engine) as connection:
        connection.execute(
            sa.update(BATCHES)
            .where(BATCHES.c.id.in_(batches), BATCHES.c.state == WAITING)
            .values(claimed_by=None, not_before=until, **changes)
        )


def bring_forward(engine: sa.Engine) -> None:
    """Let what was put off for no fault of its own be tried at once: for a loader that begins, perhaps mended."""
    with writing(engine) as connection:
        connection.execute(
            sa.update(BATCHES)
            .where(BATCHES.c.state == WAITING, BATCHES.c.failures == 0, BATCHES.c.not_before.is_not(None))
            .values(not_before=None)
        )


def oldest(engine: sa.Engine, moment: datetime | None = None) -> tuple[datetime | None, int]:
    """When the oldest waiting batch came, and how many bytes wait; with a moment, only of those whose time has come.

    Raises: DatabaseUnavailable (retryable).
    """
    with reading(engine) as connection:
        first, size = connection.execute(
            sa.select(sa.func.min(BATCHES.c.received_at), sa.func.sum(BATCHES.c.bytes)).where(
                BATCHES.c.state == WAITING, sa.true() if moment is None else _is_time(moment)
            )
        ).one()
    return first, int(size or 0)


def body(engine: sa.Engine, batch: Batch) -> bytes:
    """All of a small body."""
    return Parts(engine, batch.id).readall()


def stream(engine: sa.Engine, batch: str) -> io.BufferedReader:
    """A body as it was sent, of any size, as a stream."""
    return io.BufferedReader(cast("Any", Parts(engine, batch)), 256 * 1024)


class Parts(io.RawIOBase):
    """A batch's body as a stream; one part in memory at a time, each read in a transaction of its own."""

    def __init__(self, engine: sa.Engine, batch: str) -> None:
        super().__init__()
        self._engine, self._batch = engine, batch
        self._next, self._held = 0, memoryview(b"")

    def readable(self) -> bool:
        """It is for reading."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Fill a buffer from the parts, in order."""
        if not self._held:
            with reading(self._engine) as connection:
                data = connection.execute(
                    _ONE_PART, {"batch": self._batch, "part": self._next}
                ).scalar_one_or_none()
            self._next += 1
            self._held = memoryview(bytes(data or b""))
        count = min(len(buffer), len(self._held))
        buffer[:count] = self._held[:count]
        self._held = self._held[count:]
        return count


def finish(
    engine: sa.Engine,
    results: Mapping[str, Mapping[str, object]],
    moment: datetime,
    counts: Mapping[tuple[str, str], float] | None = None,
) -> None:
    """Say what became of batches, free their bodies, and count, in one transaction.

    A batch that another loader finished, because it took this one for dead, keeps what that one said of it.
    Raises: DatabaseUnavailable (retryable).
    """
    with writing(engine) as connection:
        for name, result in sorted(results.items()):
            connection.execute(
                sa.update(BATCHES)
                .where(BATCHES.c.id == name, BATCHES.c.state == WAITING)
                .values(state=LOADED, finished_at=moment, claimed_by=None, result=json.dumps(result))
            )
        loaded = sa.select(BATCHES.c.id).where(BATCHES.c.id.in_(list(results)), BATCHES.c.state == LOADED)
        connection.execute(sa.delete(PARTS).where(PARTS.c.batch.in_(loaded)))
        counting.add(connection, counts or {})


def give_back(engine: sa.Engine, batches: Sequence[Batch]) -> None:
    """Give up claims because the lake cannot be written now; that was no fault of the batches."""
    with writing(engine) as connection:
        connection.execute(
            sa.update(BATCHES)
            .where(BATCHES.c.id.in_([batch.id for batch in batches]))
            .values(claimed_by=None, attempts=one_attempt_less())
        )


def unfinished(engine: sa.Engine) -> dict[str, int]:
    """Uploads that have parts and no batch, and how many parts: still arriving, or broken off with their collector."""
    whole = sa.exists().where(BATCHES.c.id == PARTS.c.batch)
    statement = sa.select(PARTS.c.batch, sa.func.count()).where(~whole).group_by(PARTS.c.batch)
    with reading(engine) as connection:
        return {row[0]: row[1] for row in connection.execute(statement)}


def forget(
    engine: sa.Engine, before: datetime, broken_off: Collection[str] = (), who: str = audit.LOADER
) -> int:
    """Forget what became of batches that were finished before a moment, and the parts of uploads that broke off.

    What was set aside is not finished: it stays until somebody decides. What refusals a delivery held is remembered as
    long as its batch.
    """
    with writing(engine) as connection:
        gone = connection.execute(
            sa.delete(BATCHES).where(BATCHES.c.state.in_((LOADED, DISCARDED)), BATCHES.c.finished_at < before)
        ).rowcount
        remembered = sa.exists().where(sa.literal("batch ") + BATCHES.c.id == REJECT_DELIVERIES.c.source)
        connection.execute(
            sa.delete(REJECT_DELIVERIES).where(REJECT_DELIVERIES.c.received_at < before, ~remembered)
        )
        connection.execute(sa.delete(LOADER_FAULTS).where(LOADER_FAULTS.c.last_at < before))
        whole = sa.exists().where(BATCHES.c.id == PARTS.c.batch)
        parts = connection.execute(sa.delete(PARTS).where(PARTS.c.batch.in_(broken_off), ~whole)).rowcount
        if gone or parts:
            told = {"receipts": gone, "uploads_broken_off": len(broken_off), "parts": parts}
            audit.record(connection, who, "inbox.forget", f"finished before {before:%Y-%m-%d %H:%M}", told)
    if engine.dialect.name == "sqlite":
        _shrink(engine)
    return gone


def _shrink(engine: sa.Engine) -> None:
    """Give free pages back to the disk. One step of the statement frees one page, so it must be run to its end."""
    with (
        engine.connect() as connection,
        contextlib.suppress(sqlite3.OperationalError),
    ):  # busy, full: next time
        raw: Any = connection.connection.driver_connection
        (page_bytes,) = raw.execute("PRAGMA page_size").fetchone()
        raw.executescript(f"PRAGMA incremental_vacuum({MOST_BYTES_FREED // page_bytes})")
