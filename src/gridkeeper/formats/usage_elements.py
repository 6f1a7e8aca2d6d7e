"""Reads one usage record in XML into what it says, for OGF's records 1.0 and 2.0 and for EMI's CAR alike.

Elements and attributes are known by their local names, whatever their prefix. A field is an element directly inside
the record, or inside one of the blocks that set fields apart. Where one comes twice, the last one holds.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

from gridkeeper.formats.gratia_tree import MOST_DEPTH, Refused, local_names, pass_elements
from gridkeeper.records.rules import Rule

MOST_ELEMENTS = 50_000
_BLOCKS = frozenset(
    {
        "JobIdentity", "UserIdentity",
        "RecordIdentityBlock", "SubjectIdentityBlock", "ComputeUsageBlock", "JobUsageBlock",
    }
)  # fmt: skip
_USAGE_BLOCK = re.compile("[A-Za-z]+UsageBlock")
# By local name; the 2.0 record says GlobalUserId, LocalGroupId and GlobalGroupId for what the others call otherwise.
_FIELDS = {
    "GlobalJobId": "global_job_id", "LocalJobId": "local_job_id", "RecordId": "record_id",
    "LocalUserId": "local_user", "GlobalUserName": "global_user", "GlobalUsername": "global_user",
    "GlobalUserId": "global_user", "LocalGroup": "unix_group", "LocalGroupId": "unix_group", "Group": "vo",
    "GlobalGroupId": "vo", "Status": "status", "ExitStatus": "exit_status", "StartTime": "start", "EndTime": "end",
    "WallDuration": "wall", "MachineName": "machine", "SubmitHost": "submit_host", "Queue": "queue",
    "ProjectName": "project", "NodeCount": "node_count", "Processors": "processors", "Site": "site",
}  # fmt: skip
_OF_GROUP = {
    "fqan": "fqan", "vo-group": "vo_group", "group": "vo_group", "vo-role": "vo_role", "role": "vo_role",
    "projectname": "project",
}  # fmt: skip
_CPU = {"user": "cpu_user", "system": "cpu_system", "all": "cpu_all", "": "cpu_all"}
# The first of these moments that a record names is when the job was submitted.
_SUBMITTED = ("ctime", "submit", "qtime")
_NAMES = frozenset(
    {
        *_FIELDS, "RecordIdentity", "CpuDuration", "Memory", "ServiceLevel", "Host", "GroupAttribute",
        "GlobalGroupAttribute", "TimeInstant", "Infrastructure", "Name", "Group", "Role",
    }
)  # fmt: skip
# Memory that was used at most, and not on average; the type is of the real memory or says nothing.
_METRICS, _MEMORY_TYPES = ("max", "", "total"), ("physical", "")
_UNIT = re.compile(r"(?P<prefix>[KMGTPE]?)i?(?P<unit>[bB])")
_AMOUNT = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]+)?")
_BITS_PER_BYTE = 8
_MOST_BYTES = 2**62


class Element(NamedTuple):
    """One element of a record, by local names.

    inside: the elements around it, the record itself left out.
    """

    name: str
    inside: tuple[str, ...]
    attributes: dict[str, str]
    text: str


class Record(NamedTuple):
    """What a record says.

    fields: texts by our names for them.
    blocks: which usage blocks it has (ComputeUsageBlock, ...), of the record 2.0, as often as it has them.
    memory: bytes; None where it says none, or in a unit that nobody knows.
    """

    fields: dict[str, str]
    blocks: list[str]
    memory: int | None


def read_record(record: bytes) -> Record:
    """Read one record without prolog. Raises: Refused (permanent)."""
    reader = _Reader()
    pass_elements(record, reader)
    fields: dict[str, str] = {}
    for element in reader.elements:
        if (text := element.text.strip()) or element.attributes:
            _take(element, text, fields)
    return Record(fields, reader.blocks, _memory(reader.elements))


class _Reader:
    """Collects the elements that a record's fields may be made of, as the parser passes them."""

    def __init__(self) -> None:
        self.elements: list[Element] = []
        self.blocks: list[str] = []
        self._path: list[str] = []
        self._attributes: list[dict[str, str]] = []
        self._text: list[str] = []
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._path) == MOST_DEPTH:
            raise Refused(Rule.NESTED_TOO_DEEP, f"elements nested more than {MOST_DEPTH} deep")
        self._count += 1
        if self._count > MOST_ELEMENTS:
            raise Refused(Rule.RECORD_TOO_LONG, f"a record of more than {MOST_ELEMENTS:,} elements")
        local = name.rpartition(":")[2]
        if len(self._path) == 1 and _USAGE_BLOCK.fullmatch(local):
            self.blocks.append(local)
        self._path.append(local)
        self._attributes.append(local_names(attributes.items()) if attributes else {})
        self._text.clear()

    def end(self, _: str) -> None:
        name, attributes = self._path.pop(), self._attributes.pop()
        if name in _NAMES and self._path:
            self.elements.append(Element(name, tuple(self._path[1:]), attributes, "".join(self._text)))
        self._text.clear()  # what stands behind an element's end is no text of the one around it

    def text(self, text: str) -> None:
        self._text.append(text)


