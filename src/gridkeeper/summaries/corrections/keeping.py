"""Puts corrections in force and takes them out: the operational record of who did what when, beside the audit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gridkeeper import clock
from gridkeeper.database import insert, reading, writing
from gridkeeper.errors import UserMistake
from gridkeeper.summaries.corrections.in_force import NO_CORRECTIONS, Corrections
from gridkeeper.summaries.corrections.rules import Rule, revision_of
from gridkeeper.summaries.corrections.tables import CORRECTION_SETS, CORRECTIONS
from gridkeeper.trust import audit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

_ONE_AT_A_TIME = 7_071_969  # any number that nobody else takes for a lock in the same database


@dataclass(frozen=True)
class Filed:
    """A rule with the place where it stands: the file's name, and its number there from 1."""

    rule: Rule
    file: str
    place: int

    @property
    def order(self) -> tuple[str, int]:
        """Rules count in this order."""
        return self.file, self.place


@dataclass(frozen=True)
class Applied:
    """A rule that is or was in force, and by whom."""

    filed: Filed
    applied_at: datetime
    applied_by: str
    revoked_at: datetime | None
    revoked_by: str | None
    revoked_because: str | None


def corrections_in_force(engine: sa.Engine) -> Corrections:
    """The set in force, and the sets before it. Raises: DatabaseUnavailable (retryable)."""
    with reading(engine) as connection:
        rows = connection.execute(sa.select(CORRECTIONS)).all()
        if not rows:
            return NO_CORRECTIONS
        sets = connection.execute(sa.select(CORRECTION_SETS.c.revision, CORRECTION_SETS.c.members)).all()
    rules = {row.id: Rule.model_validate_json(row.content) for row in rows}
    in_force = sorted(
        (row for row in rows if row.revoked_at is None), key=lambda row: (row.file, row.place, row.id)
    )
    earlier = {row.revision: tuple(rules[one] for one in json.loads(row.members)) for row in sets}
    return Corrections(tuple(rules[row.id] for row in in_force), earlier)


def proposed(engine: sa.Engine, filed: Iterable[Filed]) -> tuple[Rule, ...]:
    """The set that would be in force after `apply`, in its order. Raises: DatabaseUnavailable (retryable)."""
    held = {one.filed.rule.id: one.filed for one in history(engine) if one.revoked_at is None}
    held |= {one.rule.id: one for one in filed}
    return tuple(one.rule for one in sorted(held.values(), key=lambda one: one.order))


def history(engine: sa.Engine) -> list[Applied]:
    """Every rule that is or was in force, in the order of their application. Raises: DatabaseUnavailable (retryable)."""
    with reading(engine) as connection:
        rows = connection.execute(sa.select(CORRECTIONS).order_by(CORRECTIONS.c.id)).all()
    return [
        Applied(
            Filed(Rule.model_validate_json(row.content), row.file, row.place),
            row.applied_at, row.applied_by, row.revoked_at, row.revoked_by, row.revoked_because,
        )
        for row in rows
    ]  # fmt: skip


def apply(engine: sa.Engine, filed: Iterable[Filed], who: str) -> list[Filed]:
    """Put rules in force, each in the place of what was in force under its id; in one transaction, with the audit.

    Returns: those that were not in force as they are.
    Raises:  DatabaseUnavailable (retryable).
    """
    moment = clock.now()
    changed = []
    with writing(engine) as connection:
        _alone(connection)
        held = {row.rule_id: row for row in connection.execute(_in_force())}
        for one in filed:
            rule, before = one.rule, held.get(one.rule.id)
            if before is not None and (before.content_hash, before.file, before.place) == (
                rule.content_hash,
                one.file,
                one.place,
            ):
                continue
            changed.append(one)
            if before is not None:
                _revoke(connection, [before.id], moment, who, "another content of it was applied")
            connection.execute(
                CORRECTIONS.insert().values(
                    rule_id=rule.id, content_hash=rule.content_hash, content=rule.content, file=one.file, place=one.place,
                    applied_at=moment, applied_by=who,
                )
            )  # fmt: skip
            details = {
                "act": rule.act, "period": str(rule.period), "reason": rule.reason, "ticket": rule.ticket, "author": rule.author,
                "file": one.file, "content_hash": rule.content_hash, "instead_of": before.content_hash if before else None,
            }  # fmt: skip
            audit.record(connection, who, "corrections.apply", rule.id, details, at=moment)
        if changed:
            _note_set(connection, moment)
    return changed


def revoke(engine: sa.Engine, ids: Sequence[str], who: str, because: str) -> list[Rule]:
    """Take rules out of force, all or none, in one transaction, with the audit.

    Returns: the rules as they were in force.
    Raises:  UserMistake (permanent) where one is not in force; DatabaseUnavailable (retryable).
    """
    moment = clock.now()
    with writing(engine) as connection:
        _alone(connection)
        held = {row.rule_id: row for row in connection.execute(_in_force())}
        for name in ids:
            if name not in held:
                there = ", ".join(sorted(held)) or "none at all"
                raise UserMistake(f"no correction {name!r} is in force; in force are: {there}")
        revoked = [held[name] for name in dict.fromkeys(ids)]
        _revoke(connection, [row.id for row in revoked], moment, who, because)
        for row in revoked:
            details = {"reason": because, "content_hash": row.content_hash}
            audit.record(connection, who, "corrections.revoke", row.rule_id, details, at=moment)
        _note_set(connection, moment)
    return [Rule.model_validate_json(row.content) for row in revoked]


def _in_force() -> sa.Select[Any]:
    return (
        sa.select(CORRECTIONS)
        .where(CORRECTIONS.c.revoked_at.is_(None))
        .order_by(CORRECTIONS.c.file, CORRECTIONS.c.place, CORRECTIONS.c.id)
    )


def _alone(connection: sa.Connection) -> None:
    """Wait for whoever else changes what is in force: each set must be noted as a whole."""
    if connection.dialect.name == "postgresql":  # on SQLite nobody else writes
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))


def _revoke(
    connection: sa.Connection, numbers: Sequence[int], moment: datetime, who: str, because: str
) -> None:
    connection.execute(
        CORRECTIONS.update()
        .where(CORRECTIONS.c.id.in_(numbers))
        .values(revoked_at=moment, revoked_by=who, revoked_because=because)
    )


def _note_set(connection: sa.Connection, moment: datetime) -> None:
    """Keep what the set in force now consists of, under the revision that summaries are going to carry."""
    rows = sorted(connection.execute(_in_force()), key=lambda row: (row.file, row.place, row.id))
    revision = revision_of(Rule.model_validate_json(row.content) for row in rows)
    if revision:
        values = {"revision": revision, "members": json.dumps([row.id for row in rows]), "made_at": moment}
        connection.execute(insert(connection, CORRECTION_SETS).values(**values).on_conflict_do_nothing())
