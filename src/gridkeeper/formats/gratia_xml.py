"""`gratia-xml`: records of Gratia's probes and collectors, single, in envelopes, in rows or in replication bundles.

Most records are plain and read by the thousand (`gratia_tokens`); what is not goes through an XML parser, one by
one (`gratia_tree`). Both give the same fields.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pyarrow as pa

from gridkeeper.formats import gratia_values
from gridkeeper.formats.contract import BLOCK_BYTES, Block
from gridkeeper.formats.gratia_blocks import BUNDLE, UNDER_DTD, gratia_blocks
from gridkeeper.formats.gratia_bundle import BUNDLE_HEAD, bundle_pieces
from gridkeeper.formats.gratia_spans import ENVELOPES, KNOWN_START, Kind, Piece, document_pieces
from gridkeeper.formats.gratia_terms import (
    SPACE_FIELDS,
    USAGE_WANTED,
    Origin,
    deliver_space,
    deliver_usage,
)
from gridkeeper.formats.gratia_tokens import read_plain
from gridkeeper.formats.gratia_tree import Refused, flat_fields
from gridkeeper.formats.usage_vocabularies import GRATIA, vocabulary
from gridkeeper.records.checks import may_speak
from gridkeeper.records.draft import Parsed
from gridkeeper.records.rules import Reject, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gridkeeper.records.draft import Delivery

_ENVELOPE_START = re.compile(b"<(?:" + b"|".join(ENVELOPES) + rb")[\s/>]")
_RECORDS = (b"JobUsageRecord", b"UsageRecord", b"StorageElement", b"ProbeDetails", b"RecordEnvelope")
_NOT_ITS_OWN = "a handshake of a probe or a site that its sender may not speak for"
_TYPE = re.compile(rb"<(?:[^\s<>:]+:)?([^\s<>/:]+)")


class GratiaXml:
    """Reads Gratia records."""

    name = "gratia-xml"
    describes = "Gratia usage, transfer and storage records: XML, record envelopes and replication bundles"

    def recognise(self, head: bytes) -> bool:
        """XML with an element that Gratia names so and no other vocabulary's namespace, or a bundle's first word."""
        begin = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if not begin.startswith(b"<"):
            return BUNDLE_HEAD.match(begin) is not None
        has_element = _ENVELOPE_START.search(head) is not None or KNOWN_START.search(head) is not None
        return has_element and vocabulary(head) == GRATIA

    def blocks(self, stream: BinaryIO, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
        """Cut behind ends of records; the context says whether it is a bundle or stands under a document type."""
        return gratia_blocks(stream, block_bytes)

    def may_be_followed(self, data: bytes) -> bool:
        """An envelope that ends, with an end for every record in it, so that nothing can reach into what follows."""
        plain = b"<!" not in data and data.rstrip().endswith(b"</RecordEnvelope>")
        return plain and all(data.count(b"<" + name) == data.count(b"</" + name) for name in _RECORDS)

    def parse(self, block: Block, delivery: Delivery) -> Parsed:
        """Read one block of records."""
        parsed = Parsed(rejects=list(block.refused))
        if block.context == BUNDLE:
            pieces, without_record = bundle_pieces(block.data)
            if without_record:
                parsed.skipped["without_record"] += without_record
        else:
            pieces, _ = document_pieces(block.data, block.context == UNDER_DTD)
        _Reading(block, pieces, delivery, parsed).deliver()
        return parsed


class _Reading:
    def __init__(self, block: Block, pieces: list[Piece], delivery: Delivery, parsed: Parsed) -> None:
        self._data, self._pieces, self._delivery, self._parsed = block.data, pieces, delivery, parsed
        newlines = np.flatnonzero(np.frombuffer(block.data, np.uint8) == ord("\n"))
        starts = np.array([piece.start for piece in pieces], dtype=np.int64)
        self._lines = block.first_line + np.searchsorted(newlines, starts)

    def deliver(self) -> None:
        """Put rows, rejects and skipped into `parsed`."""
        of_kind: dict[Kind, list[int]] = {kind: [] for kind in Kind}
        for number, piece in enumerate(self._pieces):
            of_kind[piece.kind].append(number)
        if of_kind[Kind.HANDSHAKE]:
            self._handshakes(of_kind[Kind.HANDSHAKE])
        for number in of_kind[Kind.REFUSED]:
            piece = self._pieces[number]
            self._refuse(number, Refused(piece.rule, piece.detail))
        for number in of_kind[Kind.SUMMARY]:
            self._refuse(
                number, Refused(Rule.UNKNOWN_RECORD_TYPE, "a sum of jobs, which is no record of Gratia")
            )
        if of_kind[Kind.USAGE]:
            self._usage(of_kind[Kind.USAGE])
        if of_kind[Kind.SPACE]:
            self._space(of_kind[Kind.SPACE])

    def _text(self, number: int) -> bytes:
        piece = self._pieces[number]
        return self._data[piece.start : piece.end]

    def _refuse(self, number: int, why: Refused) -> None:
        line = int(self._lines[number])
        self._parsed.rejects.append(Reject.of(why.rule, line, why.detail, self._text(number)))

    def _origin(self, numbers: Sequence[int]) -> Origin:
        return Origin(self._lines[numbers].tolist(), lambda row: self._text(numbers[row]))

    def _usage(self, numbers: list[int]) -> None:
        records = [self._text(number) for number in numbers]
        plain, fields = read_plain(records, USAGE_WANTED)
        if len(plain) < len(records):
            others = np.setdiff1d(np.arange(len(records)), plain).tolist()
            read, found = self._parsed_one_by_one([numbers[index] for index in others])
            names = tuple(fields)
            slow = _as_columns(found, names)
            numbers = [numbers[index] for index in plain] + read
            order = pa.array(np.argsort(numbers))
            fields = {name: pa.concat_arrays([fields[name], slow[name]]).take(order) for name in names}
            numbers = sorted(numbers)
        if numbers:
            deliver_usage(
                fields, self._origin(numbers), gratia_values.iso_durations_us, GratiaXml.name, self._delivery, self._parsed
            )  # fmt: skip

    def _space(self, numbers: list[int]) -> None:
        numbers, found = self._parsed_one_by_one(numbers)
        types = pa.array([_type_of(self._text(number)) for number in numbers], pa.string())
        if numbers:
            deliver_space(
                _as_columns(found, SPACE_FIELDS), types, self._origin(numbers), GratiaXml.name, self._delivery, self._parsed
            )  # fmt: skip

    def _handshakes(self, numbers: list[int]) -> None:
        """A handshake is no record; in another site's name it is refused like one, as it would hide that site's silence."""
        declared = self._delivery
        for number, fields in zip(*self._parsed_one_by_one(numbers), strict=True):
            resource = declared.resource or fields.get("SiteName")
            if may_speak(declared, resource, declared.probe or fields.get("ProbeName")):
                self._parsed.skipped["handshake"] += 1
            else:
                self._refuse(number, Refused(Rule.NOT_ALLOWED, _NOT_ITS_OWN))

    def _parsed_one_by_one(self, numbers: list[int]) -> tuple[list[int], list[dict[str, str]]]:
        read, found = [], []
        for number in numbers:
            try:
                found.append(flat_fields(self._text(number)))
            except Refused as why:
                self._refuse(number, why)
            else:
                read.append(number)
        return read, found


def _type_of(record: bytes) -> str:
    match = _TYPE.match(record)
    return match[1].decode("utf-8", "replace") if match else ""


def _as_columns(found: list[dict[str, str]], names: Sequence[str]) -> dict[str, pa.Array]:
    return {name: pa.array([fields.get(name) for fields in found], pa.string()) for name in names}


FORMAT = GratiaXml()