def _take(element: Element, text: str, fields: dict[str, str]) -> None:
    """Put one element into the fields it makes."""
    name, inside, attributes = element.name, element.inside, element.attributes
    if "VO" in inside:  # SGAS writes <VO><Name/><Attribute><Group/><Role/></Attribute></VO>
        _take_vo(name, text, fields)
        return
    if len(inside) > 1 or (inside and inside[0] not in _BLOCKS):
        return
    kind = attributes.get("type", "").strip().lower()
    if name == "RecordIdentity":
        fields.setdefault("record_id", attributes.get("recordId", "").strip())
    elif name == "Infrastructure":
        fields["infrastructure"] = kind
    elif not text:
        return
    elif name in ("GroupAttribute", "GlobalGroupAttribute"):
        # The first of each kind is of the attribute that the job ran with.
        if target := _OF_GROUP.get(kind):
            fields.setdefault(target, text)
    elif name == "CpuDuration":
        if target := _CPU.get(attributes.get("usageType", "").strip().lower()):
            fields[target] = text
    elif name == "ServiceLevel":
        fields["benchmark_name"], fields["benchmark"] = attributes.get("type", "").strip(), text
    elif name == "TimeInstant":
        fields[f"moment_{kind}"] = text
    elif name == "Host":
        if attributes.get("primary", "").strip().lower() == "true":
            fields["host"] = fields["primary_host"] = text
        else:
            fields.setdefault("host", text)
    elif target := _FIELDS.get(name):
        fields[target] = text


def _take_vo(name: str, text: str, fields: dict[str, str]) -> None:
    target = {"Name": "vo", "Group": "vo_group", "Role": "vo_role"}.get(name)
    if target and text:
        fields.setdefault(target, text)


def submitted(fields: dict[str, str]) -> str | None:
    """The moment at which the job was submitted, as the record writes it."""
    return next((fields[key] for kind in _SUBMITTED if (key := f"moment_{kind}") in fields), None)


def _memory(elements: list[Element]) -> int | None:
    """The most real memory that the job used. Raises: Refused (permanent) where it is no number."""
    best: tuple[tuple[int, int], Element] | None = None
    for element in elements:
        if element.name != "Memory" or element.inside:
            continue
        kind, metric = (element.attributes.get(key, "").strip().lower() for key in ("type", "metric"))
        if kind not in _MEMORY_TYPES or metric not in _METRICS or not element.text.strip():
            continue
        rank = (_MEMORY_TYPES.index(kind), _METRICS.index(metric))
        if best is None or rank <= best[0]:
            best = rank, element
    return None if best is None else _bytes(best[1].text.strip(), best[1].attributes.get("storageUnit", ""))


def _bytes(amount: str, unit: str) -> int | None:
    """Read an amount: `B` is bytes and `b` bits, prefixes are powers of 1024; without a unit it is not known."""
    if not _AMOUNT.fullmatch(amount):
        raise Refused(Rule.BAD_NUMBER, "Memory is no number")
    found = _UNIT.fullmatch(unit.strip())
    if found is None:
        return None
    exact = Decimal(amount) * 1024 ** " KMGTPE".index(found["prefix"] or " ")
    made = int(exact / _BITS_PER_BYTE if found["unit"] == "b" else exact)
    return max(-_MOST_BYTES, min(made, _MOST_BYTES))
