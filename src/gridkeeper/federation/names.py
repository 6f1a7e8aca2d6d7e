"""Whether every name in `federation.yaml` means one thing: VOs, experiments, resources, their aliases, probes, FQANs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gridkeeper.federation.model import Experiment, Registry

Named = tuple[str, str, str]  # a name, whose it is, and where it stands (`vos › 1 (cms) › aliases`)


def clashes(registry: Registry) -> Iterator[str]:
    """A sentence for each name that means two things: both places, and what to do. Names are compared without case."""
    yield from _twice("VO", _vos(registry), "give the name to one of them")
    yield from _twice("FQAN", _fqans(registry), "let one group have it")
    yield from _twice("resource", _resources(registry), "give the name to one of them")
    yield from _twice("probe", _probes(registry), "name it at the resource that it stands for")
    yield from _twice("site", _sites(registry), "name it once")
    vos = {name.lower(): (owner, place) for name, owner, place in _vos(registry)}
    for name, owner, place in _experiments(registry):
        whose, where = vos.get(name.lower(), (owner, place))
        if whose != owner:
            yield f"{place}: {name} is the name of a VO, too, at {where}; a record that reports it could mean either: rename one"


def _twice(kind: str, named: Iterable[Named], remedy: str) -> Iterator[str]:
    seen: dict[str, tuple[str, str]] = {}
    for name, owner, place in named:
        whose, where = seen.setdefault(name.lower(), (owner, place))
        if whose != owner:
            yield f"{place}: the {kind} {name} is there already, at {where}; {remedy}"


def doubts(registry: Registry) -> Iterator[str]:
    """A sentence for each VO that owns a resource or is on a list, and that nothing else in the file knows of.

    It may be right, since a record's VO needs no entry; it may as well be a slip that makes its use opportunistic.
    """
    if not registry.vos:
        return
    known = {name.lower() for name, _, _ in _vos(registry)}
    known |= {rule.vo.lower() for rule in registry.mapping if rule.vo}
    for index, resource in enumerate(registry.resources):
        for owner in resource.owners:
            if owner.lower() not in known:
                yield (
                    f"resources › {index} ({resource.name}) › owners: {owner} is no VO of this file, neither listed under "
                    "vos nor named by the mapping; list it, or mend the name"
                )
    for name, members in registry.vo_lists.items():
        for member in members:
            if member.lower() not in known:
                yield f"vo_lists › {name}: {member} is no VO of this file; list it under vos, or mend the name"


def _vos(registry: Registry) -> Iterator[Named]:
    for index, vo in enumerate(registry.vos):
        place = f"vos › {index} ({vo.name})"
        yield vo.name, place, place
        for alias in vo.aliases:
            yield alias, place, f"{place} › aliases"


def _experiments(registry: Registry) -> Iterator[Named]:
    """Names of experiments, each its VO's. One may bear the name of its own VO, or of another VO's experiment: the FQAN tells."""

    def below(group: Experiment, vo: str, place: str) -> Iterator[Named]:
        for index, part in enumerate(group.experiments):
            here = f"{place} › experiments › {index} ({part.name})"
            yield part.name, vo, here
            for alias in part.aliases:
                yield alias, vo, f"{here} › aliases"
            yield from below(part, vo, here)

    for index, vo in enumerate(registry.vos):
        place = f"vos › {index} ({vo.name})"
        yield from below(vo, place, place)


def _fqans(registry: Registry) -> Iterator[Named]:
    def of(groups: Iterable[Experiment], above: str) -> Iterator[Named]:
        for index, group in enumerate(groups):
            place = f"{above} › {index} ({group.name})"
            if group.fqan:
                yield group.fqan.rstrip("/"), place, f"{place} › fqan"
            yield from of(group.experiments, f"{place} › experiments")

    yield from of(registry.vos, "vos")


def _resources(registry: Registry) -> Iterator[Named]:
    for index, resource in enumerate(registry.resources):
        place = f"resources › {index} ({resource.name})"
        yield resource.name, place, place
        for alias in resource.aliases:
            yield alias, place, f"{place} › aliases"
        for host in resource.hosts:
            yield host, place, f"{place} › hosts"


def _probes(registry: Registry) -> Iterator[Named]:
    for index, resource in enumerate(registry.resources):
        place = f"resources › {index} ({resource.name})"
        for probe in resource.probes:
            yield probe, place, f"{place} › probes"


def _sites(registry: Registry) -> Iterator[Named]:
    for index, site in enumerate(registry.sites):
        yield site.name, f"{index}", f"sites › {index} ({site.name})"
