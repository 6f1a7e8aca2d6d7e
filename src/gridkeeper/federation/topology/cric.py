"""Reads documents of CRIC: the answers of `api/core/rcsite/query/?json` and `api/core/service/query/?json`, by name or as a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from gridkeeper.federation.topology.listed import (
    CRIC,
    ListedService,
    ListedSite,
    Listing,
    Teller,
    host_of,
    without_addresses,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gridkeeper.federation.topology.faults import Fault
    from gridkeeper.federation.topology.models import Data

MOST_MARKS = 10_000_000  # of `[`, `{` and `,`: each value but the first of each list has one
ACTIVE = "ACTIVE"
_OF_SERVICE = frozenset({"endpoint", "flavour", "rcsite", "rc_site"})
_OF_SITE = frozenset({"rc_tier_level", "federations", "infrastructure", "country", "state"})
_OLDER, _OF_SITE_ALONE = frozenset({"site", "type"}), frozenset({"rc_tier_level", "federations"})
_OF_DOWNTIME = frozenset({"start_time", "end_time"})
_KEPT = {
    "description": "Description", "country": "Country", "timezone": "Timezone", "rc_tier_level": "Tier",
}  # fmt: skip
_SEVERAL = {"federations": "Federations", "infrastructure": "Infrastructure"}


def read_cric(data: bytes, file: str, faults: list[Fault]) -> Listing | None:
    """What a document lists; None, and a fault, where it is none of CRIC's. A bad entry is told and left out alone."""
    teller = Teller(CRIC, file, faults)
    if sum(data.count(mark) for mark in (b"[", b"{", b",")) > MOST_MARKS:
        message = f"the file holds more than {MOST_MARKS:,} values; nothing of it is read"
        teller.tell("beyond-bounds", 0, message, "look whether it is the right file", "error")
        return None
    try:
        document = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        message = f"the file is no JSON ({error.msg}), and nothing of it is read"
        teller.tell("not-json", error.lineno, message, "fetch it again", "error")
        return None
    entries = list(_entries(document, data))
    kinds = {_kind(entry) for _, _, entry in entries}
    if (entries or not isinstance(document, dict | list)) and not kinds & {"site", "service"}:
        has_downtimes = any(_kind(one) == "downtime" for one in _values(document))
        teller.tell_other(
            "api/core/rcsite/query/?json or api/core/service/query/?json", has_downtimes=has_downtimes
        )
        return None
    sites: list[ListedSite] = []
    services: list[ListedService] = []
    for key, line, entry in entries:
        kind = _kind(entry)
        if kind == "site":
            site = _site(_Entry(entry, key, line, teller))
            sites += [site] if site else []
        elif kind == "service":
            service = _service(_Entry(entry, key, line, teller))
            services += [service] if service else []
        else:
            message = f"the entry {key or 'without a name'} is neither a site nor a service, and is not read"
            teller.tell("wrong-kind", line, message, "fetch it again")
    return Listing(CRIC, tuple(sites), tuple(services), file)


def _entries(document: Any, data: bytes) -> Iterator[tuple[str, int, Any]]:
    """Each entry with its key and the line of that; 0 where it is not found."""
    if isinstance(document, list):
        yield from (("", 0, entry) for entry in document)
    elif isinstance(document, dict):
        lines = _Lines(data)
        for key, entry in document.items():
            yield key, lines.of(key), entry


