"""The states of all sources, as pages and the API tell them: made anew once a minute, and shown as far as a visitor may see."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gridkeeper.federation.downtimes.store import read_announced
from gridkeeper.monitoring.heard import read_heard
from gridkeeper.monitoring.silence import source_states
from gridkeeper.web.belonging import speaks_for

if TYPE_CHECKING:
    from gridkeeper.federation.model import Registry
    from gridkeeper.monitoring.states import Silence, SourceState
    from gridkeeper.trust.visitors import Visitor
    from gridkeeper.web.reading import Opened
    from gridkeeper.web.services import Services


def all_sources(services: Services) -> Silence:
    """What every source does, at most a minute ago. Raises: DatabaseUnavailable, LakeUnavailable (retryable)."""
    minute = services.now().replace(second=0, microsecond=0)

    def make(opened: Opened) -> Silence:
        moment = services.now()
        heard = read_heard(services.engine, moment)
        return source_states(
            opened.books, moment, heard,
            history_days=services.settings.silence.history_days, announced=read_announced(services.engine, moment),
        )  # fmt: skip

    return services.reading.kept(("sources", minute), make)


def as_seen_by(visitor: Visitor, registry: Registry, found: Silence) -> Silence:
    """The same as a visitor may see it.

    Who to ask: for whoever is logged in. What a probe says is wrong, which may hold names and addresses: for the contacts
    of its resource, and for operators.
    """
    return replace(found, sources=tuple(_shown(visitor, registry, one) for one in found.sources))


def _shown(visitor: Visitor, registry: Registry, one: SourceState) -> SourceState:
    ask = one.ask if visitor.is_known else ()
    if not one.problem or speaks_for(visitor, registry, one.resource, one.probe):
        return replace(one, ask=ask)
    why = tuple(sentence for sentence in one.why if sentence != one.problem)
    return replace(one, ask=ask, problem=None, why=why)
