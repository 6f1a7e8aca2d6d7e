"""Reads a folder in the layout of the OSG topology, whole, and beside it the documents of GOCDB and CRIC in `gocdb/` and `cric/`.

A file that cannot be read ends nothing: it is told as a fault, and the rest goes on.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridkeeper.federation.topology import announced, organizations, places
from gridkeeper.federation.topology.cache import Part, read_cache, write_cache
from gridkeeper.federation.topology.cric import read_cric
from gridkeeper.federation.topology.documents import read_document
from gridkeeper.federation.topology.faults import Fault
from gridkeeper.federation.topology.fields import plain
from gridkeeper.federation.topology.gocdb import read_gocdb
from gridkeeper.federation.topology.listed import ENDINGS, FOLDERS_OF, GOCDB, listed_by
from gridkeeper.federation.topology.merging import with_listings
from gridkeeper.federation.topology.models import Topology

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDERS = ("topology", "virtual-organizations", "projects", "mappings")
EVERY_FOLDER = (*FOLDERS, *FOLDERS_OF)
FILE_LIMIT_BYTES = 16 * 1024 * 1024
LIST_LIMIT_BYTES = 128 * 1024 * 1024  # the services of a whole federation are one document
MOST_FILES = 100_000
_DOWNTIME = "_downtime"


@dataclass(frozen=True)
class Loaded:
    """A registry and what is wrong with its files one by one; what those of the OSG layout say of one another is judged elsewhere."""

    topology: Topology
    faults: tuple[Fault, ...]


def has_topology(folder: Path) -> bool:
    """Whether a folder holds a registry: anything of the OSG layout, or documents of other registries."""
    return any((folder / name).is_dir() for name in EVERY_FOLDER)


def has_osg_layout(folder: Path) -> bool:
    """Whether a folder holds anything of the OSG layout."""
    return any((folder / name).is_dir() for name in FOLDERS)


def stamp(folder: Path) -> str:
    """A short text that changes when a file of the registry does; looks at sizes and times only."""
    digest = hashlib.blake2b(digest_size=16)
    for name, entry in _files(folder):
        found = entry.stat()
        digest.update(
            f"{name}\0{found.st_mtime_ns}\0{found.st_size}\0{found.st_ino}\n".encode(errors="replace")
        )
    return digest.hexdigest()


def read_topology(folder: Path, cache: Path | None = None) -> Loaded:
    """Read the registry in a folder; one without any is empty. cache: a folder for what was read, by the files' content.

    Raises nothing for what the files say: every fault is in the answer. Raises: OSError where the folder cannot be listed.
    """
    kept = read_cache(cache) if cache is not None else {}
    parts: dict[str, Part] = {}
    faults: list[Fault] = []
    for name, entry in _files(folder):
        if len(parts) >= MOST_FILES:
            message = f"there are more than {MOST_FILES:,} files; those from here on are not read"
            faults.append(
                Fault("beyond-bounds", "error", name, 0, message, "look whether it is the right folder")
            )
            break
        parts[name] = _part(name, entry, kept.get(name))
    if cache is not None and any(kept.get(name) is not part for name, part in parts.items()):
        write_cache(cache, parts)
    return _joined(folder, parts, faults)


def _files(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Every file of the registry, by its name relative to the folder, in the order of names."""
    for top in FOLDERS:
        depth = 2 if top == "topology" else 0
        yield from _below(folder / top, top, depth, (".yaml", ".yml"))
    for top in FOLDERS_OF:
        yield from _below(folder / top, top, 0, tuple(ENDINGS.values()))


