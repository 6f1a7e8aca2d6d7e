"""Reads all that a home knows of its federation: `federation.yaml`, and the registry beside it, be it OSG's, GOCDB's or CRIC's.

Both together make one model. Where both speak of the same thing, `federation.yaml` counts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from gridkeeper.federation.dated import LEAST_PER_MACHINE, Past, dated, read_past
from gridkeeper.federation.downtimes.model import Severity
from gridkeeper.federation.downtimes.words import is_gateway
from gridkeeper.federation.factors import BenchmarkFrom
from gridkeeper.federation.model import (
    VO,
    Contact,
    Disabled,
    Downtime,
    Experiment,
    NamedFrom,
    Registry,
    Resource,
    Site,
    read_registry,
)
from gridkeeper.federation.topology.faults import Fault
from gridkeeper.federation.topology.loading import read_topology
from gridkeeper.federation.topology.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gridkeeper.config import Home
    from gridkeeper.federation.topology import models
    from gridkeeper.federation.topology.loading import Loaded
    from gridkeeper.federation.topology.models import Reporter, Topology

NOBODY = "Self Supported"  # the support center that stands for none


@dataclass(frozen=True)
class Known:
    """What a home's files say of its federation.

    own:      what `federation.yaml` says. both: with the topology beside it. registry: with its past, too, as it counts.
    loaded:   the topology.
    past:     what the registry's history told.
    clashes:  where `federation.yaml` and the topology say different things of one.
    """

    own: Registry
    both: Registry
    registry: Registry
    loaded: Loaded
    clashes: tuple[Fault, ...] = ()
    past: Past = field(default_factory=Past)

    @property
    def has_topology(self) -> bool:
        """Whether there is a topology."""
        return bool(self.loaded.topology.folders)


def read_home(home: Home) -> Registry:
    """The federation of a home, as it counts. Raises: as `read_known`."""
    return read_known(home, read_topology(home.path, home.cache)).registry


def read_known(home: Home, loaded: Loaded) -> Known:
    """All that a home knows of its federation. loaded: the topology, read already.

    What is wrong with the topology's files ends nothing here; `gridkeeper federation check` tells it.
    Raises: BadConfiguration (permanent) for what federation.yaml says.
    """
    own = read_registry(home.federation)
    if not loaded.topology.folders:
        return Known(own, own, own, loaded)
    both, clashes = joined(own, loaded.topology)
    past = read_past(home.registry_history)
    registry = dated(own, both, past, _shared_hosts(own, loaded.topology)) if past.resources else both
    return Known(own, both, registry, loaded, tuple(clashes), past)


def _shared_hosts(own: Registry, topology: Topology) -> dict[str, tuple[str, ...]]:
    """Hosts that several resources have, by the names of these in small letters."""
    hosts = Counter(host for one in topology.reporters for host in one.hosts)
    said = {name.lower() for one in own.resources for name in one.names}
    found = {
        one.name.lower(): tuple(sorted({host for host in one.hosts if hosts[host] > 1} - said))
        for one in topology.reporters
    }
    return {name: shared for name, shared in found.items() if shared}


def joined(own: Registry, topology: Topology) -> tuple[Registry, list[Fault]]:
    """Both as one registry, and where they clash: there `own`, which federation.yaml says, counts."""
    faults: list[Fault] = []
    resources = _resources(own, topology, faults)
    return (
        own.model_copy(
            update={
                "resources": resources,
                "vos": _vos(own, topology),
                "sites": _sites(own, topology),
                "downtimes": (*own.downtimes, *_downtimes(topology)),
            }
        ),
        faults,
    )


def _resources(own: Registry, topology: Topology, faults: list[Fault]) -> tuple[Resource, ...]:
    """Resources of both. A name or host that several have is nobody's: what names it matches none of them."""
    said = {name.lower(): one for one in own.resources for name in one.names}
    filled = {one.name: one for one in own.resources}
    reporters = topology.reporters
    names = Counter(one.name.lower() for one in reporters)
    hosts = Counter(host for one in reporters for host in one.hosts)
    added: list[Resource] = []
    for one in reporters:
        if names[one.name.lower()] > 1:
            continue
        ours = said.get(one.name.lower())
        whose = ours.name if ours else one.name
        free = tuple(
            host
            for host in one.hosts
            if hosts[host] == 1
            and (host not in names or host == one.name.lower())
            and (host not in said or said[host].name == whose)
        )
        for host in one.hosts:
            other = said.get(host)
            if other is not None and other.name != whose:
                has = one.member_at(host)
                message = f"{_spelled(has, host)} is a host of resource {one.name}, and a name of resource {other.name} in federation.yaml; the latter counts"
                faults.append(_clash(has.file, has.lines.get("FQDN", has.line), message))
        if ours is None:
            added.append(Resource.model_validate({"name": one.name} | _facts(one, free)))
        elif ours.name.lower() != one.name.lower():
            message = f"resource {one.name} is another name of resource {ours.name} in federation.yaml, which counts; its own entry is not used"
            faults.append(_clash(one.file, one.line, message))
        else:
            filled[ours.name] = _filled(ours, one, free, faults)
    return (*filled.values(), *added)


def _spelled(one: models.Resource, host: str) -> str:
    """A host as its entry writes it."""
    return next(each for each in one.hosts if each.lower() == host)


def _clash(file: str, line: int, message: str) -> Fault:
    fix = "take it out of federation.yaml, or rename one of them"
    return Fault("clash-with-federation", "warning", file, line, message, fix)


