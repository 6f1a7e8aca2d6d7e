"""Reads ads as `condor_history -json` writes them: objects, with `"/Expr(...)/"` for what is no literal."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa

from gridkeeper.formats.classad_blocks import JSON_BLANK, is_utf8, json_objects
from gridkeeper.records.rules import Reject, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gridkeeper.formats.contract import Block
    from gridkeeper.records.draft import Parsed

_EXPRESSION = re.compile(r"/Expr\((.*)\)/", re.DOTALL)
_LINE_WITH_BRACE = re.compile(rb"\n(?=\{)")


class JsonAds:
    """Ads of JSON: objects whose names are in lower case, and where in the block they stand."""

    def __init__(
        self, data: bytes, spans: np.ndarray, objects: list[dict[str, Any]], lines: np.ndarray
    ) -> None:
        self._data, self._spans, self._objects, self.lines = data, spans, objects, lines
        self.banners = [b""] * len(objects)

    def text(self, row: int) -> bytes:
        """The bytes of an ad as they stand in the source."""
        begin, end = self._spans[row]
        return self._data[begin:end]

    def expressions(self, name: str) -> pa.Array:
        """What each ad says of an attribute, as ClassAd text; null where nothing."""
        folded = name.lower()
        return pa.array([_expression(ad.get(folded)) for ad in self._objects], pa.string())

    def keep(self, wanted: np.ndarray) -> JsonAds:
        """The ads for which the mask is true."""
        objects = [self._objects[row] for row in np.flatnonzero(wanted)]
        return JsonAds(self._data, self._spans[wanted], objects, self.lines[wanted])


def json_ads(block: Block, parsed: Parsed) -> JsonAds:
    """Read the ads of a block of JSON; those that cannot be read become rejects of `parsed`."""
    spans, objects, lines = [], [], []
    line, counted = block.first_line, 0
    for begin, end, ad in _json_objects(block.data):
        line, counted = line + block.data.count(b"\n", counted, begin), begin
        if isinstance(ad, str):
            parsed.rejects.append(_json_refusal(block.data[begin:end], line, ad))
        else:
            objects.append({name.lower(): value for name, value in ad.items()})
            spans.append((begin, end))
            lines.append(line)
    return JsonAds(
        block.data, np.array(spans, np.int64).reshape(-1, 2), objects, np.array(lines, dtype=np.int64)
    )


def _json_objects(data: bytes) -> Iterator[tuple[int, int, dict[str, Any] | str]]:
    """Yield where each object begins and ends, and what it is, or why it is none.

    A lost quote or brace runs an object into those behind it: they are found again where a line begins with
    a brace.
    """
    for begin, end in json_objects(data):
        ad = _json_object(data[begin:end])
        if isinstance(ad, dict) or b"\n{" not in data[begin:end]:
            yield begin, end, ad
            continue
        for piece in _LINE_WITH_BRACE.split(data[begin:end]):
            reach = begin + len(piece.rstrip(JSON_BLANK))
            yield begin, reach, _json_object(data[begin:reach])
            begin += len(piece) + 1


def _json_object(piece: bytes) -> dict[str, Any] | str:
    try:
        made = orjson.loads(piece)
    except ValueError as error:
        return str(error)
    return made if isinstance(made, dict) else "an object is expected"


def _json_refusal(piece: bytes, line: int, why: str) -> Reject:
    if b"\0" in piece:
        return Reject.of(Rule.BINARY_JUNK, line, "a NUL byte in JSON", piece)
    if not is_utf8(piece):
        return Reject.of(Rule.NOT_UTF8, line, "bytes that are no UTF-8", piece)
    if not piece.rstrip().endswith(b"}"):
        return Reject.of(Rule.TRUNCATED, line, "an ad that ends before its closing brace", piece)
    return Reject.of(Rule.NOT_WELL_FORMED, line, f"no JSON object: {why}", piece)


def _expression(value: object) -> str | None:
    """Write a value of JSON as it stands in the text of an ad."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        wrapped = _EXPRESSION.fullmatch(value)
        return wrapped[1] if wrapped else '"' + value.replace('"', '\\"') + '"'
    return None if value is None else json.dumps(value)
