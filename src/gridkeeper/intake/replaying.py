"""Reads archived text again, after a parser was mended, and says what that changes before anything is committed.

A record that reads differently now becomes a revision, received at the moment of the replay. Only what still
counts from the same text is replaced: where a later delivery revised the record, that one goes on counting.
"""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gridkeeper.errors import UserMistake
from gridkeeper.federation.mapping import WORDS, Mapper
from gridkeeper.formats.contract import Block
from gridkeeper.formats.registry import format_named
from gridkeeper.intake.draining import GRATIA_POST
from gridkeeper.intake.gratia_post import read_post
from gridkeeper.intake.reading import Piece, Unit, read
from gridkeeper.intake.sources import Parcel
from gridkeeper.lake.archive import unpacked
from gridkeeper.records.draft import Delivery
from gridkeeper.records.tables import RECORD_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime

    from gridkeeper.federation.model import Registry
    from gridkeeper.lake.lake import Lake, Snapshot

TEXTS_AT_ONCE = 64
USAGE = "usage_records"


@dataclass(frozen=True)
class Wanted:
    """Which archived texts: received from `first` on and before `until` (days, UTC), of a format, of a probe."""

    first: date
    until: date
    format: str | None = None
    probe: str | None = None


@dataclass
class Sums:
    """What a replay changes at one place: new records, changed ones, and by how much the sums move."""

    new: int = 0
    changed: int = 0
    wall_seconds: int = 0
    core_seconds: int = 0
    cpu_seconds: int = 0


@dataclass
class Replayed:
    """What a replay found.

    by_place:  (VO, site), both as the registry maps them, → what changes there.
    orphans:   records that the text gave before and gives no more; they cannot be replaced, since nothing is removed.
    elsewhere: records that read differently, but of which a later delivery counts.
    """

    texts: int = 0
    records: int = 0
    same: int = 0
    elsewhere: int = 0
    orphans: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    by_place: defaultdict[tuple[str | None, str | None], Sums] = field(
        default_factory=lambda: defaultdict(Sums)
    )


def replay(lake: Lake, registry: Registry, wanted: Wanted, moment: datetime, *, commit: bool) -> Replayed:
    """Read archived texts again.

    moment: when the revisions count as received.
    commit: False only looks. Nothing is committed where there are orphans, as they would be counted twice.
    Raises: UserMistake (permanent), LakeUnavailable (retryable).
    """
    if wanted.first >= wanted.until:
        raise UserMistake("--from must lie before --to")
    snapshot = lake.snapshot()
    done, mapper = Replayed(), Mapper(registry)
    changes: list[pa.Table] = []
    for texts in _texts(snapshot, wanted):
        rows = _read_again(texts, moment, done)
        if rows is not None:
            changes.append(_compared(snapshot, rows, [str(text["sha256"]) for text in texts], mapper, done))
    if commit and done.orphans:
        raise UserMistake(
            f"{done.orphans:,} records would be counted twice, because their text names them differently now; "
            "look at --dry-run, and mend the identity before the replay"
        )
    if commit and changes:
        lake.append(RECORD_TABLES[USAGE], pa.concat_tables(changes))
    return done


def _texts(snapshot: Snapshot, wanted: Wanted) -> Iterator[list[dict[str, object]]]:
    conditions = ["received_at >= $first", "received_at < $until"]
    parameters: dict[str, Any] = {"first": wanted.first, "until": wanted.until}
    for name in ("format", "probe"):
        value = getattr(wanted, name)
        if value is not None:
            conditions.append(f"{name} = ${name}")
            parameters[name] = value
    names = snapshot.select(
        f"SELECT sha256 FROM archive WHERE {' AND '.join(conditions)} ORDER BY received_at, sha256",
        **parameters,
    )["sha256"].to_pylist()
    for start in range(0, len(names), TEXTS_AT_ONCE):
        chosen = pa.table({"sha256": names[start : start + TEXTS_AT_ONCE]})
        yield snapshot.select(
            "SELECT archive.* FROM archive JOIN chosen ON archive.sha256 = chosen.sha256 ORDER BY received_at, archive.sha256",
            tables={"chosen": chosen},
        ).to_pylist()


