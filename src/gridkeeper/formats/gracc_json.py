"""`gracc-json`: Gratia records as the flat JSON that GRACC keeps: one, many, one to a line, or as search hits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa

from gridkeeper.formats import gratia_values
from gridkeeper.formats.contract import BLOCK_BYTES, Block
from gridkeeper.formats.gratia_terms import (
    SPACE_FIELDS,
    USAGE_WANTED,
    Origin,
    deliver_space,
    deliver_usage,
)
from gridkeeper.formats.gratia_tree import Refused
from gridkeeper.formats.json_records import BLANKS, Found, json_blocks, json_values
from gridkeeper.records.draft import Parsed
from gridkeeper.records.rules import Reject, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gridkeeper.records.draft import Delivery

USAGE_TYPES = ("JobUsageRecord", "UsageRecord")
SPACE_TYPES = ("StorageElement", "StorageElementRecord")
_TYPE_NAMED = re.compile(rb'"type"\s*:\s*"(?:' + "|".join(USAGE_TYPES + SPACE_TYPES).encode() + rb')"')
_USAGE_FIELDS = (*USAGE_WANTED.elements, *USAGE_WANTED.attributes)
_JOB_IDS = ("GlobalJobId", "LocalJobId", "RecordId")


class GraccJson:
    """Reads GRACC's JSON."""

    name = "gracc-json"
    describes = "GRACC's flat JSON of Gratia records: an object, an array, JSON lines or search hits"

    def recognise(self, head: bytes) -> bool:
        """JSON with a record's type, or with Gratia's names of probe and record."""
        if not head.lstrip(BLANKS).startswith((b"{", b"[")):
            return False
        return _TYPE_NAMED.search(head) is not None or (b'"ProbeName"' in head and b'"RecordId"' in head)

    def blocks(self, stream: BinaryIO, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
        """Cut between objects; the context says how they are arranged."""
        return json_blocks(stream, block_bytes)

    def parse(self, block: Block, delivery: Delivery) -> Parsed:
        """Read one block of objects."""
        parsed = Parsed(rejects=list(block.refused))
        _Reading(block, parsed).deliver(delivery)
        return parsed


class _Reading:
    def __init__(self, block: Block, parsed: Parsed) -> None:
        self._block, self._parsed = block, parsed
        self._usage: list[tuple[Found, list[str | None]]] = []
        self._space: list[tuple[Found, list[str | None]]] = []
        self._types: list[str] = []

    def deliver(self, delivery: Delivery) -> None:
        """Put rows, rejects and skipped into `parsed`."""
        for found in json_values(self._block, self._parsed):
            for record in _records(found.value):
                try:
                    self._take(record, found)
                except Refused as why:
                    self._parsed.rejects.append(Reject.of(why.rule, found.line, why.detail, found.text))
        if self._usage:
            fields, origin = self._columns(self._usage, _USAGE_FIELDS)
            deliver_usage(fields, origin, gratia_values.seconds_us, GraccJson.name, delivery, self._parsed)
        if self._space:
            fields, origin = self._columns(self._space, SPACE_FIELDS)
            types = pa.array(self._types, pa.string())
            deliver_space(fields, types, origin, GraccJson.name, delivery, self._parsed)

    def _take(self, record: object, found: Found) -> None:
        if not isinstance(record, dict):
            raise Refused(Rule.NOT_WELL_FORMED, "a value where an object should be")
        kind = _type_of(record)
        if kind in USAGE_TYPES:
            if not any(name in record for name in ("CpuDuration_user", "CpuDuration_system")):
                # GRACC writes a sum of 0 where a record gave no CPU time at all.
                record = {**record, "CpuDuration": record.get("CpuDuration") or None}
            self._usage.append((found, [_text_of(record, name) for name in _USAGE_FIELDS]))
        else:
            self._space.append((found, [_text_of(record, name) for name in SPACE_FIELDS]))
            self._types.append(kind)

    def _columns(
        self, rows: list[tuple[Found, list[str | None]]], names: Sequence[str]
    ) -> tuple[dict[str, pa.Array], Origin]:
        values = zip(*(texts for _, texts in rows), strict=True)
        fields = {name: pa.array(column, pa.string()) for name, column in zip(names, values, strict=True)}
        return fields, Origin([found.line for found, _ in rows], lambda row: rows[row][0].text)


def _records(value: object) -> list[Any]:
    """Take the records out of what Elasticsearch wraps around them."""
    if isinstance(value, list):
        return [record for item in value for record in _records(item)]
    if isinstance(value, dict):
        if "_source" in value:
            return [value["_source"]]
        hits = value.get("hits")
        if isinstance(hits, dict):
            return _records(hits)
        if isinstance(hits, list):
            return [record for hit in hits for record in _records(hit)]
    return [value]


def _type_of(record: dict[str, Any]) -> str:
    kind = record.get("type")
    if kind in USAGE_TYPES or kind in SPACE_TYPES:
        return str(kind)
    if kind is None and "ProbeName" in record:
        if "UniqueID" in record:
            return SPACE_TYPES[1] if "MeasurementType" in record else SPACE_TYPES[0]
        if any(name in record for name in _JOB_IDS):
            return USAGE_TYPES[0]
    named = f"of type {kind!s:.64}" if kind is not None else "without a type"
    raise Refused(Rule.UNKNOWN_RECORD_TYPE, f"a record {named}, which is neither usage nor storage")


def _text_of(record: dict[str, Any], name: str) -> str | None:
    value = record.get(name)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    raise Refused(Rule.NESTED_TOO_DEEP, f"{name} holds values of its own where a text or a number should be")


FORMAT = GraccJson()
