"""Archived texts, to be read once more as they were read at first: as their senders declared them, for what those may send for.

A text that came several times with different words beside it is read once for each of them. Texts of a home that kept
no receptions yet are read as the archive's own row says, with the binding that the inbox or the quarantine still knows.
"""

from __future__ import annotations

import io
import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO

import sqlalchemy as sa

from gridkeeper.database import reading
from gridkeeper.formats.contract import Block
from gridkeeper.formats.registry import format_named
from gridkeeper.intake import quarantine
from gridkeeper.intake.gratia_post import read_post, without_long_members
from gridkeeper.intake.opening import GRATIA_POST, too_long
from gridkeeper.intake.reading import Piece, Refused, Unit
from gridkeeper.intake.sources import Original, Parcel
from gridkeeper.intake.tables import BATCHES, REJECTS
from gridkeeper.lake.archive import DISCARDED_TEXT, RECEPTIONS, unpacked
from gridkeeper.records.draft import Delivery

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

    import pyarrow as pa

    from gridkeeper.lake.lake import Lake, Snapshot

TOGETHER_BYTES = 64 * 1024 * 1024
TOGETHER_TEXTS = 5_000
_AT_ONCE = 500  # names in one question to the database
_BATCH = re.compile(r"batch ([0-9a-f]+)")


@dataclass(frozen=True)
class Wanted:
    """Which archived texts: received from `first` on and before `until` (days, UTC), of a format, of a probe.

    probe: declared of the text, or the one that its sender said it was.
    """

    first: date
    until: date
    format: str | None = None
    probe: str | None = None


@dataclass(frozen=True)
class Telling:
    """One way in which a text came: in which format, from where, and what was declared of it."""

    format: str
    source: str
    delivery: Delivery


@dataclass(frozen=True)
class Text:
    """One archived text. data: its bytes as received."""

    name: str
    data: bytes
    first_line: int
    context: bytes
    tellings: tuple[Telling, ...]


@dataclass(frozen=True)
class Prepared:
    """A text made ready to be read in one of its tellings.

    plain:   the text as a format reads it.
    refused: what is refused before any format sees it, as it was at first.
    """

    units: list[Unit]
    plain: bytes
    refused: list[Refused]


def wanted_texts(
    lake: Lake, snapshot: Snapshot, engine: sa.Engine | None, wanted: Wanted
) -> Iterator[list[Text]]:
    """The wanted texts, as many at a time as fit into memory; each in all its tellings, as its records came from them all.

    engine: the operational database, where there is one.
    Raises: LakeUnavailable, DatabaseUnavailable (retryable).
    """
    if not lake.has("archive"):
        return
    receptions = {} if lake.has("receptions") else {"receptions": RECEPTIONS.schema.empty_table()}
    names = _names(snapshot, wanted, receptions)
    start, size = 0, 0
    for end, count in enumerate([*names["bytes"].to_pylist(), None], start=0):
        full = size + (count or 0) > TOGETHER_BYTES or end - start >= TOGETHER_TEXTS
        if start < end and (count is None or full):
            found = _texts(snapshot, engine, names.slice(start, end - start), receptions)
            yield [text for text in found if _is_of(text, wanted)]
            start, size = end, 0
        size += count or 0


def _names(snapshot: Snapshot, wanted: Wanted, receptions: Mapping[str, pa.Table]) -> pa.Table:
    conditions = ["received_at >= $first", "received_at < $until", "format <> $discarded"]
    parameters: dict[str, Any] = {"first": wanted.first, "until": wanted.until, "discarded": DISCARDED_TEXT}
    of_probe, of_old_probe = "TRUE", "TRUE"
    if wanted.format is not None:
        conditions.append("format = $format")
        parameters["format"] = wanted.format
    if wanted.probe is not None:
        of_probe = "(probe = $probe OR said_by = $probe)"
        of_old_probe = f"(probe = $probe OR format = '{GRATIA_POST}')"  # which says itself whose it is
        parameters["probe"] = wanted.probe
    within = " AND ".join(conditions)
    return snapshot.select(
        f"""
        WITH meant AS (
            SELECT sha256 FROM receptions WHERE {within} AND {of_probe}
            UNION
            SELECT sha256 FROM (SELECT * FROM archive ANTI JOIN receptions USING (sha256)) AS old WHERE {within} AND {of_old_probe}
        )
        SELECT sha256, MIN(received_at) AS kept_at, MIN(bytes) AS bytes FROM archive SEMI JOIN meant USING (sha256)
        GROUP BY sha256 ORDER BY kept_at, sha256
        """,
        tables=receptions,
        **parameters,
    )