def _read_again(texts: list[dict[str, object]], moment: datetime, done: Replayed) -> pa.Table | None:
    tables = []
    for unit, name in (pair for text in texts for pair in _units(text, moment)):
        outcome = read(unit)
        done.records += outcome.read
        done.refused.update(one.reject.rule.value for one in outcome.refused)
        rows = outcome.tables.get(USAGE)
        if rows is not None:
            place = rows.schema.get_field_index("archive_ref")
            tables.append(rows.set_column(place, "archive_ref", pa.repeat(pa.scalar(name), len(rows))))
    done.texts += len(texts)
    return pa.concat_tables(tables) if tables else None


def _units(text: dict[str, object], moment: datetime) -> Iterator[tuple[Unit, str]]:
    data, name = unpacked(_bytes(text["payload"])), str(text["sha256"])
    format_name, line = str(text["format"]), int(str(text["first_line"]))
    delivery = Delivery(moment, _word(text["resource"]), _word(text["probe"]), _word(text["vo"]))
    if format_name == GRATIA_POST:
        delivery, format_name = Delivery(moment), "gratia-xml"
        blocks = list(format_named(format_name).blocks(io.BytesIO(read_post(data).text)))
    else:
        blocks = [Block(data, line, _bytes(text["context"]))]
    parcel = Parcel(str(text["source"]), _nothing, format_name, delivery)
    for block in blocks:
        yield Unit(format_name, block, (Piece(block.first_line, 0, parcel, block.first_line),)), name


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


def _word(value: object) -> str | None:
    return None if value is None else str(value)


@contextmanager
def _nothing() -> Iterator[BinaryIO]:
    yield io.BytesIO()


_SUMS = "njobs, wall_duration_s, processors, COALESCE(cpu_user_us, 0) + COALESCE(cpu_system_us, 0) AS cpu_us"


def _compared(
    snapshot: Snapshot, rows: pa.Table, names: list[str], mapper: Mapper, done: Replayed
) -> pa.Table:
    """Compare rows with what counts now; note what changes, and return the rows that change it."""
    words = ", ".join(WORDS)
    bounds = pc.min_max(rows["start_day"]).as_py()["min"], pc.min_max(rows["end_day"]).as_py()["max"]
    counting = snapshot.select(
        f"""
        SELECT identity, content_hash, archive_ref, {words}, {_SUMS} FROM usage_records
        WHERE identity IN (SELECT identity FROM again) OR archive_ref IN (SELECT name FROM names)
        """,
        days=(bounds[0] - timedelta(days=1), bounds[1] + timedelta(days=2)),
        tables={"again": rows.select(["identity"]), "names": pa.table({"name": names})},
    )
    known = {row["identity"]: row for row in counting.to_pylist()}
    again = snapshot.select(
        f"SELECT identity, content_hash, archive_ref, {words}, {_SUMS} FROM again", tables={"again": rows}
    ).to_pylist()
    done.orphans += len(
        {identity for identity, row in known.items() if row["archive_ref"] in names}
        - {row["identity"] for row in again}
    )
    kept = np.zeros(len(rows), dtype=bool)
    seen: set[tuple[bytes, int]] = set()
    for number, row in enumerate(again):
        if (row["identity"], row["content_hash"]) in seen:  # the same record in two texts
            continue
        seen.add((row["identity"], row["content_hash"]))
        before = known.get(row["identity"])
        if before is not None and before["content_hash"] == row["content_hash"]:
            done.same += 1
        elif before is not None and before["archive_ref"] != row["archive_ref"]:
            done.elsewhere += 1
        else:
            kept[number] = True
            _note(mapper, row, 1, done, new=before is None)
            if before is not None:
                _note(mapper, before, -1, done, new=None)
    return rows.filter(pa.array(kept))


def _note(mapper: Mapper, row: dict[str, object], sign: int, done: Replayed, *, new: bool | None) -> None:
    meaning = mapper.meaning({word: _word(row[word]) for word in WORDS})
    sums = done.by_place[meaning.vo, meaning.site]
    if new is not None:
        sums.new += new
        sums.changed += not new
    wall = int(str(row["wall_duration_s"]))
    sums.wall_seconds += sign * wall
    sums.core_seconds += sign * wall * int(str(row["processors"]))
    sums.cpu_seconds += sign * int(str(row["cpu_us"])) // 1_000_000
