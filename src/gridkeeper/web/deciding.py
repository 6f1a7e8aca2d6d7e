"""Decides over refusals for visitors: reads them again or discards them, so many at once, each in her own name and audited."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gridkeeper.database import reading, writing
from gridkeeper.intake import browsing, quarantine, retrying
from gridkeeper.intake.quarantine import Choice
from gridkeeper.records.rules import Rule
from gridkeeper.trust import audit
from gridkeeper.web.belonging import owned_by
from gridkeeper.web.errors import Answered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gridkeeper.trust.visitors import Visitor
    from gridkeeper.web.services import Services

# So many texts in one request: each has at most 64 KB, and all of them are in memory while they are read.
MOST_AT_ONCE = 1000
MOST_REASON_CHARACTERS = 1000
RETRIED, DISCARDED = "quarantine.retried", "quarantine.discarded"
_MOST_REMEMBERED = 200
_at_work = threading.Lock()
_sentences: OrderedDict[int, tuple[str, ...]] = OrderedDict()


@dataclass(frozen=True)
class Outcome:
    """What became of one decision.

    id:        of its entry in the audit. act: RETRIED or DISCARDED.
    told:      what the entry says: the choice, how many, what became of them.
    left:      open refusals of the same choice that were not taken up now; after: the last one that was.
    sentences: what was said while they were read; they may hold texts of records, so the audit does not keep them.
    """

    id: int
    who: str
    act: str
    told: dict[str, Any]
    sentences: tuple[str, ...] = field(default=())


def choice_of(
    services: Services, visitor: Visitor, *, rule: str | None = None, ids: tuple[str, ...] = (), probe: str | None = None,
    resource: str | None = None, state: str | None = quarantine.OPEN,
) -> Choice:  # fmt: skip
    """What a visitor means, of what she may decide over. Raises: Answered (400) for a rule that there is not."""
    if rule is not None and rule not in set(Rule):
        raise Answered(400, f"rule: there is no rule {rule[:64]!r}; there are: {', '.join(Rule)}")
    if len(ids) > MOST_AT_ONCE:
        raise Answered(400, f"ids: {len(ids):,} of them, where {MOST_AT_ONCE:,} are the most (MOST_AT_ONCE)")
    owned = owned_by(visitor, services.registry())
    return Choice((), rule, probe, resource, state, owned, ids or None)


def retry(services: Services, visitor: Visitor, choice: Choice, after: str | None = None) -> Outcome:
    """Read open refusals again, the first MOST_AT_ONCE behind `after`. Blocks.

    Raises: Answered (404 where none is meant, 409 while another is at work), UserMistake (permanent), LakeUnavailable,
    DatabaseUnavailable (retryable).
    """
    with _alone():
        ids, left = _taken(services, choice, after)
        named = replace(choice, exactly=ids)
        done = retrying.retry(services.engine, services.reading.lake, named, visitor.name)
    told = {name: number for name, number in asdict(done).items() if name != "sentences"}
    return _written(services, visitor, RETRIED, choice, ids, left, told, tuple(done.sentences))


def discard(
    services: Services, visitor: Visitor, choice: Choice, because: str, after: str | None = None
) -> Outcome:
    """Discard open refusals for good, the first MOST_AT_ONCE behind `after`. Blocks. Raises: as `retry`; Answered (400) without a reason."""
    because = because.strip()
    if not because or len(because) > MOST_REASON_CHARACTERS:
        raise Answered(
            400,
            f"reason: nothing is discarded without one; write why, in at most {MOST_REASON_CHARACTERS:,} characters, for who asks later",
        )
    with _alone():
        ids, left = _taken(services, choice, after)
        count = retrying.discard(
            services.engine, services.reading.lake, replace(choice, exactly=ids), visitor.name, because
        )
    told = {"discarded": count, "reason": because}
    return _written(services, visitor, DISCARDED, choice, ids, left, told, ())


@contextmanager
def _alone() -> Iterator[None]:
    """One decision at a time in this process, so that many clicks do not take its memory and all its threads."""
    if not _at_work.acquire(blocking=False):
        raise Answered(409, "other refusals are being read again just now; try again in a minute", "busy")
    try:
        yield
    finally:
        _at_work.release()


def _taken(services: Services, choice: Choice, after: str | None) -> tuple[tuple[str, ...], int]:
    """The ids that are taken up now, and how many are left behind them."""
    ids = browsing.ids(services.engine, choice, after, MOST_AT_ONCE)
    if not ids:
        raise Answered(
            404, "no open refusal is meant by that, or it is somebody else's; /quarantine shows what there is"
        )
    left = browsing.count(services.engine, choice, ids[-1]) if len(ids) == MOST_AT_ONCE else 0
    return tuple(ids), left


def _written(
    services: Services, visitor: Visitor, act: str, choice: Choice, ids: tuple[str, ...], left: int, told: dict[str, Any],
    sentences: tuple[str, ...],
) -> Outcome:  # fmt: skip
    """What became of it, in the audit beside the entries that were written with each change."""
    asked = {"rule": choice.rule, "probe": choice.probe, "resource": choice.resource}
    told = asked | {"texts": len(ids), **told, "left": left, "after": ids[-1]}
    with writing(services.engine) as connection:
        number = audit.record(
            connection,
            visitor.name,
            act,
            f"{len(ids)} refusals",
            told,
            visitor.address or None,
            services.now(),
        )
    _sentences[number] = sentences
    while len(_sentences) > _MOST_REMEMBERED:
        _sentences.popitem(last=False)
    return Outcome(number, visitor.name, act, told, sentences)


def outcome(services: Services, visitor: Visitor, number: int) -> Outcome | None:
    """What became of a decision: for who decided it, and for operators; None where there is none for them."""
    with reading(services.engine) as connection:
        found = audit.entries(connection, before=number + 1, limit=1)
    if not found or found[0].id != number or found[0].act not in (RETRIED, DISCARDED):
        return None
    entry = found[0]
    if entry.who != visitor.name and not visitor.may_act_as("operator"):
        return None
    return Outcome(entry.id, entry.who, entry.act, entry.details, _sentences.get(number, ()))
