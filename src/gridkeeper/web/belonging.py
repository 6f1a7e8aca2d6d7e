"""Says what belongs to a contact: her resources by every name they have, and their probes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridkeeper.intake.owned import Owned

if TYPE_CHECKING:
    from gridkeeper.federation.model import Registry
    from gridkeeper.trust.visitors import Visitor


def owned_by(visitor: Visitor, registry: Registry) -> Owned | None:
    """What belongs to a visitor; None: everything, for operators. Of the public and of viewers it is nothing."""
    if visitor.sees_people:
        return None
    if visitor.role != "site-contact":
        return Owned()
    names: set[str] = set()
    probes: set[str] = set()
    for resource in registry.resources:
        spellings = resource.names
        if any(visitor.speaks_for_resource(name, resource.site) for name in spellings):
            names.update(spellings)
            probes.update(resource.probes)
    patterns = frozenset(one for one in visitor.resources if "*" in one)
    return Owned(frozenset(names) | (visitor.resources - patterns), patterns, frozenset(probes))


def speaks_for(visitor: Visitor, registry: Registry, resource: str | None, probe: str | None = None) -> bool:
    """Whether a visitor may see what is said of a resource, or of a probe that names none, in confidence."""
    if visitor.sees_people:
        return True
    known = next((one for one in registry.resources if _is(one.names, resource)), None)
    if resource is None and probe is not None:
        hosts = {probe.lower(), probe.lower().rpartition(":")[2]}
        known = next(
            (one for one in registry.resources if hosts & {name.lower() for name in one.probes}), None
        )
    if known is not None:
        return any(visitor.speaks_for_resource(name, known.site) for name in known.names)
    return visitor.speaks_for_resource(resource)


def _is(names: tuple[str, ...], asked: str | None) -> bool:
    return asked is not None and asked.lower() in {one.lower() for one in names}
