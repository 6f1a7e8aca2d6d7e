"""Announces, extends and cancels downtimes for visitors: operators any, contacts of a site or resource their own; each in the audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gridkeeper.database import writing
from gridkeeper.errors import UserMistake
from gridkeeper.federation.downtimes import announcing, store
from gridkeeper.trust import audit
from gridkeeper.trust.refusals import NotAllowed
from gridkeeper.web.belonging import speaks_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gridkeeper.federation.downtimes.announcing import Wish
    from gridkeeper.federation.downtimes.directory import Machine
    from gridkeeper.federation.downtimes.gathering import Told
    from gridkeeper.federation.downtimes.revising import Kept
    from gridkeeper.trust.visitors import Visitor
    from gridkeeper.web.services import Services

MOST_REASON_CHARACTERS = 1000
MAY_GO_ON = frozenset({"current", "future"})


def own_machines(services: Services, visitor: Visitor) -> list[Machine]:
    """The resources whose downtimes a visitor may announce, by name."""
    machines = services.noticeboard.files().directory.machines
    registered = {name.lower(): one for one in services.registry().resources for name in one.names}

    def is_own(machine: Machine) -> bool:
        known = registered.get(machine.name.lower())
        if known is None:
            return visitor.speaks_for_resource(machine.name)
        return any(visitor.speaks_for_resource(name, known.site) for name in known.names)

    return sorted(filter(is_own, machines), key=lambda one: one.name.lower())


def may_change(services: Services, visitor: Visitor, told: Told) -> bool:
    """Whether a visitor may change a downtime: all that it concerns is hers, and it is kept here and not over."""
    return (
        told.kept is not None
        and told.state(services.now()) in MAY_GO_ON
        and is_hers(services, visitor, told.incident.resources)
    )


def is_hers(services: Services, visitor: Visitor, resources: Iterable[str]) -> bool:
    """Whether a visitor speaks for each of some resources, of which there is at least one; operators speak for all."""
    if visitor.sees_people:
        return True
    names = list(resources)
    return bool(names) and all(speaks_for(visitor, services.registry(), name) for name in names)


def announce(services: Services, visitor: Visitor, wish: Wish) -> Kept:
    """Announce a downtime. Blocks. Raises: UserMistake, NotAllowed (permanent), DatabaseUnavailable (retryable)."""
    moment, directory = services.now(), services.noticeboard.files().directory
    _must_be_hers(services, visitor, announcing.concerned(directory, wish))
    rows = announcing.drafted(directory, wish, moment)
    with writing(services.engine) as connection:
        kept = store.announce(connection, rows, visitor.name, moment)
        _record(services, visitor, connection, kept)
    return kept


def extend(services: Services, visitor: Visitor, name: str, until: str, reason: str) -> Kept:
    """Give a downtime another end. Blocks. Raises: as `announce`."""
    stamp = announcing.end_of(until)
    with writing(services.engine) as connection:
        _must_be_hers(services, visitor, store.one(connection, name).incident.resources)
        kept = store.extend(connection, name, stamp, visitor.name, services.now(), _reason(reason))
        _record(services, visitor, connection, kept)
    return kept


def cancel(services: Services, visitor: Visitor, name: str, reason: str) -> Kept:
    """Call a downtime off; one that has begun ends now. Blocks. Raises: as `announce`; UserMistake without a reason."""
    if not reason.strip():
        raise UserMistake("no reason; say why it is called off, for who asks later")
    with writing(services.engine) as connection:
        _must_be_hers(services, visitor, store.one(connection, name).incident.resources)
        kept = store.cancel(connection, name, visitor.name, services.now(), _reason(reason))
        _record(services, visitor, connection, kept)
    return kept


def _reason(text: str) -> str:
    if len(text) > MOST_REASON_CHARACTERS:
        raise UserMistake(f"a reason has at most {MOST_REASON_CHARACTERS:,} characters")
    return text.strip()


def _must_be_hers(services: Services, visitor: Visitor, resources: Iterable[str]) -> None:
    names = list(resources)
    if is_hers(services, visitor, names):
        return
    others = [name for name in names if not speaks_for(visitor, services.registry(), name)]
    whose = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
    raise NotAllowed(
        f"{visitor.short_name} does not speak for {whose or 'what this downtime concerns'}; its contacts or an operator may do this"
    )


def _record(services: Services, visitor: Visitor, connection: Any, kept: Kept) -> None:
    """The change, in the audit, in the same transaction."""
    audit.record(
        connection, visitor.name, f"downtime.{kept.last.act}", kept.id, details(kept), visitor.address or None, services.now()
    )  # fmt: skip


def details(kept: Kept) -> dict[str, Any]:
    """What the audit tells of a change."""
    window = kept.incident.window
    return {
        "resources": list(kept.incident.resources), "from": window.start.at.isoformat(),
        "until": window.until.isoformat() if window.until else None, "severity": kept.incident.first.severity.value,
        "reason": kept.last.reason,
    }  # fmt: skip
