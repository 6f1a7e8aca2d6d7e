"""Reads archived text again, after a parser was mended, and says what that changes before anything is committed.

A text is read as when it was received: with what its sender declared, for what that sender may send for, under the same
limits, and as of that moment. A record that reads differently now becomes a revision, received at the moment of the replay.
What is refused is kept like any refusal; refusals that the replay does not find any more are closed.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import sqlalchemy as sa

from gridkeeper.database import reading, writing
from gridkeeper.errors import GridkeeperError, UserMistake
from gridkeeper.federation.mapping import Mapper
from gridkeeper.intake import quarantine
from gridkeeper.intake.archived import Text, Wanted, prepared, wanted_texts
from gridkeeper.intake.comparing import Changes, comparisons
from gridkeeper.intake.reading import Refused, read
from gridkeeper.intake.tables import REJECTS
from gridkeeper.records.rules import Rule
from gridkeeper.records.tables import RECORD_TABLES
from gridkeeper.trust import audit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from gridkeeper.federation.model import Registry
    from gridkeeper.intake.comparing import Comparison
    from gridkeeper.lake.lake import Lake

PLACES_IN_AUDIT = 100
_AT_ONCE = 500
# Refusals of no single record: reading the text again says nothing of them.
OF_WHOLE_BATCHES = (Rule.UNREADABLE_BATCH.value, Rule.TOO_MANY_MEMBERS.value, Rule.BUNDLE_SIZE.value)


@dataclass
class Replayed:
    """What a replay found. records = rows of all tables + refused + skipped.

    tables:   by table of records, what becomes of its rows.
    refused:  by rule; skipped: by reason.
    closed:   refusals in the quarantine that are refused no more.
    """

    texts: int = 0
    records: int = 0
    tables: dict[str, Changes] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    closed: int = 0


@dataclass
class _Gathered:
    """What is kept in mind while the texts are read."""

    names: list[str] = field(default_factory=list)
    refused: defaultdict[str, list[Refused]] = field(default_factory=lambda: defaultdict(list))
    closing: list[str] = field(default_factory=list)


def replay(
    lake: Lake,
    registry: Registry,
    wanted: Wanted,
    moment: datetime,
    *,
    member_bytes: int,
    engine: sa.Engine | None,
    by: str | None,
) -> Replayed:
    """Read archived texts again.

    moment:       when the revisions count as received.
    member_bytes: the largest record in a Gratia probe's post (`intake.member_bytes`).
    engine:       the operational database; None where there is none, and then there are no refusals to close.
    by:           who commits; None only looks, and writes nothing at all. Nothing is committed where a text gives new
                  records and not those that it gave before, as they would be counted twice.
    Raises: UserMistake (permanent), LakeUnavailable, DatabaseUnavailable (retryable).
    """
    if wanted.first >= wanted.until:
        raise UserMistake("--from must lie before --to")
    snapshot = lake.snapshot()
    done, gathered, compared = Replayed(), _Gathered(), comparisons(lake, snapshot)
    for texts in wanted_texts(lake, snapshot, engine, wanted):
        _read_again(texts, member_bytes, done, gathered, compared, engine)
    names, mapper = pa.table({"name": pa.array(gathered.names, pa.string())}), Mapper(registry)
    changes = {name: one.changes(names, mapper, moment) for name, one in compared.items()}
    done.tables = {name: one.found for name, one in compared.items()}
    done.closed = len(gathered.closing)
    if by is not None:
        if engine is None:
            raise TypeError("what is committed is written into the audit, which needs the database")
        _must_not_double(done)
        _commit(lake, engine, wanted, done, changes, gathered, by, moment)
    return done


def _must_not_double(done: Replayed) -> None:
    for name, found in done.tables.items():
        if found.orphans and found.new:
            raise UserMistake(
                f"{found.orphans:,} records in {name} may be counted twice: their text does not give them any more, and gives "
                f"{found.new:,} new ones; look at --dry-run, and mend the identity before the replay"
            )


def _read_again(
    texts: Sequence[Text],
    member_bytes: int,
    done: Replayed,
    gathered: _Gathered,
    compared: Mapping[str, Comparison],
    engine: sa.Engine | None,
) -> None:
    rows: defaultdict[str, list[pa.Table]] = defaultdict(list)
    plain: dict[str, bytes] = {}
    refused_here: defaultdict[str, list[Refused]] = defaultdict(list)
    for text in texts:
        for telling in text.tellings:
            ready = prepared(text, telling, member_bytes)
            plain[text.name] = ready.plain
            refused = [(one, "gratia-xml") for one in ready.refused]  # members of posts
            done.records += len(ready.refused)
            for outcome in map(read, ready.units):
                done.records += outcome.read
                refused += [(one, outcome.format_name) for one in outcome.refused]
                for skipped in outcome.skipped.values():
                    done.skipped += skipped
                for name, table in outcome.tables.items():
                    rows[name].append(table)
            for one, format_name in refused:
                done.refused[one.reject.rule.value] += 1
                gathered.refused[format_name].append(one)
                refused_here[text.name].append(one)
    for name, tables in rows.items():
        compared[name].take(pa.concat_tables(tables))
    done.texts += len(texts)
    gathered.names += [text.name for text in texts]
    if engine is not None:
        gathered.closing += _refused_no_more(engine, plain, refused_here)


def _refused_no_more(
    engine: sa.Engine, plain: Mapping[str, bytes], refused: Mapping[str, Sequence[Refused]]
) -> list[str]:
    """The open refusals of records that stand in these texts, and that nothing refuses now."""
    names, found = list(plain), []
    statement = sa.select(REJECTS.c.id, REJECTS.c.archive_ref, REJECTS.c.text, REJECTS.c.text_bytes).where(
        REJECTS.c.state == quarantine.OPEN, REJECTS.c.batch.is_(None), REJECTS.c.rule.not_in(OF_WHOLE_BATCHES)
    )
    with reading(engine) as connection:
        for start in range(0, len(names), _AT_ONCE):
            part = names[start : start + _AT_ONCE]
            for row in connection.execute(statement.where(REJECTS.c.archive_ref.in_(part))):
                again = {(one.reject.text, one.reject.text_bytes) for one in refused.get(row.archive_ref, ())}
                stands = bool(row.text) and row.text in plain[row.archive_ref]
                if stands and (row.text, row.text_bytes) not in again:
                    found.append(row.id)
    return found


def _commit(
    lake: Lake,
    engine: sa.Engine,
    wanted: Wanted,
    done: Replayed,
    changes: Mapping[str, pa.Table],
    gathered: _Gathered,
    by: str,
    moment: datetime,
) -> None:
    """Write down who changes what; then keep refusals, append, and close. Any part of it may be done again after a crash."""
    subject, load = f"{done.texts} texts", uuid.uuid4().hex
    with writing(engine) as connection:
        audit.record(connection, by, "archive.replay", subject, _told(wanted, done))
    try:
        for format_name, refused in gathered.refused.items():
            quarantine.keep(engine, refused, format_name, load)
        for name, rows in changes.items():
            if len(rows):
                lake.append(RECORD_TABLES[name], rows)
    except GridkeeperError as error:
        with writing(engine) as connection:
            audit.record(connection, by, "archive.replay-failed", subject, {"problem": str(error)})
        raise
    with writing(engine) as connection:
        for start in range(0, len(gathered.closing), _AT_ONCE):
            part = gathered.closing[start : start + _AT_ONCE]
            quarantine.close(connection, part, quarantine.RETRIED, by, "replayed", moment)


def _told(wanted: Wanted, done: Replayed) -> dict[str, object]:
    return {
        "from": wanted.first,
        "until": wanted.until,
        "format": wanted.format,
        "probe": wanted.probe,
        "texts": done.texts,
        "records": done.records,
        "refused": dict(done.refused),
        "closes": done.closed,
        "changes": {
            name: {"new": found.new, "changed": found.changed, "places": places_of(found)[:PLACES_IN_AUDIT]}
            for name, found in done.tables.items()
            if found.new or found.changed
        },
    }


def places_of(found: Changes) -> list[dict[str, object]]:
    """What changes by VO and site, the largest change of core time first, then of records."""
    largest_first = sorted(
        found.by_place.items(), key=lambda pair: (-abs(pair[1].core_seconds), -pair[1].new - pair[1].changed)
    )
    return [
        {"vo": vo, "site": site, "new": sums.new, "changed": sums.changed, "wall_seconds": sums.wall_seconds,
         "core_seconds": sums.core_seconds, "cpu_seconds": sums.cpu_seconds}
        for (vo, site), sums in largest_first
    ]  # fmt: skip
