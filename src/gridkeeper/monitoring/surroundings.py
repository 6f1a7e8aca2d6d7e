"""What is known around a source: who to ask, whether it is disabled or announced to be down, what its probe says."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import TYPE_CHECKING

from gridkeeper.federation.mapping import Mapper
from gridkeeper.monitoring.chances import quantile
from gridkeeper.monitoring.heard import pulse_of
from gridkeeper.monitoring.history import REMEMBERED_DAYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gridkeeper.federation.model import Contact, Disabled, Downtime, Registry, Resource
    from gridkeeper.monitoring.heard import Heard, Pulse
    from gridkeeper.monitoring.history import Delivered, Source

# The rhythm of deliveries: so many of its gaps and ages are not exceeded; from so many gaps on it is known.
DELIVERY_PART = 0.9
LEAST_DELIVERY_GAPS = 2
_DAY = timedelta(days=1)


class Surroundings:
    """Answers what is known around sources at one moment."""

    def __init__(self, registry: Registry, heard: Sequence[Heard], moment: datetime) -> None:
        self.heard = heard
        self._moment = moment
        self._registry = registry
        self._resources = {
            name.lower(): resource for resource in registry.resources for name in resource.names
        }
        self._sites = {site.name.lower(): site for site in registry.sites}
        self._mapper = Mapper(registry)
        self._away: dict[tuple[str | None, str], frozenset[date]] = {}
        self._announced: dict[str, list[Downtime]] = {}
        self._at_host: dict[str, list[Downtime]] = {}
        for one in registry.downtimes:
            named, host = self.resource(one.resource), one.resource.lower()
            if named is not None and host in _machines(named):
                self._at_host.setdefault(host, []).append(one)
            else:
                self._announced.setdefault((named.name if named else one.resource).lower(), []).append(one)

    def resource(self, name: str | None) -> Resource | None:
        """The resource of this name or alias, where the registry knows it."""
        return self._resources.get((name or "").lower())

    def site(self, name: str | None) -> str | None:
        """The site of a resource that the registry knows."""
        known = self.resource(name)
        return (known.site or known.name) if known else None

    def ask(self, resource: str | None, site: str | None) -> tuple[Contact, ...]:
        """Who to ask: the contacts of the resource, else of its site."""
        known, place = self.resource(resource), self._sites.get((site or "").lower())
        return (known.contacts if known else ()) or (place.contacts if place else ())

    def disabled(self, resource: str | None, until: date) -> Disabled | None:
        """Whether the registry says that it reports no more."""
        known = self.resource(resource)
        told = known.disabled if known else None
        return told if told and (told.since is None or told.since < until) else None

    def downtime(self, resource: str | None, probe: str | None = None) -> Downtime | None:
        """The announced downtime that a source is in: of its resource, of its probe's host, or of all gateways of the resource."""
        now = next((one for one in self._downtimes(resource, probe) if self._is_now(one)), None)
        if now is not None:
            return now
        each = [
            next((one for one in self._at_host.get(host, ()) if self._is_now(one)), None)
            for host in self._gateways(resource)
        ]
        down = [one for one in each if one is not None]
        return max(down, key=lambda one: one.begin) if down and len(down) == len(each) else None

    def away(self, resource: str | None, probe: str | None = None) -> frozenset[date]:
        """The days of which any part lies in announced downtime of a source, as `downtime` takes it."""
        key = (resource, _host_of(probe))
        if key not in self._away:
            days = self._days(self._downtimes(resource, probe))
            of_hosts = [self._days(self._at_host.get(host, ())) for host in self._gateways(resource)]
            self._away[key] = frozenset(days | (set.intersection(*of_hosts) if of_hosts else set()))
        return self._away[key]

    def _days(self, downtimes: Iterable[Downtime]) -> set[date]:
        days: set[date] = set()
        first = self._moment - timedelta(days=REMEMBERED_DAYS)
        for one in downtimes:
            begin = max(one.begin, first)
            end = min(one.until or self._moment, self._moment)
            days |= {begin.date() + number * _DAY for number in range((_last(end) - begin.date()).days + 1)}
        return days

    def _is_now(self, one: Downtime) -> bool:
        return one.begin <= self._moment and (one.until is None or one.until > self._moment)

    def _gateways(self, resource: str | None) -> frozenset[str]:
        """The hosts that must all be down for a resource of separate hosts to be; none for any other."""
        known = self.resource(resource)
        if known is None:
            return frozenset()
        machines = _machines(known)
        return frozenset(host.lower() for host in known.gateways) & machines or machines

    def _downtimes(self, resource: str | None, probe: str | None) -> Iterator[Downtime]:
        known, host = self.resource(resource), _host_of(probe)
        yield from self._announced.get((known.name if known else resource or "").lower(), ())
        if known is not None and host in _machines(known):
            yield from self._at_host.get(host, ())

    def pulse(self, source: Source, resources_of_probe: int) -> tuple[Heard, Pulse] | None:
        """What the probe of a source says. resources_of_probe: for how many resources it sends at this level.

        The word of a probe that sends for several resources says nothing about one of them, unless it names it.
        """
        words = [word for word in self.heard if word.probe == source.probe]
        fitting = [word for word in words if self.resource_of(word) == source.resource]
        if not fitting and (source.level == "payload" or resources_of_probe == 1):
            fitting = words
        pulses = [(word, pulse_of(word, self._moment)) for word in fitting]
        return max(
            ((word, pulse) for word, pulse in pulses if pulse is not None),
            key=lambda found: found[1].last_at,
            default=None,
        )

    def resource_of(self, word: Heard) -> str | None:
        """The resource that a probe's word is about, by the name that the registry gives it."""
        return self._mapper.meaning({"resource": word.resource, "probe": word.probe}).resource

    def expected(self) -> Iterator[tuple[str | None, str, date | None]]:
        """The sources that should report: probe (None: any), resource, since."""
        for one in self._registry.expected:
            named = self.resource(one.resource)
            pattern = one.resource.lower()
            fitting = (
                [named]
                if named
                else [each for each in self._registry.resources if fnmatchcase(each.name.lower(), pattern)]
            )
            if one.since is not None and one.since > self._moment.date():
                continue
            if not fitting:
                yield one.probe, one.resource, one.since
            for resource in fitting:
                for probe in (one.probe,) if one.probe else (resource.probes or (None,)):
                    yield probe, resource.name, one.since


