"""All downtimes that a home knows, each once: announced or imported here, in the topology's files, in `federation.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gridkeeper.federation.downtimes import osg_yaml
from gridkeeper.federation.downtimes.model import Classification, Incident, Place, Row, Severity, incidents
from gridkeeper.federation.downtimes.times import Stamp, Window

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from gridkeeper.federation.downtimes.revising import Kept
    from gridkeeper.federation.model import Downtime
    from gridkeeper.federation.topology.models import Topology

DATABASE, TOPOLOGY, FEDERATION = "database", "topology", "federation.yaml"
_SOURCE = "federation"


@dataclass(frozen=True)
class Told:
    """A downtime and where it is kept: DATABASE, TOPOLOGY or FEDERATION. kept: its history, where there is one."""

    where: str
    incident: Incident
    kept: Kept | None = None

    def state(self, moment: datetime) -> str:
        """`cancelled`, `past`, `current` or `future`."""
        return self.kept.state(moment) if self.kept else self.incident.state(moment)

    @property
    def is_declared(self) -> bool:
        """Whether it says a class and a severity; a line of federation.yaml says neither."""
        return self.where != FEDERATION

    @property
    def names(self) -> frozenset[str]:
        """What it may be called: its id, the ids of its rows, and where they stand."""
        rows = self.incident.rows
        return frozenset(
            {self.incident.id, *(row.id for row in rows if row.id), *(str(row.place) for row in rows)}
        )

    @property
    def whom(self) -> tuple[str, ...]:
        """Whom it concerns: resources; where the form has no such name, hosts or sites."""
        rows = self.incident.rows
        others = dict.fromkeys(row.host or row.site or "" for row in rows)
        return self.incident.resources or tuple(name for name in others if name)

    @property
    def services(self) -> tuple[str, ...]:
        """The services that are down, each name once, wherever; nothing: the resource as a whole, or nobody said."""
        rows = self.incident.rows
        return tuple(dict.fromkeys(service.name for row in rows for service in row.services))


def gather(kept: Iterable[Kept], topology: Topology | None, own: Iterable[Downtime]) -> list[Told]:
    """All of them in the order of their starts. What is kept here and stands in the topology's files too is told once, as kept."""
    found = [Told(DATABASE, each.incident, each) for each in kept]
    here = {(row.id, row.resource) for told in found for row in told.incident.rows}
    if topology is not None:
        found += [
            Told(TOPOLOGY, incident)
            for incident in incidents(osg_yaml.of_topology(topology).rows)
            if not all((row.id, row.resource) in here for row in incident.rows)
        ]
    found += [Told(FEDERATION, _of_federation(number, one)) for number, one in enumerate(own, 1)]
    return sorted(found, key=lambda told: (told.incident.window.start.at, told.incident.id))


def _of_federation(number: int, one: Downtime) -> Incident:
    """A line of federation.yaml, which says neither class nor severity: nobody is told to expect less than an outage."""
    end = Stamp(one.until, one.until.isoformat()) if one.until else None
    window = Window(Stamp(one.begin, one.begin.isoformat()), end)
    place = Place(f"{FEDERATION}-{number}")
    row = Row(
        None, one.resource, (), window, Classification.SCHEDULED, Severity.OUTAGE, one.reason, source=_SOURCE, place=place
    )  # fmt: skip
    return Incident(str(place), (row,))