def _facts(one: Reporter, hosts: tuple[str, ...]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "site": one.site,
        "facility": one.facility,
        "hosts": tuple(host for host in hosts if host != one.name.lower()),
        "owners": {} if one.is_site else one.members[0].owners,
    }
    if one.is_site:
        facts["separate_hosts"] = True
        facts["gateways"] = tuple(host for host in hosts if _is_gateway(one.member_at(host)))
    if one.accounting_name is not None:
        facts["accounting_name"] = (NamedFrom(name=one.accounting_name),)
    factor = None if one.is_site else one.members[0].apel_normal_factor
    if factor is not None and factor < LEAST_PER_MACHINE:
        facts["benchmarks"] = (BenchmarkFrom(hs06=Decimal(f"{factor:.6f}")),)
    if one.disabled:
        facts["disabled"] = Disabled(reason=one.disabled)
    return facts


def _is_gateway(one: models.Resource) -> bool:
    return one.active is not False and any(is_gateway(service.name) for service in one.services)


def _filled(ours: Resource, one: Reporter, hosts: tuple[str, ...], faults: list[Fault]) -> Resource:
    """Ours, with what federation.yaml does not say of it."""
    facts = _facts(one, tuple(host for host in hosts if host not in {name.lower() for name in ours.names}))
    for key in ("site", "facility"):
        said = getattr(ours, key)
        if said is not None and said != facts[key]:
            message = f"resource {one.name}: its {key} is {facts[key]} here, and {said} in federation.yaml, which counts"
            faults.append(_clash(one.file, one.line, message))
    return ours.model_copy(
        update={key: value for key, value in facts.items() if key not in ours.model_fields_set}
    )


def _vos(own: Registry, topology: Topology) -> tuple[VO, ...]:
    """VOs of both. Names under which only one VO reports, and that are no VO's, are its experiments."""
    taken = {name.lower() for vo in own.vos for name in _names_below(vo)}
    paths = {path.rstrip("/").lower() for vo in own.vos for path in _paths_below(vo)}
    all_vos = {vo.name.lower() for vo in topology.vos} | taken
    reporting = Counter(
        name for vo in topology.vos for name in {each.lower() for each in vo.reporting_groups}
    )
    added: list[VO] = []
    for vo in topology.vos:
        if vo.name.lower() in taken:
            continue
        taken.add(vo.name.lower())
        parts = []
        for name in dict.fromkeys(vo.reporting_groups):
            if reporting[name.lower()] == 1 and name.lower() not in all_vos:
                all_vos.add(name.lower())
                parts.append(Experiment(name=name, fqan=_path(topology, name, paths)))
        path = next(
            (_path(topology, name, paths) for name in vo.reporting_groups if name.lower() == vo.name.lower()),
            None,
        )
        added.append(VO(name=vo.name, fqan=path, experiments=tuple(parts)))
    return (*own.vos, *added)


def _names_below(group: Experiment) -> Iterable[str]:
    yield from (group.name, *group.aliases)
    for part in group.experiments:
        yield from _names_below(part)


def _paths_below(group: Experiment) -> Iterable[str]:
    if group.fqan:
        yield group.fqan
    for part in group.experiments:
        yield from _paths_below(part)


def _path(topology: Topology, name: str, taken: set[str]) -> str | None:
    """The FQAN of a reporting group: the one that all of its groups lie below; None where there is none that is free."""
    group = topology.reporting_groups.get(name)
    paths = [path.rstrip("/") for path, _ in group.fqans] if group else []
    if not paths or not all(path.startswith("/") for path in paths):
        return None
    first = min(paths, key=len)
    below = all(path == first or path.startswith(f"{first}/") for path in paths)
    if not below or first.lower() in taken:
        return None
    taken.add(first.lower())
    return first


def _sites(own: Registry, topology: Topology) -> tuple[Site, ...]:
    """Sites of both; groups of other names are names that a pilot may give for its site."""
    times = Counter(site.name.lower() for site in topology.sites)
    groups = Counter(group.name.lower() for group in topology.groups)
    said = {site.name.lower(): site for site in own.sites}
    found: dict[str, Site] = {site.name.lower(): site for site in own.sites}
    at: defaultdict[tuple[str, str], list[models.ResourceGroup]] = defaultdict(list)
    for group in topology.groups:
        at[group.facility, group.site].append(group)
    for site in topology.sites:
        key = site.name.lower()
        if times[key] > 1:
            continue
        within = at[site.facility, site.name]
        facts: dict[str, Any] = {
            "facility": site.facility,
            "groups": tuple(
                one.name for one in within if groups[one.name.lower()] == 1 and not one.reports_as_one
            ),
            "contacts": tuple(
                Contact(name=name)
                for name in dict.fromkeys(one.support_center for one in within)
                if name and name != NOBODY
            ),
        }
        ours = said.get(key)
        if ours is None:
            found[key] = Site.model_validate({"name": site.name} | facts)
        else:
            update = {name: value for name, value in facts.items() if name not in ours.model_fields_set}
            found[key] = ours.model_copy(update=update)
    return tuple(found.values())


def _downtimes(topology: Topology) -> Iterable[Downtime]:
    """What was announced, for silence: not what covers no time, nor what nobody should notice."""
    for row in Rows(topology).rows:
        if row.window.is_empty or row.severity is Severity.NO_OUTAGE or row.resource is None:
            continue
        yield Downtime.model_validate(
            {
                "resource": row.resource,
                "from": row.window.start.at,
                "until": row.window.until,
                "reason": row.description,
            }
        )