def _texts(
    snapshot: Snapshot, engine: sa.Engine | None, names: pa.Table, receptions: Mapping[str, pa.Table]
) -> list[Text]:
    kept = snapshot.select(  # bounds of the moment spare reading the payloads of all other texts
        """
        SELECT archive.* FROM archive JOIN chosen ON archive.sha256 = chosen.sha256 AND archive.received_at = chosen.kept_at
        WHERE archive.received_at >= $first AND archive.received_at <= $last ORDER BY archive.received_at, archive.sha256
        """,
        tables={"chosen": names},
        first=names["kept_at"][0].as_py(),
        last=names["kept_at"][-1].as_py(),
    ).to_pylist()
    told = snapshot.select(
        """
        SELECT sha256, format, probe, said_by, resource, vo, binding, MIN(received_at) AS received_at, ARG_MIN(source, received_at) AS source
        FROM receptions SEMI JOIN chosen USING (sha256) GROUP BY ALL ORDER BY received_at, source
        """,
        tables={**receptions, "chosen": names},
    )
    tellings: dict[str, list[Telling]] = {}
    for row in told.to_pylist():
        delivery = Delivery(
            row["received_at"], row["resource"], row["probe"], row["vo"], said_by=row["said_by"]
        )
        one = Telling(row["format"], row["source"], quarantine.bound(delivery, row["binding"]))
        tellings.setdefault(row["sha256"], []).append(one)
    old = [row for row in kept if row["sha256"] not in tellings]
    bindings = _bindings(engine, old) if engine is not None else {}
    for row in old:
        delivery = Delivery(row["received_at"], row["resource"], row["probe"], row["vo"])
        tellings[row["sha256"]] = [
            Telling(row["format"], row["source"], quarantine.bound(delivery, binding))
            for binding in bindings.get(row["sha256"]) or [None]
        ]
    return [
        Text(
            row["sha256"],
            unpacked(row["payload"]),
            row["first_line"],
            row["context"] or b"",
            tuple(tellings[row["sha256"]]),
        )
        for row in kept
    ]


def _bindings(engine: sa.Engine, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str | None]]:
    """What the senders of texts may send for, by the name of the text, where their receptions were not kept.

    The inbox says it for a while; afterwards the quarantine does, of every text in which something was refused.
    """
    batches = {row["sha256"]: found[1] for row in rows if (found := _BATCH.match(row["source"])) is not None}
    known: dict[str, list[str | None]] = {}
    with reading(engine) as connection:
        names = list(batches.items())
        for start in range(0, len(names), _AT_ONCE):
            part = dict(names[start : start + _AT_ONCE])
            received = sa.select(BATCHES.c.id, BATCHES.c.binding).where(BATCHES.c.id.in_(part.values()))
            of_batch = {row.id: row.binding for row in connection.execute(received)}
            known |= {name: [of_batch[batch]] for name, batch in part.items() if batch in of_batch}
            left = [name for name in part if name not in known]
            told = sa.select(REJECTS.c.archive_ref, REJECTS.c.binding).distinct()
            for name, binding in connection.execute(told.where(REJECTS.c.archive_ref.in_(left))):
                known.setdefault(name, []).append(binding)
    return known


def _is_of(text: Text, wanted: Wanted) -> bool:
    """Whether a text is of the wanted probe, where only the text itself can say it."""
    if wanted.probe is None or any(
        wanted.probe in (telling.delivery.probe, telling.delivery.said_by) for telling in text.tellings
    ):
        return True
    return any(telling.format == GRATIA_POST for telling in text.tellings) and (
        read_post(text.data).probe == wanted.probe
    )


def prepared(text: Text, telling: Telling, member_bytes: int) -> Prepared:
    """Make a text ready to be read as it was at first.

    member_bytes: the largest record in a Gratia probe's post.
    """
    if telling.format != GRATIA_POST:
        block = Block(text.data, text.first_line, text.context)
        return Prepared([_unit(text, telling, telling.format, block)], text.data, [])
    post = read_post(text.data)
    short, long = without_long_members(post.text, member_bytes)
    # As such refusals were always kept: under the name in the post.
    said_by = replace(telling.delivery, said_by=telling.delivery.said_by or post.probe)
    parcel = _parcel(text, replace(telling, delivery=said_by))
    blocks = format_named("gratia-xml").blocks(io.BytesIO(short))
    return Prepared(
        [_unit(text, telling, "gratia-xml", block) for block in blocks],
        post.text,
        [Refused(0, parcel, too_long(member, member_bytes), b"", text.name) for member in long],
    )


def _unit(text: Text, telling: Telling, format_name: str, block: Block) -> Unit:
    parcel = _parcel(text, telling)
    return Unit(format_name, block, (Piece(block.first_line, 0, parcel, block.first_line),))


def _parcel(text: Text, telling: Telling) -> Parcel:
    kept = Original(text.name, telling.format, b"", 0)  # it is in the archive; its records go on naming it
    return Parcel(telling.source, _nothing, telling.format, telling.delivery, kept)


@contextmanager
def _nothing() -> Iterator[BinaryIO]:
    yield io.BytesIO()