def _below(
    folder: Path, name: str, depth: int, endings: tuple[str, ...]
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            if depth > 0:
                yield from _below(Path(entry.path), f"{name}/{entry.name}", depth - 1, endings)
        elif entry.name.endswith(endings):
            yield f"{name}/{entry.name}", entry


def _part(name: str, entry: os.DirEntry[str], kept: Part | None) -> Part:
    """What a file says; from the cache where its content is the same."""
    limit = LIST_LIMIT_BYTES if listed_by(name) else FILE_LIMIT_BYTES
    try:
        if entry.stat().st_size > limit:
            message = f"the file has more than {limit:,} bytes; nothing of it is read"
            fault = Fault("beyond-bounds", "error", name, 0, message, "look whether it is the right file")
            return Part("", "nothing", None, (fault,))
        data = Path(entry.path).read_bytes()
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        fault = Fault("unreadable", "error", name, 0, message, "let this user read it")
        return Part("", "nothing", None, (fault,))
    content = hashlib.blake2b(data, digest_size=16).hexdigest()
    if kept is not None and kept.content == content:
        return kept
    if listed_by(name):
        return _listing(name, content, data)
    document, faults = read_document(data, name)
    kind, value = _told(name, document, faults)
    return Part(content, kind, value, tuple(faults))


def _listing(name: str, content: str, data: bytes) -> Part:
    """What a document of another registry lists."""
    faults: list[Fault] = []
    folder = name.split("/")[0]
    if not name.endswith(ENDINGS[folder]):
        message = f"documents in {folder}/ end in {ENDINGS[folder]}; this one is not read"
        fault = Fault("unread-file", "warning", name, 0, message, "rename it, or move it to the other folder")
        return Part(content, "nothing", None, (fault,))
    listing = (read_gocdb if listed_by(name) == GOCDB else read_cric)(data, name, faults)
    return Part(content, "nothing" if listing is None else "listing", listing, tuple(faults))


def _told(name: str, document: Any, faults: list[Fault]) -> tuple[str, Any]:
    """The kind of a file, and what it says as a model."""
    top, *within = name.split("/")
    stem = within[-1].rpartition(".")[0]
    if within[-1].endswith(".yml"):
        message = "files of this layout end in .yaml; this one is not read"
        faults.append(Fault("unread-file", "warning", name, 0, message, f"rename it to {stem}.yaml"))
        return "nothing", None
    if top == "topology":
        return _place(within, stem, name, document, faults)
    if top == "virtual-organizations":
        if stem == "REPORTING_GROUPS":
            return "reporting groups", organizations.read_reporting_groups(document, name, faults)
        return "vo", organizations.read_vo(document, name, stem, faults)
    if top == "projects":
        if stem == "_CAMPUS_GRIDS":
            return "campus grids", organizations.read_campus_grids(document, name, faults)
        return "project", organizations.read_project(document, name, stem, faults)
    return "mapping", plain(document)


def _place(within: list[str], stem: str, name: str, document: Any, faults: list[Fault]) -> tuple[str, Any]:
    match within:
        case ["services.yaml"]:
            return "services", places.read_service_types(document, name, faults)
        case ["support-centers.yaml"]:
            return "support centers", places.read_support_centers(document, name, faults)
        case [facility, "FACILITY.yaml"]:
            return "facility", places.read_facility(document, name, facility, faults)
        case [facility, site, "SITE.yaml"]:
            return "site", places.read_site(document, name, facility, site, faults)
        case [facility, site, _] if stem.endswith(_DOWNTIME):
            place = (facility, site, stem.removesuffix(_DOWNTIME))
            return "downtimes", announced.read_downtimes(document, name, place, faults)
        case [facility, site, _]:
            return "group", places.read_group(document, name, (facility, site, stem), faults)
    message = "no tool of this layout reads a file of this name at this place"
    faults.append(Fault("unread-file", "note", name, 0, message, "move it to the site that it belongs to"))
    return "nothing", None


@dataclass
class _Sorted:
    """What the files say, by kind."""

    of: dict[str, list[Any]] = field(default_factory=dict)

    def all(self, kind: str) -> tuple[Any, ...]:
        return tuple(self.of.get(kind, ()))

    def one(self, kind: str) -> Any:
        return next(iter(self.of.get(kind, ())), {})


def _joined(folder: Path, parts: dict[str, Part], faults: list[Fault]) -> Loaded:
    found = _Sorted()
    mappings: dict[str, Any] = {}
    for name, part in parts.items():
        faults += part.faults
        if part.kind == "mapping":
            mappings[name.split("/")[-1].removesuffix(".yaml")] = part.value
        elif part.value is not None:
            found.of.setdefault(part.kind, []).append(part.value)
    topology = Topology(
        facilities=found.all("facility"),
        sites=found.all("site"),
        groups=found.all("group"),
        downtimes=tuple(entry for file in found.all("downtimes") for entry in file.entries),
        swallowed=tuple(entry for file in found.all("downtimes") for entry in file.swallowed),
        service_types=found.one("services"),
        support_centers=found.one("support centers"),
        vos=found.all("vo"),
        reporting_groups=found.one("reporting groups"),
        projects=found.all("project"),
        campus_grids=found.one("campus grids"),
        mappings=mappings,
        folders=tuple(name for name in EVERY_FOLDER if (folder / name).is_dir()),
    )
    topology = with_listings(topology, found.all("listing"), faults)
    return Loaded(topology, tuple(faults))
