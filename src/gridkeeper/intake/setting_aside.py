"""Whole batches that cannot be loaded: sets them aside, hands them back to the loader, discards them.

The batch in the inbox and its row in the quarantine change in one transaction, so that neither is ever without the other.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gridkeeper.clock import now
from gridkeeper.database import reading, writing
from gridkeeper.intake import counting, quarantine
from gridkeeper.intake.bodies import bytes_stream
from gridkeeper.intake.inbox import DISCARDED, SET_ASIDE, WAITING
from gridkeeper.intake.reading import Refused
from gridkeeper.intake.sources import Original, Parcel
from gridkeeper.intake.tables import BATCHES, PARTS, REJECTS
from gridkeeper.intake.waiting import stream
from gridkeeper.lake.archive import DISCARDED_TEXT, Received, digest, packed
from gridkeeper.records.rules import REJECT_TEXT_LIMIT_BYTES, Reject, Rule
from gridkeeper.trust import audit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from gridkeeper.intake.waiting import Batch
    from gridkeeper.lake.lake import Lake
    from gridkeeper.records.draft import Delivery

PIECE_BYTES = 8 * 1024 * 1024  # of a body in the archive: one piece in memory at a time


def with_head(engine: sa.Engine, batch: Batch, rule: Rule, why: str) -> Reject:
    """The refusal of a whole batch, with the beginning of its body as it was sent. Raises: DatabaseUnavailable (retryable)."""
    head = stream(engine, batch.id).read(REJECT_TEXT_LIMIT_BYTES)
    return Reject(rule, 1, why, head, batch.bytes)


def refusal(batch: Batch, delivery: Delivery, reject: Reject) -> Refused:
    """The refusal of a whole batch as the quarantine keeps it. delivery: what is declared of it."""
    parcel = Parcel(f"batch {batch.id}", lambda: bytes_stream(b""), batch.format, delivery)
    return Refused(0, parcel, reject, b"", batch.sha256, is_whole=True)


def set_aside(
    engine: sa.Engine,
    batch: Batch,
    refused: Refused,
    result: Mapping[str, object],
    moment: datetime,
    load: str,
    counts: Mapping[tuple[str, str], float] | None = None,
) -> None:
    """Take a batch that cannot be loaded (wholly) out of the way; its body stays until somebody decides.

    load:   the name of the round; counts: what is counted with it.
    Nothing happens where another loader was done with it meanwhile. Raises: DatabaseUnavailable (retryable).
    """
    said = json.dumps({**result, "problem": refused.reject.detail})
    with writing(engine) as connection:
        done = connection.execute(
            sa.update(BATCHES)
            .where(BATCHES.c.id == batch.id, BATCHES.c.state == WAITING)
            .values(state=SET_ASIDE, finished_at=moment, claimed_by=None, not_before=None, result=said)
        )
        if done.rowcount:
            quarantine.keep_whole(connection, refused, batch.id, batch.format, load)
            counting.add(connection, counts or {})
            told = {
                name: getattr(batch, name) for name in ("sender", "address", "format", "bytes", "attempts")
            }
            told["result"] = {**result, "problem": refused.reject.detail}
            audit.record(connection, audit.LOADER, "batch.set-aside", f"batch {batch.id}", told, at=moment)


def state(engine: sa.Engine, name: str) -> str | None:
    """The state of a batch; None where it is not known. Raises: DatabaseUnavailable (retryable)."""
    with reading(engine) as connection:
        found = connection.execute(
            sa.select(BATCHES.c.state).where(BATCHES.c.id == name)
        ).scalar_one_or_none()
    return None if found is None else str(found)


def hand_back(engine: sa.Engine, row: sa.Row[tuple[object, ...]], by: str) -> bool:
    """Give the batch of a refusal to the loader again, as if it had just come; say whether it was still set aside.

    Raises: DatabaseUnavailable (retryable).
    """
    fresh = {"attempts": 0, "failures": 0, "not_before": None, "claimed_by": None, "claimed_at": None}
    with writing(engine) as connection:
        changed = connection.execute(
            sa.update(BATCHES)
            .where(BATCHES.c.id == row.batch, BATCHES.c.state == SET_ASIDE)
            .values(state=WAITING, finished_at=None, result=None, **fresh)
        ).rowcount
        if changed:
            quarantine.close(connection, [row.id], quarantine.RETRIED, by, "handed back to the loader", now())
            audit.record(connection, by, "quarantine.retry", f"batch {row.batch}", {"rule": row.rule})
    return bool(changed)


def discard(engine: sa.Engine, lake: Lake, row: sa.Row[tuple[object, ...]], by: str, because: str) -> int:
    """Close the refusal of a whole batch for good and free its body; say whether it was still open (1 or 0).

    The body is freed only when all of it is kept elsewhere: in the row itself where it is short, else in the archive.
    Raises: UserMistake (permanent) without a reason; LakeUnavailable, DatabaseUnavailable (retryable).
    """
    with reading(engine) as connection:
        batch = connection.execute(sa.select(BATCHES).where(BATCHES.c.id == row.batch)).one_or_none()
    kept_as = None
    if batch is not None and batch.state == SET_ASIDE:
        is_kept = batch.encoding == "identity" and len(row.text) == batch.bytes
        kept_as = None if is_kept else _into_archive(engine, lake, batch)
    with writing(engine) as connection:
        freed = connection.execute(
            sa.update(BATCHES)
            .where(BATCHES.c.id == row.batch, BATCHES.c.state == SET_ASIDE)
            .values(state=DISCARDED, finished_at=now())
        ).rowcount
        if (
            batch is not None and not freed
        ):  # handed back, or discarded, meanwhile: then the row is closed already
            return 0
        connection.execute(sa.delete(PARTS).where(PARTS.c.batch == row.batch))
        count = quarantine.close(connection, [row.id], quarantine.DISCARDED, by, because, now())
        if kept_as is not None:
            connection.execute(sa.update(REJECTS).where(REJECTS.c.id == row.id).values(archive_ref=kept_as))
        told = {"reason": because, "ids": [row.id], "archived_as": kept_as}
        audit.record(connection, by, "quarantine.discard", f"batch {row.batch}", told)
    return count


def received(batch: Batch | sa.Row[tuple[object, ...]], original: Original, context: bytes = b"") -> Received:
    """What was received as a batch, or a piece of it, as the archive keeps it."""
    is_post = batch.door == "gratia"  # in which a name is its sender's word only
    return Received(
        sha256=original.name,
        received_at=batch.received_at,
        source=f"batch {batch.id}",
        sender=batch.sender,
        address=batch.address,
        format=original.format,
        probe=None if is_post else batch.probe,
        said_by=batch.probe if is_post else None,
        resource=batch.resource,
        vo=batch.vo,
        binding=batch.binding,
        first_line=1,
        context=context,
        payload=original.payload,
        bytes=original.bytes,
    )


def _into_archive(engine: sa.Engine, lake: Lake, batch: sa.Row[tuple[object, ...]]) -> str:
    """Put a whole body, as it was sent, into the archive; say under which name its first piece is there.

    It is there as discarded text, which a replay passes over; so its name is another than that of the same text, loaded.
    """
    body, names, number = stream(engine, batch.id), [], 0
    while piece := body.read(PIECE_BYTES):
        context = f"discarded {batch.sha256} {batch.format} {batch.encoding} piece {number}".encode()
        original = Original(digest(piece, context), DISCARDED_TEXT, packed(piece), len(piece))
        lake.archive([received(batch, original, context)])
        names.append(original.name)
        number += 1
    return names[0]
