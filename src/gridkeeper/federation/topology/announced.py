"""Reads `<group>_downtime.yaml`: announced downtimes, each with the line of every key. Nothing here judges a time.

An entry whose dash was indented or forgotten becomes part of the one above it: YAML then sees every key twice, and other tools
of this layout read only the last of the two. Here both are entries; the lost one is among `swallowed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from gridkeeper.federation.topology.documents import DUPLICATE_KEY, Block, Items
from gridkeeper.federation.topology.fields import Fields
from gridkeeper.federation.topology.models import DowntimeEntry

if TYPE_CHECKING:
    from gridkeeper.federation.topology.faults import Fault

_WHOLE = frozenset(
    {"StartTime", "EndTime", "ResourceName"}
)  # with these, keys are an announcement of their own


@dataclass(frozen=True, slots=True)
class Announced:
    """The downtimes of a file. entries: one for each member of its list; swallowed: those that lost their dash."""

    entries: tuple[DowntimeEntry, ...]
    swallowed: tuple[DowntimeEntry, ...]


def read_downtimes(document: Any, file: str, place: tuple[str, str, str], faults: list[Fault]) -> Announced:
    """The downtimes of a file. place: facility, site and resource group. An entry that lacks a key is told, and kept."""
    if document is None:
        return Announced((), ())
    if isinstance(document, Block):  # one entry without its dash
        members, lines = [document], [document.line]
    elif isinstance(document, Items):
        members, lines = list(document), document.lines
    else:
        Fields(document, "the list of downtimes", file, faults)
        return Announced((), ())
    entries, swallowed = [], []
    for member, line in zip(members, lines, strict=True):
        if not isinstance(member, Block):
            Fields(member, "a downtime", file, faults, line)
            continue
        *lost, counted = _apart(member, file, faults)
        swallowed += [_entry(Fields(one, _called(one), file, faults, line), place) for one in lost]
        entries.append(_entry(Fields(counted, _called(counted), file, faults, line), place))
    return Announced(tuple(entries), tuple(swallowed))


def _called(block: Block) -> str:
    return f"downtime {block['ID']}" if isinstance(block.get("ID"), int | str) else "a downtime"


def _apart(member: Block, file: str, faults: list[Fault]) -> list[Block]:
    """The announcements that one member of the list holds: one, or more where a dash is missing."""
    if member.pairs is None:
        return [member]
    parts = [Block(member.line)]
    for index, (key, line, value) in enumerate(member.pairs):
        if key in parts[-1] and {name for name, *_ in member.pairs[index:]} >= _WHOLE <= parts[-1].keys():
            parts.append(_begun_by_a_stray_dash(parts[-1], line))
        if key != "ID" or parts[-1].get("ID") is None:
            parts[-1][key] = value
            parts[-1].lines[key] = line
    if len(parts) == 1:
        _tell_ids(member, file, faults)
        return parts
    within = {line for _, line, _ in member.pairs}
    faults[:] = [one for one in faults if one.code != DUPLICATE_KEY or one.line not in within]
    for above, below in pairwise(parts):
        whole = Fields(below, _called(below), file, faults)
        message = (
            f"{_called(below)} has no dash of its own and is part of {_called(above)} on line {above.line}, of which other tools "
            "see nothing; both are read here"
        )
        whole.fault(
            "downtime-hidden",
            below.line,
            message,
            "begin it with a dash at the margin: - Class: ...",
            "error",
        )
    return parts


def _begun_by_a_stray_dash(above: Block, line: int) -> Block:
    """A new announcement; `- Class: SCHEDULED` on a dash too far right is the last service of the one above it."""
    services = above.get("Services")
    begun = Block(line)
    if isinstance(services, Items) and services and isinstance(services[-1], Block):
        stray = services[-1]
        begun.line = services.lines[-1]
        begun.update(stray)
        begun.lines.update(stray.lines)
        kept = Items(services.line)
        kept.extend(services[:-1])
        kept.lines = services.lines[:-1]
        above["Services"] = kept
    return begun


def _tell_ids(member: Block, file: str, faults: list[Fault]) -> None:
    """Of two ids the first one is the entry's: the other came from the entry above or below."""
    ids = [(line, value) for key, line, value in member.pairs or () if key == "ID" and value is not None]
    if len(ids) < 2:
        return
    (first, kept), *others = ids
    faults[:] = [
        one for one in faults if one.code != DUPLICATE_KEY or one.line not in {at for at, _ in others}
    ]
    for line, value in others:
        message = f"downtime {kept} (ID on line {first}) has a second ID, {value}, which may be another downtime's; {kept} is kept"
        fix = f"move ID: {value} to the entry that it belongs to"
        Fields(member, "", file, faults).fault(DUPLICATE_KEY, line, message, fix, "error")


def _entry(fields: Fields, place: tuple[str, str, str]) -> DowntimeEntry:
    facility, site, group = place
    if "Services" not in fields.block:
        fields.text("Services", needed=True)
    if "ID" not in fields.block:
        fields.text("ID", needed=True)
    return DowntimeEntry(
        id=fields.integer("ID"),
        class_=fields.text("Class", needed=True) or "",
        severity=fields.text("Severity", needed=True) or "",
        description=fields.text("Description"),
        start=fields.text("StartTime", needed=True) or "",
        end=fields.text("EndTime", needed=True) or "",
        created=fields.text("CreatedTime"),
        resource=fields.text("ResourceName", needed=True) or "",
        services=fields.texts("Services"),
        group=group,
        site=site,
        facility=facility,
        file=fields.file,
        line=fields.line,
        lines=fields.lines,
    )
