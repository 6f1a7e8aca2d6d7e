"""What other registries than OSG's list, entry by entry: sites, and services at hosts, each with the file and line that say it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gridkeeper.federation.topology.faults import Fault

if TYPE_CHECKING:
    from gridkeeper.federation.topology.faults import Severity
    from gridkeeper.federation.topology.models import Data

GOCDB, CRIC = "GOCDB", "CRIC"
FOLDERS_OF = {"gocdb": GOCDB, "cric": CRIC}  # where their documents lie in a home
ENDINGS = {"gocdb": ".xml", "cric": ".json"}  # and how their names end
REGISTRIES = (GOCDB, CRIC)  # of a site that both list, the first one's counts
LEFT_OUT = "(address left out)"
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]{{2,45}}\]")
LONGEST_HOST = 253


def listed_by(file: str) -> str:
    """GOCDB or CRIC, whose document a file of a home is; "" for files of the OSG layout."""
    return FOLDERS_OF.get(file.partition("/")[0], "")


@dataclass(frozen=True, slots=True)
class ListedSite:
    """A site as its registry lists it. data: what else is said of it, no address or number of anybody among it."""

    name: str
    facility: str
    production: bool
    disabled: bool
    support_center: str | None
    latitude: float | None
    longitude: float | None
    data: Data
    file: str
    line: int

    @property
    def facts(self) -> tuple[object, ...]:
        """What is said, without where."""
        return (self.facility, self.production, self.disabled, self.support_center, self.latitude, self.longitude, self.data)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ListedService:
    """A service at a host. kind: its type; active: whether it is in production, None where nothing says; host: in small letters."""

    site: str
    host: str
    kind: str
    active: bool | None
    endpoint: str | None
    dn: str | None
    scopes: tuple[str, ...]
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What one document lists.

    own, following: the addresses of this page and of the next one, where the document says them; "" where not.
    """

    registry: str
    sites: tuple[ListedSite, ...]
    services: tuple[ListedService, ...]
    file: str
    own: str = ""
    following: str = ""


@dataclass(frozen=True)
class Teller:
    """Tells faults of one document. registry: where an entry is mended."""

    registry: str
    file: str
    faults: list[Fault]

    def tell(self, code: str, line: int, message: str, fix: str, severity: Severity = "warning") -> None:
        """Tell one fault."""
        self.faults.append(Fault(code, severity, self.file, line, message, fix))

    def tell_other(self, expected: str, *, has_downtimes: bool) -> None:
        """Tell that a document is none of sites or services. expected: which answers are, in words."""
        if has_downtimes:
            message = "the file holds downtimes, no sites or services, and nothing of it is read here"
            fix = "move it out of this folder, and take it in with gridkeeper downtimes import"
        else:
            message = f"the file holds neither sites nor services as {self.registry} gives them, and nothing of it is read"
            fix = f"put an answer of {expected} there"
        self.tell("other-document", 0, message, fix, "error")

    def place(
        self, site: str, latitude: object, longitude: object, line: int
    ) -> tuple[float | None, float | None]:
        """A place on Earth; where it is none, that is told, and neither number is used."""
        found = degrees(latitude, 90), degrees(longitude, 180)
        for said, read, most, key in (
            (latitude, found[0], 90, "latitude"),
            (longitude, found[1], 180, "longitude"),
        ):
            if said not in (None, "") and read is None:
                message = f"site {site}: the {key} {str(said)[:40]!r} is no place on Earth, and is not used"
                fix = f"mend it in {self.registry}: degrees from -{most} to {most}"
                self.tell("bad-coordinates", line, message, fix)
        return found if None not in found else (None, None)


def degrees(value: object, most: int) -> float | None:
    """A number of degrees; None where it is none, or beyond `most`."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and abs(number) <= most else None


def authority(endpoint: str) -> str:
    """The host and port of an endpoint, as written: `host:8443` of `srm://host:8443/path`, `host:8443` or `host:8443?query`."""
    return endpoint.split("://", 1)[-1].split("/", 1)[0].split("?", 1)[0].rpartition("@")[2]


def host_of(endpoint: str) -> str | None:
    """The host, in small letters, of `https://ce1.example.org:8443/path`, `ce1.example.org:9619` or `ce1.example.org`."""
    place = authority(endpoint.strip()).lower()
    name = place[: place.find("]") + 1] if place.startswith("[") else place.partition(":")[0]
    name = name.rstrip(".")
    return name if len(name) <= LONGEST_HOST and _HOST.fullmatch(name) else None


def without_addresses(text: str) -> str:
    """A text of somebody's writing without addresses of mail."""
    return " ".join(LEFT_OUT if "@" in word else word for word in text.split()) if "@" in text else text
