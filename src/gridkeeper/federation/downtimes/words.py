"""The words of each registry for classes, severities and services, and how they turn into one another."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from gridkeeper.errors import UserMistake
from gridkeeper.federation.downtimes.model import Classification, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gridkeeper.federation.downtimes.model import Affected


class Consumer(StrEnum):
    """Who reads what is delivered: each acts on severities in its own way."""

    ATLAS = "atlas"
    CMS = "cms"


# ATLAS stops using what has an Outage, and calls all else at risk; CMS stops for Severe, too.
_DOWN = {
    Consumer.ATLAS: frozenset({Severity.OUTAGE}),
    Consumer.CMS: frozenset({Severity.OUTAGE, Severity.SEVERE}),
}


@dataclass(frozen=True, slots=True)
class ServiceKind:
    """What an OSG service is called elsewhere.

    kind:    AGIS' and CRIC's type; None where they have none.
    flavour: theirs, too; None where OSG's name does not say it, so that it must come from elsewhere.
    gocdb:   GOCDB's service type; None where OSG's name does not say which.
    """

    kind: str | None
    flavour: str | None
    gocdb: str | None


SERVICES = {
    "CE": ServiceKind("CE", None, None),
    "SRMv2": ServiceKind("SRM", "SRM", "SRM"),
    "SRMv2.disk": ServiceKind("SRM", "SRM", "SRM"),
    "SRMv2.tape": ServiceKind("SRM", "SRM", "SRM.nearline"),
    "SRMv1": ServiceKind("SRM", "SRM", "SRM"),
    "Squid": ServiceKind("Squid", "", "org.squid-cache.Squid"),
    "net.perfSONAR.Bandwidth": ServiceKind("PerfSonar", "Bandwidth", "net.perfSONAR.Bandwidth"),
    "net.perfSONAR.Latency": ServiceKind("PerfSonar", "Latency", "net.perfSONAR.Latency"),
    "GridFtp": ServiceKind(None, None, "globus-GRIDFTP"),
    "XRootD component": ServiceKind(None, None, "XRootD"),
    "WebDAV": ServiceKind(None, None, "webdav"),
    "WebDAV.disk": ServiceKind(None, None, "webdav"),
    "WebDAV.tape": ServiceKind(None, None, "webdav"),
}
# The kinds of CE that stand behind OSG's one name, as GOCDB's type and as AGIS' flavour.
CE_TYPES = {
    "CREAM-CE": "CREAM-CE", "ARC-CE": "ARC-CE", "org.nordugrid.arex": "ARC-CE", "org.opensciencegrid.htcondorce": "HTCONDOR-CE",
    "gLite-CE": "GLITE-CE", "CE": "",
}  # fmt: skip
_FLAVOURS = frozenset(CE_TYPES.values()) - {""}
CE_PORTS = {9619: "HTCONDOR-CE", 2811: "ARC-CE", 8443: "CREAM-CE", 2119: "GRAM"}


def classification(text: str) -> Classification:
    """Read a class. Raises: UserMistake (permanent) that names both."""
    try:
        return Classification(text.strip().upper())
    except ValueError as error:
        raise UserMistake(f"the class {text!r} is neither SCHEDULED nor UNSCHEDULED") from error


_SEVERITIES = {severity.value.lower(): severity for severity in Severity}


def severity(text: str) -> Severity:
    """Read a severity, in OSG's words or in GOCDB's. Raises: UserMistake (permanent) that names them all."""
    found = _SEVERITIES.get(" ".join(text.split()).lower())
    if found is None:
        raise UserMistake(
            f"the severity {text!r} is none of {', '.join(severity.value for severity in Severity)}"
        )
    return found


def theirs(declared: Severity, consumer: Consumer) -> str:
    """The severity in the two words of GOCDB, AGIS and CRIC, as a consumer acts on it: OUTAGE or WARNING."""
    return "OUTAGE" if declared in _DOWN[consumer] else "WARNING"


def osg_service(kind: str, flavour: str | None = None) -> str | None:
    """OSG's name for a type of service of GOCDB, AGIS or CRIC; None where it has none."""
    if kind in SERVICES:
        return kind
    if is_gateway(kind):
        return "CE"
    if kind == "PerfSonar" and flavour:
        return f"net.perfSONAR.{flavour}" if f"net.perfSONAR.{flavour}" in SERVICES else None
    if kind == "SRM":
        return "SRMv2"
    return next((name for name, said in SERVICES.items() if kind in (said.gocdb, said.kind)), None)


def is_gateway(kind: str) -> bool:
    """Whether jobs come by a service of this name, by OSG's, GOCDB's or CRIC's words."""
    return kind in CE_TYPES or kind in _FLAVOURS


def flavour_of(kind: str) -> str | None:
    """The flavour of a CE by GOCDB's or CRIC's name for it; None where the name does not say it."""
    return kind if kind in _FLAVOURS else CE_TYPES.get(kind) or None


def our_name(service: Affected, ours: Iterable[str]) -> str | None:
    """What a resource's services (`ours`) call one that a downtime names; None where none of them is it.

    By its name, else by the other registry's type or flavour, else by what both are in OSG's words.
    """
    known = list(ours)
    said = next((name for name in (service.name, service.said, service.flavour) if name in known), None)
    return said or next((name for name in known if osg_service(name) == service.name), None)
