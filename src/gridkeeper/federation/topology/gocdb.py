"""Reads documents of GOCDB: the answers of `get_site`, `get_site_list`, `get_service_endpoint` and `get_service`, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from gridkeeper.federation.bounded_xml import TooManyMarks, read_xml
from gridkeeper.federation.topology.listed import (
    GOCDB,
    ListedService,
    ListedSite,
    Listing,
    Teller,
    host_of,
    without_addresses,
)

if TYPE_CHECKING:
    from gridkeeper.federation.topology.faults import Fault
    from gridkeeper.federation.topology.models import Data

SERVICE_TAGS = ("SERVICE_ENDPOINT", "SERVICE")
# Whether a site of this status is disabled.
STATUSES = {"candidate": False, "uncertified": False, "certified": False, "suspended": True, "closed": True}
_YES, _NO = frozenset({"y", "yes", "true", "1"}), frozenset({"n", "no", "false", "0"})
_KEPT = {
    "OFFICIAL_NAME": "LongName", "SITE_DESCRIPTION": "Description", "COUNTRY": "Country", "ROC": "NGI", "TIMEZONE": "Timezone",
    "CERTIFICATION_STATUS": "CertificationStatus", "PRODUCTION_INFRASTRUCTURE": "Infrastructure",
}  # fmt: skip
_LAST_LINE = 65_535  # beyond it the parser may not know a line


def read_gocdb(data: bytes, file: str, faults: list[Fault]) -> Listing | None:
    """What a document lists; None, and a fault, where it is none of GOCDB's. A bad entry is told and left out alone."""
    teller = Teller(GOCDB, file, faults)
    try:
        root = read_xml(data)
    except etree.XMLSyntaxError as error:
        said = " ".join((error.msg or "nothing stands in it").split())
        message = f"the file is no XML ({said}), and nothing of it is read"
        teller.tell("not-xml", error.lineno or 0, message, "fetch it again", "error")
        return None
    except TooManyMarks as error:
        message = f"the file holds {error}; nothing of it is read"
        teller.tell("beyond-bounds", 0, message, "look whether it is the right file", "error")
        return None
    entries = [entry for entry in root if isinstance(entry.tag, str)]
    tags = {str(entry.tag) for entry in entries}
    if not tags & {"SITE", *SERVICE_TAGS} and (root.tag != "results" or tags - {"meta"}):
        teller.tell_other("get_site or get_service_endpoint", has_downtimes="DOWNTIME" in tags)
        return None
    sites = [_site(_Entry(entry), teller) for entry in entries if entry.tag == "SITE"]
    services = [_service(_Entry(entry), teller) for entry in entries if entry.tag in SERVICE_TAGS]
    own, following = _pages(root)
    return Listing(
        GOCDB,
        tuple(one for one in sites if one is not None),
        tuple(one for one in services if one is not None),
        file,
        own,
        following,
    )


class _Entry:
    """An entry and its texts by tag; of a tag that stands twice the first one that says something."""

    def __init__(self, element: etree._Element) -> None:
        self.element = element
        self._texts: dict[str, str] = {}
        self._inner: dict[str, etree._Element] = {}
        for part in element:
            tag = part.tag
            if isinstance(tag, str):
                self._inner.setdefault(tag, part)
                text = (part.text or "").strip()
                if text:
                    self._texts.setdefault(tag, text)

    def said(self, tag: str) -> str | None:
        """What a tag says; None where it says nothing."""
        return self._texts.get(tag)

    def attribute(self, name: str) -> str | None:
        """What an attribute says; None where it says nothing."""
        return (self.element.get(name) or "").strip() or None

    def inner(self, tag: str) -> tuple[etree._Element, ...]:
        """The elements in the first of a tag."""
        found = self._inner.get(tag)
        return () if found is None else tuple(found)

    @property
    def scopes(self) -> tuple[str, ...]:
        """Its scopes, in the order of letters."""
        said = ((one.text or "").strip() for one in self.inner("SCOPES") if one.tag == "SCOPE")
        return tuple(sorted({scope for scope in said if scope}))

    @property
    def line(self) -> int:
        """Where it begins; 0 where the parser does not know it."""
        return _line(self.element)

    def where(self, tag: str) -> int:
        """The line of a tag; the entry's where it is not there."""
        return _line(self._inner.get(tag, self.element))


