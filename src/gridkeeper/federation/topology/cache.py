"""Keeps what was read of a registry, file by file, under a hash of each file's content; a damaged or older copy is ignored.

The copy is written beside its place and moved there: a reader sees a whole one, and of two writers the last one's stays.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from gridkeeper import __version__
from gridkeeper.federation.topology import listed, models
from gridkeeper.federation.topology.announced import Announced
from gridkeeper.federation.topology.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = "topology.cache"
READING = 2  # goes up whenever the same file is read as something else


@dataclass(frozen=True, slots=True)
class Part:
    """What one file says: a hash of its content ("" where it could not be read), its kind, the model made of it, its faults."""

    content: str
    kind: str
    value: Any
    faults: tuple[Fault, ...]


def read_cache(folder: Path) -> dict[str, Part]:
    """What the cache holds by file; nothing where there is none, it is damaged, or another version wrote it. Raises nothing."""
    try:
        head, _, body = (folder / FILE).read_bytes().partition(b"\n")
        if head != _head(body):
            return {}
        return {
            name: Part(content, kind, _READ[kind](value), tuple(Fault(*fault) for fault in faults))
            for name, (content, kind, value, faults) in orjson.loads(body).items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def write_cache(folder: Path, parts: dict[str, Part]) -> None:
    """Keep what was read. A folder that cannot be written to is no fault: the next reader reads the files again."""
    body = orjson.dumps(
        {name: [part.content, part.kind, part.value, part.faults] for name, part in parts.items()},
        default=_row,
        option=orjson.OPT_PASSTHROUGH_DATACLASS,
    )
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f"{FILE}.", dir=folder)
        made = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_head(body) + b"\n" + body)
            made.replace(folder / FILE)
        except OSError:
            made.unlink()


def _head(body: bytes) -> bytes:
    shape = hashlib.blake2b(repr([(one.__name__, _names(one)) for one in _ROWS]).encode(), digest_size=8)
    digest = hashlib.blake2b(body, digest_size=16).hexdigest()
    return f"gridkeeper topology {__version__} {READING} {shape.hexdigest()} {digest}".encode()


def _names(kind: type) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind))


def _row(value: Any) -> list[Any]:
    """An entry as a list, in the order of its fields."""
    return [getattr(value, name) for name in _ROWS[type(value)]]


def _many(kind: type) -> Callable[[list[Any]], tuple[Any, ...]]:
    """Reads a list of entries."""
    read = _one(kind)
    return lambda rows: tuple(map(read, rows))


def _one(kind: type) -> Callable[[list[Any]], Any]:
    """Reads an entry: what JSON knows only as lists is made tuples and entries again."""
    steps = [(_names(kind).index(name), step) for name, step in _INNER.get(kind, {}).items()]

    def read(row: list[Any] | None) -> Any:
        if row is None:
            return None
        for index, step in steps:
            row[index] = step(row[index])
        return kind(*row)

    return read


def _pairs(rows: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((first, second) for first, second in rows)


_INNER: dict[type, dict[str, Callable[[Any], Any]]] = {}
_INNER[models.Resource] = {
    "aliases": tuple, "services": _many(models.Service), "tags": tuple, "allowed_vos": tuple, "contacts": _many(models.Contact),
}  # fmt: skip
_INNER[models.ResourceGroup] = {"resources": _many(models.Resource)}
_INNER[models.DowntimeEntry] = {"services": tuple}
_INNER[Announced] = {"entries": _many(models.DowntimeEntry), "swallowed": _many(models.DowntimeEntry)}
_INNER[models.VirtualOrganization] = {
    "reporting_groups": tuple, "fields_of_science": tuple, "contacts": _many(models.Contact)
}  # fmt: skip
_INNER[models.ReportingGroup] = {"fqans": _pairs, "contacts": _many(models.Contact)}
_INNER[listed.ListedService] = {"scopes": tuple}
_INNER[listed.Listing] = {"sites": _many(listed.ListedSite), "services": _many(listed.ListedService)}
_INNER[models.Project] = {"sponsor": lambda row: None if row is None else tuple(row)}

_READ: dict[str, Callable[[Any], Any]] = {
    "facility": _one(models.Facility),
    "site": _one(models.Site),
    "group": _one(models.ResourceGroup),
    "downtimes": _one(Announced),
    "vo": _one(models.VirtualOrganization),
    "project": _one(models.Project),
    "listing": _one(listed.Listing),
    "support centers": lambda rows: {name: models.SupportCenter(*row) for name, row in rows.items()},
    "reporting groups": lambda rows: {name: _one(models.ReportingGroup)(row) for name, row in rows.items()},
    **dict.fromkeys(("services", "campus grids", "mapping", "nothing"), lambda value: value),
}
_ROWS = {
    kind: _names(kind)
    for kind in (
        Fault, Announced, models.Contact, models.Facility, models.Site, models.Service, models.Resource, models.ResourceGroup,
        models.DowntimeEntry, models.SupportCenter, models.VirtualOrganization, models.ReportingGroup, models.Project,
        listed.ListedSite, listed.ListedService, listed.Listing,
    )
}  # fmt: skip