class _Lines:
    """Finds the lines on which keys stand, which come in order; from the first that is not found on it knows none."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at, self._line = 0, 1

    def of(self, key: str) -> int:
        """The line of a key; 0 where it is not found."""
        if self._line == 0:
            return 0
        written = orjson.dumps(key)
        place = self._data.find(written, self._at)
        while place >= 0:
            after = place + len(written)
            if self._data[after : after + 8].lstrip().startswith(b":"):
                break
            place = self._data.find(written, after)
        self._line = self._line + self._data.count(b"\n", self._at, place) if place >= 0 else 0
        self._at = place
        return self._line


def _kind(entry: Any) -> str:
    """`site`, `service`, `downtime`, or `` for what is none of them."""
    if isinstance(entry, list):
        return "downtime" if any(_kind(one) == "downtime" for one in entry) else ""
    if not isinstance(entry, dict):
        return ""
    if entry.keys() >= _OF_DOWNTIME:
        return "downtime"
    if entry.keys() & _OF_SERVICE or (entry.keys() >= _OLDER and not entry.keys() & _OF_SITE_ALONE):
        return "service"
    return "site" if entry.keys() & _OF_SITE else ""


def _values(value: Any) -> list[Any]:
    """What a list, or an object by name, holds; nothing where it is neither."""
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


class _Entry:
    """One entry and its texts."""

    def __init__(self, said: dict[str, Any], key: str, line: int, teller: Teller) -> None:
        self.said, self.line, self.teller = said, line, teller
        self.name = self.text("name") or key.strip() or None

    def text(self, *keys: str) -> str | None:
        """The first of these that says something, as text; what is no text is told."""
        for key in keys:
            value = self.said.get(key)
            if value is None or value == "" or value == []:
                continue
            if isinstance(value, str):
                if value.strip():
                    return value.strip()
            elif isinstance(value, int | float) and not isinstance(value, bool):
                return str(value)
            else:
                message = f"{key} of {self.said.get('name') or 'an entry'} is no text, and is not read"
                self.teller.tell("wrong-kind", self.line, message[:200], "mend it in CRIC")
        return None

    def texts(self, key: str) -> list[str]:
        """A list of texts, or of objects with names; one text stands for a list of one, an object for the list of its keys."""
        value = self.said.get(key)
        several = list(value) if isinstance(value, list | dict) else [value]
        names = [one.get("name") if isinstance(one, dict) else one for one in several]
        return sorted({one.strip() for one in names if isinstance(one, str) and one.strip()})


def _site(entry: _Entry) -> ListedSite | None:
    name = entry.name
    if name is None:
        message = "a site has no name, and is not read"
        entry.teller.tell("missing-key", entry.line, message, "give it a name in CRIC", "error")
        return None
    place = entry.teller.place(name, entry.said.get("latitude"), entry.said.get("longitude"), entry.line)
    data: Data = {key: without_addresses(said) for word, key in _KEPT.items() if (said := entry.text(word))}
    data |= {key: ", ".join(names) for word, key in _SEVERAL.items() if (names := entry.texts(word))}
    if place[0] is not None:
        data |= {"Latitude": place[0], "Longitude": place[1]}
    return ListedSite(
        name=name,
        facility=name,
        production=True,
        disabled=_is_active(entry) is False,
        support_center=None,
        latitude=place[0],
        longitude=place[1],
        data=data,
        file=entry.teller.file,
        line=entry.line,
    )


def _service(entry: _Entry) -> ListedService | None:
    called = f"service {entry.name or 'without a name'}"
    site, kind = entry.text("rcsite", "rc_site", "site"), entry.text("flavour", "type")
    for said, key in ((site, "rcsite"), (kind, "type")):
        if said is None:
            message = f"{called} has no {key}, and is not read"
            entry.teller.tell("missing-key", entry.line, message, "mend it in CRIC")
            return None
    endpoint = entry.text("endpoint") or _of_protocols(entry.said.get("protocols"))
    host = host_of(endpoint or "")
    if host is None or site is None or kind is None:
        said = f"its endpoint {endpoint[:80]!r} names no host" if endpoint else "it has no endpoint"
        message = f"{called}: {said}, so that nothing can be matched by it; it is not read"
        entry.teller.tell("bad-host" if endpoint else "missing-key", entry.line, message, "mend it in CRIC")
        return None
    return ListedService(
        site=site,
        host=host,
        kind=kind,
        active=_is_active(entry),
        endpoint=endpoint,
        dn=None,
        scopes=(),
        file=entry.teller.file,
        line=entry.line,
    )


def _is_active(entry: _Entry) -> bool | None:
    state = entry.text("state")
    return None if state is None else state.upper() == ACTIVE


def _of_protocols(protocols: Any) -> str | None:
    """The first endpoint, in the order of letters, that a service's protocols name."""
    said = [one.get("endpoint") for one in _values(protocols) if isinstance(one, dict)]
    return min((one for one in said if isinstance(one, str) and host_of(one)), default=None)