def _machines(resource: Resource) -> frozenset[str]:
    """The hosts of a resource, in small letters, where each is a machine apart; else none."""
    return frozenset(host.lower() for host in resource.hosts) if resource.separate_hosts else frozenset()


def _host_of(probe: str | None) -> str:
    """The host of a probe, `htcondor-ce:ce.example.org`, in small letters; "" where it names none."""
    return (probe or "").rpartition(":")[2].lower() if ":" in (probe or "") else ""


def _last(end: datetime) -> date:
    """The last day that a time before `end` lies on."""
    return (end - timedelta(microseconds=1)).date()


def closed_until(delivered: Sequence[Delivered], until: date) -> date:
    """The day before which the records of a probe should be here, by the rhythm of its deliveries.

    A probe that delivers once a week says nothing of the days since, until the next delivery is due; one whose
    newest records are always some days old, nothing of those. Without deliveries, or with too few to know a
    rhythm, the answer is `until`.
    """
    gaps = [(later.day - earlier.day).days for earlier, later in pairwise(delivered)]
    if len(gaps) < LEAST_DELIVERY_GAPS:
        return until
    age = int(quantile([max(0, (each.day - each.newest_day).days) for each in delivered[1:]], DELIVERY_PART))
    step, last = int(quantile(gaps, DELIVERY_PART)), delivered[-1].day
    covered = last + (until - last).days // step * step * _DAY if last < until else until
    return min(until, covered - (age - 1) * _DAY)
