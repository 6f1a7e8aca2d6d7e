"""Finds where the records of a block of XML begin and end, Gratia's, OGF's and CAR's, without reading what is inside.

Comments, CDATA sections, processing instructions and document types are blanked in a copy of the text, of the
same length, in which records are looked for; what looks like a record inside them is none.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from gridkeeper.formats.contract import RECORD_LIMIT_BYTES
from gridkeeper.formats.gratia_tree import MOST_DEPTH
from gridkeeper.records.rules import Rule

USAGE = (b"JobUsageRecord", b"UsageRecord")
SPACE = (b"StorageElement", b"StorageElementRecord")
SUMMARY = (b"SummaryRecord",)  # of CAR
HANDSHAKE = b"ProbeDetails"
UNUSED = (b"ComputeElement", b"ComputeElementRecord", b"Subcluster", b"MetricRecord")
ENVELOPES = (b"RecordEnvelope", b"UsageRecords", b"SummaryRecords")

_PREFIX = rb"(?:[A-Za-z_][\w.-]*:)?"
_KNOWN = b"|".join((*USAGE, *SPACE, *SUMMARY, HANDSHAKE, *UNUSED))
KNOWN_START = re.compile(b"<" + _PREFIX + b"(?:" + _KNOWN + rb")(?=[\s/>])")
KNOWN_TAG = re.compile(b"<(?P<slash>/?)" + _PREFIX + b"(?:" + _KNOWN + rb")(?=[\s/>])")
KNOWN_END = re.compile(b"</" + _PREFIX + b"(?:" + _KNOWN + rb")\s*>")
_ENVELOPE_END = re.compile(b"</" + _PREFIX + b"(?:" + b"|".join(ENVELOPES) + rb")\s*>")
ENVELOPE_ENDS = re.compile(rb"(?:\s*+" + _ENVELOPE_END.pattern + rb")+\s*+")
_START = re.compile(rb"<((?:[^\s<>/!?\"'=&;:]+:)?([^\s<>/!?\"'=&;:]+))(?=[\s/>])")
WHOLE_START = re.compile(rb"<(?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*+>")
_STRAY_END = re.compile(rb"</[^<>]*>")
_MARKUP = re.compile(rb"<!--|<!\[CDATA\[|<\?|<!DOCTYPE")
_DOCTYPE_WHOLE = re.compile(
    rb"<!DOCTYPE(?:[^\[\]<>\"']|\"[^\"]*\"|'[^']*')*+(?:\[(?:[^\]\"']|\"[^\"]*\"|'[^']*')*+\]\s*)?>"
)
_NEXT = re.compile(KNOWN_START.pattern + b"|" + _ENVELOPE_END.pattern)
_XML_DECLARATION = re.compile(rb"<\?xml[\s?][^<>]*\?>")
MOST_NAMES = 32
MOST_BROKEN_DOCTYPES = 16
_DOCTYPE = b"<!DOCTYPE"
_DECLARATION = re.compile(rb"<!(?:DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)\b")


class Kind(Enum):
    """What a piece of text is."""

    USAGE = "usage"
    SPACE = "space"
    SUMMARY = "summary"
    HANDSHAKE = "handshake"
    REFUSED = "refused"


_KINDS = {
    **dict.fromkeys(USAGE, Kind.USAGE), **dict.fromkeys(SPACE, Kind.SPACE), **dict.fromkeys(SUMMARY, Kind.SUMMARY),
    HANDSHAKE: Kind.HANDSHAKE,
}  # fmt: skip


class Piece(NamedTuple):
    """One record, or what stands where a record should: the bytes from `start` to `end` of a block."""

    start: int
    end: int
    kind: Kind
    rule: Rule = Rule.NOT_WELL_FORMED
    detail: str = ""


def blanked(data: bytes) -> bytes:
    """Blank what is no element, so that what it holds is taken for none; lengths and places stay."""
    if not has_markup(data):
        return data
    made: list[bytes] = []
    absent: dict[bytes, int] = {}
    done = 0
    bang, query = data.find(b"<!"), data.find(b"<?")
    while (place := min(bang, query) if bang >= 0 and query >= 0 else max(bang, query)) >= 0:
        match = _MARKUP.match(data, place)
        end = _markup_end(data, match, absent) if match else -1
        if match and end >= 0:
            kept = _DOCTYPE if match[0] == _DOCTYPE else b""  # a document type is to be seen
            last = b">" if kept else b" "
            made += [data[done:place], kept.ljust(end - place - 1), last]
            done = end
        place = max(end, place + 2)
        bang = data.find(b"<!", place) if 0 <= bang < place else bang
        query = data.find(b"<?", place) if 0 <= query < place else query
    return b"".join([*made, data[done:]])


def has_markup(data: bytes) -> bool:
    """Say whether there is anything but elements, text and XML declarations."""
    if b"!" in data and b"<!" in data:
        return True
    place = data.find(b"?")  # rarer than `<`
    while place >= 0:
        if data.startswith(b"<", place - 1) and _XML_DECLARATION.match(data, place - 1) is None:
            return True
        place = data.find(b"?", place + 1)
    return False


def _markup_end(data: bytes, match: re.Match[bytes], absent: dict[bytes, int]) -> int:
    """Where the comment or the like ends, -1 where it does not; `absent` counts by opening what was not found."""
    opening = match[0]
    if opening == b"<!--":
        dashes = data.find(b"--", match.end())
        return dashes + 3 if dashes >= 0 and data.startswith(b">", dashes + 2) else -1
    if absent.get(opening, 0) >= (MOST_BROKEN_DOCTYPES if opening == _DOCTYPE else 1):
        return -1
    if opening == _DOCTYPE:
        whole = _DOCTYPE_WHOLE.match(data, match.start())
        end = whole.end() if whole else -1
    else:
        closing = b"?>" if opening == b"<?" else b"]]>"
        found = data.find(closing, match.end())
        end = found + len(closing) if found >= 0 else -1
    if end < 0:
        absent[opening] = absent.get(opening, 0) + 1
    return end


class Elements:
    """Cuts out elements, one by one, of text whose comments and the like are blanked in `text`."""

    def __init__(self, data: bytes) -> None:
        self.text = blanked(data)
        self.has_declarations = b"!" in data and b"<!" in self.text
        self._names: set[bytes] = set()

    def piece(self, start: int, beyond: int, match: re.Match[bytes] | None = None) -> Piece:
        """Cut out the element that begins at `start` (as `match` of its tag, if known) and ends before `beyond`."""
        match = match or _START.match(self.text, start)
        if match is None:
            end = self._next(start, beyond)
            return Piece(
                start, end, Kind.REFUSED, Rule.NOT_WELL_FORMED, "neither a record nor the end of one"
            )
        name, local = match.groups()
        kind = _KINDS.get(local)
        end, depth = self._end(start, name, beyond, kind is not None or local in UNUSED)
        if end < 0:
            return self._broken(start, beyond)
        if end - start > RECORD_LIMIT_BYTES:
            detail = f"a record of {end - start:,} bytes where {RECORD_LIMIT_BYTES:,} are the limit"
            return Piece(start, end, Kind.REFUSED, Rule.RECORD_TOO_LONG, detail)
        if self.has_declarations and _DECLARATION.search(self.text, start, end):
            return Piece(start, end, Kind.REFUSED, Rule.DTD_REFUSED, "a document type or entity declaration")
        if depth > MOST_DEPTH:
            return Piece(
                start, end, Kind.REFUSED, Rule.NESTED_TOO_DEEP, f"elements nested more than {MOST_DEPTH} deep"
            )
        if kind is None:
            named = local[:64].decode("utf-8", "replace")
            detail = f"a record of type {named}, which is neither usage nor storage"
            return Piece(start, end, Kind.REFUSED, Rule.UNKNOWN_RECORD_TYPE, detail)
        return Piece(start, end, kind)

    def _end(self, start: int, name: bytes, beyond: int, is_record: bool) -> tuple[int, int]:
        """Where the element ends, -1 where it does not; and how deep elements of its name are nested in it."""
        text = self.text
        if not is_record:
            return self._end_of_unknown(start, name, beyond)
        stop = self._next_start(start, name, beyond)
        bracket = text.find(b">", start, stop)
        if bracket >= 0 and text[bracket - 1 : bracket] == b"/":
            whole = WHOLE_START.match(text, start, stop)
            if whole is None or whole[0].endswith(b"/>"):
                return (bracket + 1 if whole is None else whole.end()), 1
        close = _find_tag(text, b"</" + name, start, stop)
        return (text.find(b">", close) + 1 if close >= 0 else -1), 1

    def _next_start(self, start: int, name: bytes, beyond: int) -> int:
        """Where the next record of that name begins; looking for it first keeps the effort linear."""
        self._names.add(name)
        if len(self._names) <= MOST_NAMES:
            found = _find_tag(self.text, b"<" + name, start + 1, beyond)
            return found if found >= 0 else beyond
        match = KNOWN_START.search(self.text, start + 1, beyond)
        return match.start() if match else beyond

    def _end_of_unknown(self, start: int, name: bytes, beyond: int) -> tuple[int, int]:
        """An unknown element may hold others of its name, and is a mere wrapper where it holds a record."""
        tag = rb"<(/?)" + re.escape(name) + rb"(?=[\s/>])[^<>]*?(/?)>"
        depth = deepest = 0
        for match in re.compile(tag + b"|" + KNOWN_START.pattern).finditer(self.text, start, beyond):
            if match[1] is None:
                return match.start(), deepest
            if not match[2]:
                depth += -1 if match[1] else 1
                deepest = max(deepest, depth)
            if depth <= 0:
                return match.end(), deepest
        return -1, deepest

    def _next(self, start: int, beyond: int) -> int:
        """Where, behind `start`, the next record or the end of the envelope stands."""
        match = _NEXT.search(self.text, start + 1, beyond)
        return match.start() if match else beyond

    def _broken(self, start: int, beyond: int) -> Piece:
        end = self._next(start, beyond)
        if end == len(self.text) and KNOWN_END.search(self.text, start) is None:
            return Piece(start, end, Kind.REFUSED, Rule.TRUNCATED, "the text ends inside this record")
        return Piece(start, end, Kind.REFUSED, Rule.NOT_WELL_FORMED, "a record without its end")


def document_pieces(data: bytes, under_dtd: bool) -> tuple[list[Piece], bool]:
    """Cut documents (envelopes, or records one behind the other) into records and refusals.

    under_dtd: whether the block begins inside an envelope whose document has a document type.
    Returns:   the pieces in order, and whether the block ends inside such an envelope.
    """
    return _Documents(data, under_dtd).cut()


class _Documents(Elements):
    def __init__(self, data: bytes, under_dtd: bool) -> None:
        super().__init__(data)
        self._pieces: list[Piece] = []
        self._under_dtd = under_dtd
        self._doctype = -1  # where a document type stands that nothing followed yet
        self._depth = 0

    def cut(self) -> tuple[list[Piece], bool]:
        text, place = self.text, 3 if self.text.startswith(b"\xef\xbb\xbf") else 0
        while (start := text.find(b"<", place)) >= 0:
            if start > place and not text[place:start].isspace():
                self._junk(place, start)
            if match := _START.match(text, start):
                place = self._element(start, match)
            elif text.startswith(b"</", start):
                place = self._end_tag(start)
            elif declaration := _XML_DECLARATION.match(text, start):
                place = declaration.end()
            elif text.startswith(_DOCTYPE, start):
                self._doctype = start if self._doctype < 0 else self._doctype
                place = (text.find(b">", start) + 1) or len(text)
            else:
                place = self._element(start, None)
        self._junk(place, len(text))
        self._bare_doctype(len(text))
        return self._pieces, self._under_dtd

    def _junk(self, start: int, end: int) -> None:
        if (junk := self.text[start:end].strip()) and junk != b"\xef\xbb\xbf":
            begin = self.text.index(junk, start)
            self._pieces.append(
                Piece(begin, begin + len(junk), Kind.REFUSED, Rule.NOT_WELL_FORMED, "text between records")
            )

    def _element(self, start: int, match: re.Match[bytes] | None) -> int:
        if match and match[2] in ENVELOPES:
            return self._envelope(start)
        piece = self.piece(start, len(self.text), match)
        if self._doctype >= 0 or self._under_dtd:
            begin = self._doctype if self._doctype >= 0 else start
            piece = Piece(begin, piece.end, Kind.REFUSED, Rule.DTD_REFUSED, "a document with a document type")
        self._doctype = -1
        self._pieces.append(piece)
        return piece.end

    def _envelope(self, start: int) -> int:
        bracket = self.text.find(b">", start)
        end = bracket + 1 or len(self.text)
        if self.text[bracket - 1 : bracket] == b"/":
            self._bare_doctype(end)
            return end
        self._depth += 1
        if self._depth > MOST_DEPTH:
            end = self._next(start, len(self.text))
            detail = f"envelopes nested more than {MOST_DEPTH} deep"
            self._pieces.append(Piece(start, end, Kind.REFUSED, Rule.NESTED_TOO_DEEP, detail))
            self._depth = 0
        elif self._doctype >= 0:
            self._under_dtd = True
            if KNOWN_START.search(self.text, end) is not None:
                self._doctype = -1  # its records will be refused, each by itself
        return end

    def _end_tag(self, start: int) -> int:
        match = _STRAY_END.match(self.text, start)
        if match is None:
            self._pieces.append(piece := self._broken(start, len(self.text)))
            return piece.end
        if _ENVELOPE_END.match(self.text, start):
            self._bare_doctype(match.end())
            self._under_dtd, self._depth = False, max(0, self._depth - 1)
        return match.end()

    def _bare_doctype(self, end: int) -> None:
        if self._doctype >= 0:
            detail = "a document type and no record"
            self._pieces.append(Piece(self._doctype, end, Kind.REFUSED, Rule.DTD_REFUSED, detail))
        self._doctype = -1


def _find_tag(text: bytes, tag: bytes, start: int, beyond: int) -> int:
    """Find a tag whose name does not go on behind `tag`."""
    place = text.find(tag, start, beyond)
    while place >= 0 and text[place + len(tag) : place + len(tag) + 1] not in (
        b">",
        b" ",
        b"\n",
        b"\t",
        b"\r",
        b"/",
    ):
        place = text.find(tag, place + 1, beyond)
    return place
