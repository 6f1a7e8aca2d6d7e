"""Reads one Gratia record with a real XML parser into GRACC's flat fields: the reading that every other must equal.

GRACC names fields `Queue`, `CpuDuration_user`, `Resource_ExitCode`, `TimeDuration_CommittedTime`,
`Host_description`. Elements and attributes are known by their local names, whatever their prefix and whether
anybody declared it: what GRACC keeps as raw XML has lost its declarations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from xml.parsers import expat

from gridkeeper.records.rules import Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_DEPTH = 32
KEPT_ATTRIBUTES = ("description", "unit", "phaseUnit", "storageUnit", "formula", "metric", "primary")
IDENTITY_CONTAINERS = frozenset({"JobIdentity", "UserIdentity"})
_KEYED_BY = {"Resource": "description", "TimeDuration": "type", "TimeInstant": "type"}
KEYED = frozenset({*_KEYED_BY, "CpuDuration"})  # elements whose flat name depends on an attribute
_CPU_TYPES = ("user", "system")
_FOREIGN_PREFIXES = frozenset({"xmlns", "xsi", "xml"})
_KEY_OF_RESOURCE = str.maketrans({".": "-", " ": "-"})
_NAMES_OF_ATTRIBUTES = frozenset({"RecordId", "CreateTime"})
_ORIGIN_CONTAINERS = frozenset({"Origin", "Connection"})


class Refused(Exception):
    """One record cannot be read: the rule it breaks and what was found. Caught where records are read."""

    def __init__(self, rule: Rule, detail: str) -> None:
        super().__init__(detail)
        self.rule, self.detail = rule, detail


class Handler(Protocol):
    """What takes the elements of a record as the parser passes them."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take an element's start tag."""

    def end(self, name: str) -> None:
        """Take an element's end."""

    def text(self, text: str) -> None:
        """Take text, which may come in pieces."""


def flat_fields(record: bytes) -> dict[str, str]:
    """Read one record without prolog, as UTF-8, into GRACC's flat fields; values stay the text they were.

    The last of several elements with one flat name holds, with its own attributes and no other's.
    Raises: Refused (permanent).
    """
    reader = _Reader()
    pass_elements(record, reader)
    return reader.fields


def pass_elements(record: bytes, handler: Handler) -> None:
    """Parse one record without prolog, as UTF-8; names are handed on as they stand, with their prefixes.

    Raises: Refused (permanent), and what the handler raises.
    """
    if b"\0" in record:
        raise Refused(Rule.BINARY_JUNK, "a NUL byte in a record")
    try:
        record.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(Rule.NOT_UTF8, "bytes that are no UTF-8") from None
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = handler.start, handler.end
    parser.CharacterDataHandler = handler.text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(record, True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise Refused(Rule.NOT_WELL_FORMED, f"no well-formed XML ({reason})") from None


def _refuse_doctype(*_: object) -> None:
    raise Refused(Rule.DTD_REFUSED, "a document type declaration")


def local_names(attributes: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Attributes by local name, without those that speak of namespaces and schemas."""
    found = {}
    for name, value in attributes:
        prefix, _, local = name.rpartition(":")
        if prefix not in _FOREIGN_PREFIXES and name != "xmlns":
            found[local] = value
    return found


def flat_name(local: str, attributes: Mapping[str, str]) -> str:
    """GRACC's name for an element; "" for one that would pass for an attribute. `attributes` by local name."""
    if local == "CpuDuration":
        kind = attributes.get("usageType", "").strip().lower()
        return f"CpuDuration_{kind}" if kind in _CPU_TYPES else local
    keyed_by = _KEYED_BY.get(local)
    if keyed_by is None:
        return "" if "_" in local or local in _NAMES_OF_ATTRIBUTES else local
    key = attributes.get(keyed_by, "").strip().translate(_KEY_OF_RESOURCE)
    if local == "Resource" and key == "ResourceType":
        return key
    return f"{local}_{key}" if key else local


class _Reader:
    """Collects the flat fields of one record as the parser passes its elements."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self._path: list[str] = []
        self._attributes: dict[str, str] = {}
        self._text: list[str] = []
        self._is_leaf = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._path) == MOST_DEPTH:
            raise Refused(Rule.NESTED_TOO_DEEP, f"elements nested more than {MOST_DEPTH} deep")
        local = name.rpartition(":")[2]
        self._attributes = local_names(attributes.items())
        if len(self._path) == 1:
            if local == "RecordIdentity":
                self._take(("recordId", "RecordId"), ("createTime", "CreateTime"))
            elif local == "Origin":
                self._take(("hop", "Origin_hop"))
        self._path.append(local)
        self._text.clear()
        self._is_leaf = True

    def end(self, _: str) -> None:
        local = self._path.pop()
        if self._is_leaf and self._path and local not in ("RecordIdentity", "Origin"):
            self._leaf(local)
        self._is_leaf = False

    def text(self, text: str) -> None:
        self._text.append(text)

    def _leaf(self, local: str) -> None:
        inside = self._path[1:]
        if not inside or (len(inside) == 1 and inside[0] in IDENTITY_CONTAINERS):
            if not (name := flat_name(local, self._attributes)):
                return
            self.fields[name] = "".join(self._text)
            if local not in _KEYED_BY:
                for attribute in KEPT_ATTRIBUTES:
                    self.fields.pop(f"{name}_{attribute}", None)
                    if attribute in self._attributes:
                        self.fields[f"{name}_{attribute}"] = self._attributes[attribute]
        elif inside[0] == "Origin" and inside[-1] in _ORIGIN_CONTAINERS:
            self.fields[f"Origin{local}"] = "".join(self._text)

    def _take(self, *names: tuple[str, str]) -> None:
        for attribute, name in names:
            self.fields.pop(name, None)
            if attribute in self._attributes:
                self.fields[name] = self._attributes[attribute]
