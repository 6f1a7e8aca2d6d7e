"""What of the registry is asked for, by the words that requests for it have used since OIM: `facility=on&facility_10009=on`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gridkeeper.errors import UserMistake
from gridkeeper.federation.topology.models import shown_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridkeeper.federation.topology.models import ResourceGroup, Topology

# key of a request → what its numbers are ids of
BY_ID = {
    "facility": "facilities", "site": "sites", "rg": "resource groups", "sc": "support centers", "service": "services",
    "voown": "VOs that own", "vo": "VOs",
}  # fmt: skip
MOST_PAST_DAYS = 100_000


@dataclass(frozen=True)
class Filters:
    """What is asked for. An empty set, and None, ask for everything.

    ids:        key of BY_ID → ids.
    production: True for resources of production, False for those of the test bed.
    hidden:     whether services are hidden.
    past_days:  downtimes that ended so many days ago at most; None: all. Current and future ones always count.
    """

    ids: dict[str, frozenset[int]] = field(default_factory=dict)
    production: bool | None = None
    active: bool | None = None
    disabled: bool | None = None
    oasis: bool | None = None
    hidden: bool | None = None
    wlcg_only: bool = False
    past_days: int | None = 0

    def wants(self, key: str, number: int) -> bool:
        """Whether an id is among those asked for."""
        wanted = self.ids.get(key)
        return not wanted or number in wanted


def read_filters(query: Sequence[tuple[str, str]]) -> Filters:
    """Read a request's words; those that nothing here knows are left alone. Raises: UserMistake (permanent)."""
    said = dict(query)
    return Filters(
        ids={key: _ids(key, query) for key in BY_ID if key in said},
        production=_grid(said) if "gridtype" in said else None,
        active=_flag("active", said),
        disabled=_flag("disable", said),
        oasis=_flag("oasis", said),
        hidden=_bit("service_hidden_value", said) if "service_hidden_value" in said else None,
        wlcg_only="has_wlcg" in said,
        past_days=_past(said.get("downtime_attrs_showpast", "")),
    )


def _flag(key: str, said: dict[str, str]) -> bool | None:
    return _bit(f"{key}_value", said) if key in said else None


def _bit(key: str, said: dict[str, str]) -> bool:
    value = said.get(key, "")
    if value not in ("0", "1"):
        raise UserMistake(f"{key} must be 0 or 1, and is {value!r}")
    return value == "1"


def _grid(said: dict[str, str]) -> bool | None:
    production, test_bed = said.get("gridtype_1") == "on", said.get("gridtype_2") == "on"
    if not production and not test_bed:
        raise UserMistake("gridtype needs gridtype_1=on (production), gridtype_2=on (test bed), or both")
    return None if production and test_bed else production


def _past(value: str) -> int | None:
    if value == "all":
        return None
    if not value:
        return 0
    if not value.isascii() or not value.isdigit() or int(value) > MOST_PAST_DAYS:
        raise UserMistake(f"downtime_attrs_showpast must be a number of days or all, and is {value[:40]!r}")
    return int(value)


def _ids(key: str, query: Sequence[tuple[str, str]]) -> frozenset[int]:
    """The ids of `key_12=on` and of `key_sel[]=12`."""
    named = re.compile(rf"{key}_([0-9]{{1,19}})")
    found = set()
    for name, value in query:
        fits = named.fullmatch(name)
        if fits and value not in ("", "0", "off"):
            found.add(int(fits[1]))
        elif name == f"{key}_sel[]":
            if not value.isascii() or not value.isdigit() or len(value) > 19:
                raise UserMistake(f"{name} must be an id, and is {value[:40]!r}")
            found.add(int(value))
    if not found:
        raise UserMistake(f"{key} needs ids of {BY_ID[key]}: {key}_12=on, or {key}_sel[]=12")
    return frozenset(found)


class Ids:
    """The ids of places, as published lists have them."""

    def __init__(self, topology: Topology) -> None:
        self.facilities = {one.name: shown_id(one.id, one.name) for one in topology.facilities}
        self.sites = {(one.facility, one.name): shown_id(one.id, one.name) for one in topology.sites}
        self.centers = {one.name: shown_id(one.id, one.name) for one in topology.support_centers.values()}
        self.services = {name: shown_id(number, name) for name, number in topology.service_types.items()}
        self.vos = {one.name: shown_id(one.id, one.name) for one in topology.vos}
        self.campus_grids = {name: shown_id(number, name) for name, number in topology.campus_grids.items()}

    def service(self, name: str) -> int:
        """The id of a type of service; one that no list has gets the id of its name."""
        return self.services.get(name) or shown_id(None, name)


def group_is_wanted(group: ResourceGroup, ids: Ids, filters: Filters) -> bool:
    """Whether the place and grid of a resource group are asked for."""
    return (
        filters.wants("facility", ids.facilities.get(group.facility, -1))
        and filters.wants("site", ids.sites.get((group.facility, group.site), -1))
        and filters.wants("sc", ids.centers.get(group.support_center or "", -1))
        and filters.wants("rg", shown_id(group.id, group.name))
        and filters.production in (None, group.production)
    )
