"""Reads many plain Gratia records at once, a column at a time: the fast reading.

A record is plain when it is well-formed XML made of nothing but tags and text: no comment, CDATA section,
processing instruction or declaration, no `>` outside tags, ASCII names, at most MOST_DEPTH deep. Whatever is
not is declined, record by record, and left to the parser of `gratia_tree`, so nothing is accepted here that
an XML parser would refuse. Every distinct tag is looked at once, whatever the number of records.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gridkeeper.formats.gratia_tree import IDENTITY_CONTAINERS, KEYED, MOST_DEPTH, flat_name, local_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

MOST_ROUNDS = 8
_REFERENCE = r"&(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});"
_NAME = r"[A-Za-z_][A-Za-z0-9_.\-]*(?::[A-Za-z_][A-Za-z0-9_.\-]*)?"
_VALUE = rf'"(?:[^"<&]|{_REFERENCE})*"' + rf"|'(?:[^'<&]|{_REFERENCE})*'"
_BLANK = r"[ \t\n]"
_OPEN = re.compile(rf"<({_NAME})((?:{_BLANK}+{_NAME}{_BLANK}*={_BLANK}*(?:{_VALUE}))*){_BLANK}*(/?)>")
_CLOSE = re.compile(rf"</({_NAME}){_BLANK}*>")
_ATTRIBUTE = re.compile(rf"({_NAME}){_BLANK}*={_BLANK}*({_VALUE})")
_ANY_REFERENCE = re.compile(_REFERENCE)
_BLANKS_IN_VALUE = str.maketrans("\t\n", "  ")
_NONCHARACTERS = (b"\xef\xbf\xbe", b"\xef\xbf\xbf")
_NEEDS_CARE = re.compile("[&'\t\n]")
_OPENS, _EMPTY, _CLOSES = 1, 0, -1


@dataclass(frozen=True)
class Wanted:
    """The flat fields to read.

    elements:   by flat name, in order.
    attributes: flat name of an attribute: (its element, which is not KEYED; its local name).
    """

    elements: tuple[str, ...]
    attributes: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class _Shape:
    """A tag without the values of its attributes; `attributes` has "" for those that are none of ours."""

    kind: int
    name: str
    local: str
    attributes: tuple[str, ...]


def read_plain(records: Sequence[bytes], wanted: Wanted) -> tuple[NDArray[np.int64], dict[str, pa.Array]]:
    """Read the plain ones of `records`, each from its `<` to its `>`.

    Returns: (indices of those read, ascending; their fields as text by flat name, null where absent).
    """
    chosen = np.arange(len(records))
    for _ in range(MOST_ROUNDS):
        if not chosen.size:
            break
        tokens = _Tokens([records[index] for index in chosen.tolist()], wanted)
        declined = tokens.declined()
        if not declined.size:
            return chosen, tokens.fields()
        chosen = np.delete(chosen, declined)
    return np.arange(0), {name: pa.nulls(0, pa.string()) for name in (*wanted.elements, *wanted.attributes)}


class _Tokens:
    """The tags and texts of records put one behind the other: `<a>`, ``, `<b>`, `text`, `</b>`, ..."""

    def __init__(self, records: list[bytes], wanted: Wanted) -> None:
        self._records, self._wanted = records, wanted
        self._data = b"".join(records)
        if b"\r" in self._data:  # XML reads every kind of line end as one
            self._records = [_with_line_feeds(record) for record in records]
            self._data = b"".join(self._records)
        self._ends = np.cumsum([len(record) for record in self._records])
        self._known = {name: index for index, name in enumerate(wanted.elements)}
        self._identity = len(self._known)  # the place of RecordIdentity, which has attributes only
        self._unescaped: dict[int, str] = {}

    def declined(self) -> NDArray[np.int64]:
        """Say which records are not plain; some may be found only once others are away."""
        for look in (
            self._odd_characters,
            self._odd_angles,
            self._odd_tags,
            self._odd_nesting,
            self._odd_references,
        ):
            rows = look()
            if rows.size:
                return rows
        return rows

    def _row_at(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.unique(np.searchsorted(self._ends, places, side="right"))

    def _odd_characters(self) -> NDArray[np.int64]:
        """Find records with characters that XML does not have, that are no UTF-8, or with more than elements."""
        data = self._data
        self._bytes = np.frombuffer(data, np.uint8)
        control = self._bytes < 32
        odd = np.arange(0)
        if np.count_nonzero(control) != data.count(b"\n") + data.count(b"\t"):
            odd = self._row_at(np.flatnonzero(control & (self._bytes != 9) & (self._bytes != 10)))
        for second in (b"!", b"?"):  # of a comment, section, declaration or instruction
            if second in data:
                places = np.flatnonzero(self._bytes == second[0])
                odd = np.union1d(odd, self._row_at(places[self._bytes[places - 1] == ord("<")]))
        if not data.isascii():
            broken = [index for index, record in enumerate(self._records) if not _is_xml_text(record)]
            odd = np.union1d(odd, np.array(broken, dtype=np.int64))
        return odd

    def _odd_angles(self) -> NDArray[np.int64]:
        """Find records in which `<` and `>` do not take turns; cut the others at them."""
        places = np.flatnonzero((self._bytes & 0xFD) == ord("<"))
        counts = np.diff(np.searchsorted(places, self._ends), prepend=0)
        rows = np.repeat(np.arange(len(counts)), counts)
        within = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
        wrong = (self._bytes[places] == ord(">")) != (within % 2 == 1)
        odd = np.union1d(rows[wrong], np.flatnonzero(counts % 2 == 1))
        if not odd.size:
            self._row = rows[::2]
            offsets = np.append(places, len(self._data)).astype(np.int32)
            offsets[1::2] += 1  # a text begins behind the `>`
            offsets = np.append(offsets, offsets[-1])  # and one more text, the empty one
            offsets[-2] = len(self._data)
            self._texts = pa.Array.from_buffers(
                pa.string(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(self._data)]
            )
        return odd

    def _odd_tags(self) -> NDArray[np.int64]:
        """Read every distinct tag; find records with one that is no plain tag."""
        tags = self._texts.take(pa.array(np.arange(0, 2 * len(self._row), 2)))
        encoded = tags.dictionary_encode()
        self._code = encoded.indices.to_numpy(zero_copy_only=False)
        distinct = encoded.dictionary.to_pylist()
        self._kinds = np.zeros(len(distinct), np.int8)
        self._names = np.zeros(len(distinct), np.int32)
        self._fields = np.full(len(distinct), -1, np.int32)
        self._holds_identity = np.zeros(len(distinct), bool)
        self._attributes: dict[str, list[str | None]] = {
            name: [None] * len(distinct) for name in self._wanted.attributes
        }
        self._shapes: dict[tuple[str, ...] | None, _Shape] = {}
        self._taken_from: dict[str, list[tuple[str, str]]] = {}
        for target, (element, attribute) in self._wanted.attributes.items():
            self._taken_from.setdefault(element, []).append((target, attribute))
        numbers: dict[str, int] = {}
        odd = [code for code, tag in enumerate(distinct) if not self._read_tag(code, tag, numbers)]
        return np.unique(self._row[np.isin(self._code, odd)]) if odd else np.arange(0)

    def _read_tag(self, code: int, tag: str, numbers: dict[str, int]) -> bool:
        """Note what a tag is; False where it is no plain tag.

        Tags that differ in the values between their double quotes alone (a record's own id, a duration) have
        one shape, which is looked at once.
        """
        pieces = tag.split('"')
        key = None if _NEEDS_CARE.search(tag) else tuple(pieces[::2])
        shape, values = self._shapes.get(key), pieces[1::2]
        if shape is None:
            read = _read_shape(tag)
            if read is None:
                return False
            shape, values = read
            if key is not None:
                self._shapes[key] = shape
        self._kinds[code] = shape.kind
        self._names[code] = numbers.setdefault(shape.name, len(numbers))
        if shape.kind != _CLOSES:
            self._holds_identity[code] = shape.local in IDENTITY_CONTAINERS
            self._note_field(code, shape, values)
        return True

    def _note_field(self, code: int, shape: _Shape, values: list[str]) -> None:
        if shape.local == "RecordIdentity":
            self._fields[code] = self._identity
        else:
            attributes = dict(zip(shape.attributes, values, strict=True)) if shape.local in KEYED else {}
            self._fields[code] = self._known.get(flat_name(shape.local, attributes), -1)
        for target, attribute in self._taken_from.get(shape.local, ()):
            if attribute in shape.attributes:
                self._attributes[target][code] = values[shape.attributes.index(attribute)]

    def _odd_nesting(self) -> NDArray[np.int64]:
        """Find records whose tags do not close what they opened, whole and in order."""
        kind, rows = self._kinds[self._code], len(self._records)
        name = self._names[self._code]
        depth = np.cumsum(kind, dtype=np.int64)
        last = np.searchsorted(self._row, np.arange(rows), side="right") - 1
        if np.any(balance := np.diff(depth[last], prepend=0)):
            return np.flatnonzero(balance)
        # An element's level is that of the tag that opens it; the record's own is 1, and only its end goes back to 0.
        level = depth + (kind != _OPENS)
        outside = level < 1
        outside[: len(level)] |= (depth == 0) & (kind != _CLOSES)
        ends_early = depth == 0
        ends_early[last] = False
        if np.any(wrong := outside | ends_early | (level > MOST_DEPTH)):
            return np.unique(self._row[wrong])
        self._leaf = kind == _EMPTY
        self._leaf[:-1] |= (kind[:-1] == _OPENS) & (kind[1:] == _CLOSES)
        self._level, self._kind = level, kind
        paired = np.flatnonzero(kind != _EMPTY)
        paired = paired[np.argsort(level[paired].astype(np.int8), kind="stable")]
        opening, closing = paired[0::2], paired[1::2]
        return np.unique(self._row[opening[name[opening] != name[closing]]])

    def _odd_references(self) -> NDArray[np.int64]:
        """Find records with an `&` that begins no reference; note what the texts with references say."""
        if b"&" not in self._data:
            return np.arange(0)
        places = np.flatnonzero(self._bytes == ord("&"))
        offsets = np.frombuffer(self._texts.buffers()[1], np.int32)[: 2 * len(self._row)]
        odd = []
        for index in np.unique(np.searchsorted(offsets, places, side="right") - 1):
            if index % 2 == 1:
                text = _unescaped(self._texts[int(index)].as_py())
                if text is None:
                    odd.append(self._row[index // 2])
                else:
                    self._unescaped[int(index)] = text
        return np.unique(np.array(odd, dtype=np.int64))

    def fields(self) -> dict[str, pa.Array]:
        """The wanted fields of all records, by flat name."""
        places = self._places()
        found = {}
        empty = len(self._texts) - 1
        for name, column in self._known.items():
            token = places[:, column]
            index = np.where(self._kind[token] == _EMPTY, empty, 2 * token + 1)
            found[name] = self._patched(self._texts.take(pa.array(index, mask=token < 0)), index, token >= 0)
        for name, (element, _) in self._wanted.attributes.items():
            token = places[:, self._known.get(element, self._identity)]
            values = pa.array(self._attributes[name], pa.string())
            found[name] = values.take(pa.array(self._code[token], mask=token < 0))
        return found

    def _places(self) -> NDArray[np.int64]:
        """The tag of each record's wanted elements, -1 where it has none; the last of several."""
        field = self._fields[self._code]
        level = self._level
        counts = (field >= 0) & (level > 1) & (level < 4) & (self._leaf | (field == self._identity))
        counts &= (self._kind != _CLOSES) & ((level == 2) | (field != self._identity))
        token = np.flatnonzero(counts)
        deep = np.flatnonzero(level[token] == 3)
        if deep.size:
            parents = np.flatnonzero((level == 2) & (self._kind == _OPENS))
            parent = parents[np.searchsorted(parents, token[deep]) - 1]
            token = np.delete(token, deep[~self._holds_identity[self._code[parent]]])
        width = self._identity + 1
        cell = self._row[token] * width + field[token]
        places = np.full(len(self._records) * width, -1, np.int64)
        places[cell] = token
        if np.count_nonzero(places >= 0) != len(token):
            order = np.argsort(cell, kind="stable")
            last = order[np.append(cell[order][1:] != cell[order][:-1], True)]
            places[cell[last]] = token[last]
        return places.reshape(-1, width)

    def _patched(self, texts: pa.Array, index: NDArray[np.int64], there: NDArray[np.bool_]) -> pa.Array:
        """Put in the texts that had references."""
        if not self._unescaped:
            return texts
        changed = np.isin(index, list(self._unescaped)) & there
        if not changed.any():
            return texts
        values = pa.array([self._unescaped[int(place)] for place in index[changed]], pa.string())
        return pc.replace_with_mask(texts, pa.array(changed), values)


def _read_shape(tag: str) -> tuple[_Shape, list[str]] | None:
    """Read one tag by the grammar. Returns: (its shape, the values of its attributes); None if it is no plain tag."""
    if match := _CLOSE.fullmatch(tag):
        return _Shape(_CLOSES, match[1], "", ()), []
    match = _OPEN.fullmatch(tag)
    if match is None:
        return None
    name, inside, empty = match.groups()
    pairs = _ATTRIBUTE.findall(inside)
    values = [_attribute_value(quoted) for _, quoted in pairs]
    names = [attribute for attribute, _ in pairs]
    if len(set(names)) < len(names) or None in values:
        return None
    ours = local_names((attribute, attribute) for attribute in names)
    locals_ = tuple(attribute.rpartition(":")[2] if attribute in ours.values() else "" for attribute in names)
    shape = _Shape(_EMPTY if empty else _OPENS, name, name.rpartition(":")[2], locals_)
    return shape, [value or "" for value in values]


def _with_line_feeds(record: bytes) -> bytes:
    return record.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _is_xml_text(record: bytes) -> bool:
    if any(noncharacter in record for noncharacter in _NONCHARACTERS):
        return False
    try:
        record.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _attribute_value(quoted: str) -> str | None:
    value = quoted[1:-1].translate(_BLANKS_IN_VALUE)
    return value if "&" not in value else _unescaped(value)


def _unescaped(text: str) -> str | None:
    """Replace references; None where an `&` begins none, or one names a character that XML does not have."""
    references = _ANY_REFERENCE.findall(text)
    if len(references) != text.count("&") or not all(map(_names_a_character, references)):
        return None
    return _ANY_REFERENCE.sub(lambda match: _character(match[0]), text)


def _names_a_character(reference: str) -> bool:
    if not reference.startswith("&#"):
        return True
    digits = reference[2:-1]
    code = int(digits[1:], 16) if digits.startswith("x") else int(digits)
    return (
        code in (9, 10, 13)
        or 0x20 <= code <= 0xD7FF
        or 0xE000 <= code <= 0xFFFD
        or 0x10000 <= code <= 0x10FFFF
    )


def _character(reference: str) -> str:
    if not reference.startswith("&#"):
        return html.unescape(reference)
    digits = reference[2:-1]
    return chr(int(digits[1:], 16) if digits.startswith("x") else int(digits))