def _line(element: etree._Element) -> int:
    line: object = element.sourceline
    return line if isinstance(line, int) and line != _LAST_LINE else 0


def _site(entry: _Entry, teller: Teller) -> ListedSite | None:
    name = entry.attribute("NAME") or entry.said("SHORT_NAME") or entry.said("NAME")
    if name is None:
        message = "a site has no name, and is not read"
        teller.tell("missing-key", entry.line, message, "give it a SHORT_NAME in GOCDB", "error")
        return None
    status = entry.said("CERTIFICATION_STATUS")
    if status is not None and status.lower() not in STATUSES:
        message = f"site {name}: {status[:40]!r} is no certification status; the site counts as in use"
        fix = f"mend it in GOCDB: {', '.join(one.capitalize() for one in STATUSES)}"
        teller.tell("unknown-certification-status", entry.where("CERTIFICATION_STATUS"), message, fix)
    latitude, longitude = teller.place(
        name, entry.said("LATITUDE"), entry.said("LONGITUDE"), entry.where("LATITUDE")
    )
    data: Data = {}
    for tag, key in _KEPT.items():
        said = entry.said(tag) or entry.attribute(tag)
        if said is not None:
            data[key] = without_addresses(said)
    if entry.scopes:
        data["Scopes"] = ", ".join(entry.scopes)
    if latitude is not None:
        data |= {"Latitude": latitude, "Longitude": longitude}
    return ListedSite(
        name=name,
        facility=entry.said("OFFICIAL_NAME") or name,
        production=(entry.said("PRODUCTION_INFRASTRUCTURE") or "").lower() != "test",
        disabled=STATUSES.get((status or "").lower(), False),
        support_center=entry.said("ROC") or entry.attribute("ROC"),
        latitude=latitude,
        longitude=longitude,
        data=data,
        file=teller.file,
        line=entry.line,
    )


def _service(entry: _Entry, teller: Teller) -> ListedService | None:
    kind, site = entry.said("SERVICE_TYPE"), entry.said("SITENAME")
    host, url = entry.said("HOSTNAME"), entry.said("URL")
    called = f"service {entry.attribute('PRIMARY_KEY') or entry.said('PRIMARY_KEY') or 'without a key'}"
    for said, tag in ((site, "SITENAME"), (kind, "SERVICE_TYPE"), (host or url, "HOSTNAME")):
        if said is None:
            message = f"{called} has no {tag}, and is not read"
            teller.tell("missing-key", entry.line, message, "mend it in GOCDB")
            return None
    found = host_of(host or url or "")
    if found is None or site is None or kind is None:
        message = f"{called}: {(host or url or '')[:80]!r} is no host; the service is not read"
        teller.tell("bad-host", entry.where("HOSTNAME"), message, "mend its HOSTNAME in GOCDB")
        return None
    return ListedService(
        site=site,
        host=found,
        kind=kind,
        active=_in_production(entry, called, teller),
        endpoint=url or next((one for each in entry.inner("ENDPOINTS") if (one := _Entry(each).said("URL"))), None),
        dn=entry.said("HOSTDN"),
        scopes=entry.scopes,
        file=teller.file,
        line=entry.line,
    )  # fmt: skip


def _in_production(entry: _Entry, called: str, teller: Teller) -> bool | None:
    said = entry.said("IN_PRODUCTION")
    if said is None or said.lower() in _YES | _NO:
        return None if said is None else said.lower() in _YES
    message = f"{called}: IN_PRODUCTION is {said[:40]!r}; expected is Y or N"
    teller.tell("wrong-kind", entry.where("IN_PRODUCTION"), message, "mend it in GOCDB")
    return None


def _pages(root: etree._Element) -> tuple[str, str]:
    """The addresses of this page and of the next one; no next one after a page that is not full."""
    links = {link.get("rel"): (link.get("href") or link.text or "").strip() for link in root.iterfind("meta/link")}  # fmt: skip
    count, most = (root.findtext(f"meta/{name}") or "" for name in ("count", "max_page_size"))
    is_full = not (_is_number(count) and _is_number(most) and int(count) < int(most))
    return links.get("self", ""), links.get("next", "") if is_full else ""


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
