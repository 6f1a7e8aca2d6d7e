"""Where `gridkeeper downtimes` finds downtimes and resources, and how it writes them out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from gridkeeper.cli.output import save
from gridkeeper.cli.wiring import Wired, wired
from gridkeeper.database import reading
from gridkeeper.errors import UserMistake
from gridkeeper.federation.downtimes import calendar, cric, gocdb, osg_yaml, store
from gridkeeper.federation.downtimes.directory import Directory, both, of_path, of_registry, of_topology
from gridkeeper.federation.downtimes.gathering import Told, gather
from gridkeeper.federation.downtimes.mapper import Mapped, Side, to_cric
from gridkeeper.federation.downtimes.model import Incident, Row
from gridkeeper.federation.downtimes.osg_writing import written
from gridkeeper.federation.downtimes.revising import Kept
from gridkeeper.federation.downtimes.words import Consumer
from gridkeeper.federation.model import read_registry
from gridkeeper.federation.topology.listed import listed_by
from gridkeeper.federation.topology.loading import has_osg_layout, read_topology
from gridkeeper.federation.topology.models import Topology


class Form(StrEnum):
    """A form that downtimes are written in."""

    TOPOLOGY = "topology"
    GOCDB = "gocdb"
    CRIC = "cric"
    ICAL = "ical"


def topology_of(place: Wired) -> Topology | None:
    """The registry in a home, in OSG's layout or of other registries' documents; None where it has none."""
    topology = place.watch.loaded().topology
    return topology if topology.folders else None


def directory_of(place: Wired) -> Directory:
    """All resources that a home knows: of its topology with their services, and of federation.yaml."""
    own = of_registry(place.registry)
    topology = topology_of(place)
    return own if topology is None else both(of_topology(topology), own)


def beside(ours: Path, topology: Path | None, home: Path | None) -> Directory | None:
    """What is where on our side of a comparison: as named, else what lies beside it, else of the home, where there is one."""
    if topology is not None:
        found = of_path(topology)
        if found is None:
            raise UserMistake(f"{topology} is no topology; name the folder that holds `topology/`")
        return found
    found = of_path(ours)
    if found is not None:
        return found
    try:
        return directory_of(wired(home))
    except UserMistake:
        if home is not None:
            raise
        return None  # no home is named, and none is needed


def everything(place: Wired) -> list[Told]:
    """All downtimes that a home knows, in the order of their starts; what is kept here and in the topology, once."""
    kept: list[Kept] = []
    if place.has_database:
        with reading(place.database()) as connection:
            kept = store.everything(connection)
    return gather(kept, topology_of(place), read_registry(place.home.federation).downtimes)


def drafted(rows: Sequence[Row]) -> Told:
    """Rows that are kept nowhere."""
    return Told("nowhere", Incident("", tuple(rows)))


def as_row(told: Told, moment: datetime) -> dict[str, Any]:
    """A downtime as a row of an answer."""
    first, window = told.incident.first, told.incident.window
    row: dict[str, Any] = {
        "id": told.incident.id,
        "state": told.state(moment),
        "kept_in": told.where,
        "class": first.declared_class.value if told.is_declared else None,
        "derived_class": first.derived_class.value if first.derived_class else None,
        "severity": first.severity.value if told.is_declared else None,
        "from": window.start.at,
        "until": window.until,
        "declared_from": window.start.text,
        "declared_until": window.end.text if window.end else None,
        "created": first.created.at if first.created else None,
        "text": first.description,
        "resources": list(told.incident.resources) or [row.host or row.site or "" for row in told.incident.rows],
        "affected": [
            {"entry": row.id, "resource": row.resource, "host": row.host, "services": [each.name for each in row.services]}
            for row in told.incident.rows
        ],
    }  # fmt: skip
    if told.kept is not None:
        row["revisions"] = [
            {
                "number": one.number, "act": one.act.value, "at": one.at.isoformat(), "who": one.who, "reason": one.reason,
                "until": one.rows[0].window.until.isoformat() if one.rows[0].window.until else None,
            }
            for one in told.kept.revisions
        ]  # fmt: skip
    return row


def exported(
    place: Wired, form: Form, output: Path, consumer: Consumer, moment: datetime, *, past_too: bool
) -> dict[str, Any]:
    """Write downtimes in a form. Returns: how many were written, to where, and each part that the form cannot carry.

    Raises: UserMistake (permanent) where a file cannot be written, or a topology lacks the resource group.
    """
    every = [told for told in everything(place) if told.is_declared]
    if form is Form.TOPOLOGY:
        return _into_topology(place, output, [told for told in every if told.kept])
    live = [
        told
        for told in every
        if told.state(moment) in ({"current", "future", "past"} if past_too else {"current", "future"})
    ]
    rows = [row for told in live for row in told.incident.rows]
    if form is Form.ICAL:
        save(calendar.write(rows, moment), output)
        return {"written": len(rows), "to": str(output), "undelivered": [], "notes": []}
    directory = directory_of(place)
    side = Side.CRIC if form is Form.CRIC else Side.GOCDB
    mapped = [to_cric(row, directory, consumer, side=side) for row in rows if row.resource]
    sent = [one.sent for one in mapped if one.sent is not None]
    sent += [row for row in rows if row.resource is None]  # imported with their hosts
    save(cric.write(sent, consumer) if form is Form.CRIC else gocdb.write(sent, consumer), output)
    return {"written": len(sent), "to": str(output), **_lost(mapped)}


def _lost(mapped: list[Mapped]) -> dict[str, Any]:
    return {
        "undelivered": [
            {"id": one.row.id, "resource": one.row.resource, "service": part.service, "reason": part.reason, "sentence": part.sentence}
            for one in mapped
            for part in one.parts
            if part.arrives is None
        ],
        "notes": [
            {"id": one.row.id, "resource": one.row.resource, "reason": note.reason, "sentence": note.sentence}
            for one in mapped
            for note in one.notes
        ],
    }  # fmt: skip


def _into_topology(place: Wired, output: Path, found: list[Told]) -> dict[str, Any]:
    """Change a topology's files for what is kept here. Nothing is written before every file is known to take it."""
    if not has_osg_layout(output):
        raise UserMistake(f"{output} holds no `topology/`; name the folder of the registry")
    resources = read_topology(output).topology.resources
    groups = {one.name.lower(): one.file for one in resources if not listed_by(one.file)}
    by_file: dict[Path, tuple[list[Row], list[str]]] = {}
    lost: list[dict[str, Any]] = []
    for told in found:
        for row in told.incident.rows:
            file = groups.get((row.resource or "").lower())
            if file is None or row.id is None:
                why = "the topology has no such resource, so there is no file for it"
                lost.append(
                    {
                        "id": row.id,
                        "resource": row.resource,
                        "service": "",
                        "reason": "unknown-resource",
                        "sentence": why,
                    }
                )
                continue
            path = output / file
            rows, removed = by_file.setdefault(path.with_name(f"{path.stem}{osg_yaml.ENDING}"), ([], []))
            if told.kept is not None and told.kept.cancelled:
                removed.append(row.id)
            else:
                rows.append(row)
    texts = {}
    for path, (rows, removed) in by_file.items():
        before = path.read_bytes().decode("utf-8") if path.exists() else ""
        after = written(before, rows, removed, str(path))
        if after != before:
            texts[path] = after
    for path, text in texts.items():
        save(text.encode(), path)
    count = sum(len(rows) for rows, _ in by_file.values())
    return {
        "written": count,
        "to": str(output),
        "files": sorted(map(str, texts)),
        "undelivered": lost,
        "notes": [],
    }
