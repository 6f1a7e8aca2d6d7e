"""Says where the history that a home keeps of its registry is behind the registry's files of today."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridkeeper.errors import BadConfiguration
from gridkeeper.federation.dated import read_past
from gridkeeper.federation.topology.faults import Fault
from gridkeeper.federation.topology.listed import listed_by
from gridkeeper.federation.topology.loading import FOLDERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gridkeeper.federation.dated import Past, PastPeriod
    from gridkeeper.federation.topology.loading import Loaded
    from gridkeeper.federation.topology.models import Resource

MOST_NAMES = 5
_FOLDER = FOLDERS[0]
_FIX = "bring the checkout up to date and run gridkeeper federation history --repo CHECKOUT --write"
# Of a file that is so nobody knows what it says today; the history goes on with what it said before.
_UNREAD = frozenset({"not-yaml", "not-utf-8", "unreadable", "beyond-bounds"})


def behind_kept(loaded: Loaded, history: Path) -> list[Fault]:
    """As `behind`, of the history kept in a file; where it cannot be read, that is the fault."""
    try:
        return behind(loaded, read_past(history), history.name)
    except BadConfiguration:
        message = "it cannot be read as what gridkeeper federation history --write keeps, and no report is made with it"
        return [Fault("unreadable", "error", history.name, 0, message, _FIX)]


def behind(loaded: Loaded, past: Past, file: str) -> list[Fault]:
    """Compare what the files say with the last period of each name in the history. file: where it is kept.

    Returns: at most one fault; none where no history is kept, and where nothing is in the layout that has one.
    """
    if not past.resources or _FOLDER not in loaded.topology.folders:
        return []
    told = list(_differences(loaded, past))
    if not told:
        return []
    more = len(told) - MOST_NAMES
    named = "; ".join(told[:MOST_NAMES]) + (f"; and {more:,} more" if more > 0 else "")
    what = "1 resource is" if len(told) == 1 else f"{len(told):,} resources are"
    message = f"{what} not in this history as the files have them today: {named}"
    return [Fault("history-behind", "warning", file, 0, message, _FIX)]


def _differences(loaded: Loaded, past: Past) -> Iterator[str]:
    """Each resource of which the two say something else, by name: what of it."""
    last: dict[str, PastPeriod] = {}
    names: dict[str, str] = {}
    for one in past.resources:
        if one.periods[-1].until is None or one.name.lower() not in last:
            last[one.name.lower()], names[one.name.lower()] = one.periods[-1], one.name
    files: dict[str, list[Resource]] = {}
    for resource in loaded.topology.resources:
        if not listed_by(resource.file):  # what other registries list has no history
            files.setdefault(resource.name.lower(), []).append(resource)
    unread = {fault.file for fault in loaded.faults if fault.code in _UNREAD}
    for key in sorted({*files, *last}):
        known, now = last.get(key), files.get(key)
        if now is None:
            if known is not None and known.until is None and _file_of(known) not in unread:
                yield f"{names[key]} (the files have it no more)"
        elif known is None:
            yield f"{now[0].name} (it is not there)"
        elif known.until is not None:
            yield f"{now[0].name} (it ended there on {known.until})"
        elif others := min((_otherwise(one, known) for one in now), key=len):  # of several the nearest one
            yield f"{now[0].name} (other {', '.join(others)})"


def _otherwise(now: Resource, known: PastPeriod) -> list[str]:
    """What of a resource the files say otherwise."""
    pairs = {
        "site": (now.site, known.site),
        "facility": (now.facility, known.facility),
        "resource group": (now.group, known.group),
        "hosts": ({host.lower() for host in now.hosts}, {host.lower() for host in known.hosts}),
        "owners": (now.owners, known.owners),
        "accounting name": (now.accounting_name, known.accounting_name),
        "normalisation factor": (now.apel_normal_factor, known.apel_normal_factor),
    }
    return [name for name, (here, there) in pairs.items() if here != there]


def _file_of(known: PastPeriod) -> str:
    return f"{_FOLDER}/{known.facility}/{known.site}/{known.group}.yaml"
