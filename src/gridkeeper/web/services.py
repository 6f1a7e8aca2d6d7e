"""What the HTTP side works with; made in cli/wiring and handed to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gridkeeper.intake.quarantine import binding_text
from gridkeeper.records.draft import Delivery
from gridkeeper.trust.refusals import NotAllowed
from gridkeeper.trust.senders import Sender, refusal
from gridkeeper.web.noticeboard import Noticeboard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    import sqlalchemy as sa

    from gridkeeper.federation.model import Registry
    from gridkeeper.federation.watching import Watch
    from gridkeeper.intake.inbox import Inbox
    from gridkeeper.settings import Settings
    from gridkeeper.trust.door import Door
    from gridkeeper.web.reading import Reading


@dataclass
class Services:
    """Everything that requests need.

    watch:    the files of the federation.
    reading:  the books as pages read them.
    faults:   what else must be well for the collector to be ready; name → says what is wrong, None where nothing is.
    noticeboard: the federation's files and all downtimes, as pages show them.
    """

    home: Path
    settings: Settings
    engine: sa.Engine
    inbox: Inbox
    door: Door
    watch: Watch
    reading: Reading
    now: Callable[[], datetime]
    faults: Mapping[str, Callable[[], str | None]] = field(default_factory=dict)
    noticeboard: Noticeboard = field(init=False)

    def __post_init__(self) -> None:
        self.noticeboard = Noticeboard(self.watch, self.engine)

    def registry(self) -> Registry:
        """The federation as its files say now; see Watch.registry."""
        return self.watch.registry()

    def must_send_for(self, sender: Sender, resource: str | None, probe: str | None) -> None:
        """Hold a sender to what a request names. Raises: NotAllowed (permanent) with a sentence that says for what it may."""
        if not sender.sends:
            raise NotAllowed(refusal(sender, resource or probe or "nothing"))
        registry = self.registry()
        known = _resource_names(registry)
        if resource is not None and not sender.may_send_for(resource, known.get(resource.lower(), ())):
            raise NotAllowed(refusal(sender, resource))
        of_probe = _resource_of_probe(registry, probe)
        if of_probe is not None and not sender.may_send_for(of_probe, known[of_probe.lower()]):
            raise NotAllowed(refusal(sender, f"{probe}, a probe of {of_probe}"))

    def binding(self, sender: Sender, moment: datetime) -> str | None:
        """What a sender may send for, every name of it, as the inbox keeps it for the loader; None: anything."""
        registry = self.registry()
        bound: frozenset[str] | None = sender.resources
        if bound is not None and sender.vos and not bound:
            bound = None
        known = _resource_names(registry)
        # What is sent for a registered resource is its own, whatever host it says; only else does a host decide.
        by_host = bound is not None and any(name.lower() not in known for name in bound)
        if bound is not None:
            names = {name.lower() for name in bound}
            for resource in registry.resources:
                spellings = set(resource.names)
                if any(sender.may_send_for(name) for name in spellings):
                    names |= {name.lower() for name in spellings}
            bound = frozenset(names)
        vos = {name.lower() for name in sender.vos}
        for vo in registry.vos:
            if {vo.name.lower(), *(alias.lower() for alias in vo.aliases)} & vos:
                vos |= {vo.name.lower(), *(alias.lower() for alias in vo.aliases)}
        foreign = {
            probe.lower()
            for resource in registry.resources
            if bound is not None and not bound & {name.lower() for name in resource.names}
            for probe in (*resource.probes, *(resource.hosts if by_host else ()))
        }
        return binding_text(Delivery(moment, None, None, None, bound, frozenset(vos), frozenset(foreign)))


def _resource_names(registry: Registry) -> dict[str, tuple[str, ...]]:
    names: dict[str, tuple[str, ...]] = {}
    for resource in registry.resources:
        spellings = resource.names
        names |= dict.fromkeys((name.lower() for name in spellings), spellings)
    return names


def _resource_of_probe(registry: Registry, probe: str | None) -> str | None:
    """The resource that the registry says a probe (`condor:ce.example.org`, or its host) reports for: it or its host is named."""
    if not probe:
        return None
    wanted = {probe.lower(), probe.lower().rpartition(":")[2]}
    for resource in registry.resources:
        if wanted & {name.lower() for name in (*resource.probes, *resource.hosts)}:
            return resource.name
    return None
