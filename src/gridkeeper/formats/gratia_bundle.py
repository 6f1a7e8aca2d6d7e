"""Finds the records of a Gratia replication bundle: `replication|record|raw record|extra|`, and its kin.

A field that begins with `<` ends at the `|` behind its element, so a `|` inside it is data, with or without
quotes; in any other field a `|` inside single or double quotes is data.
"""

from __future__ import annotations

import re

from gridkeeper.formats.gratia_spans import WHOLE_START, Elements, Kind, Piece
from gridkeeper.records.rules import Rule

# By keyword: how many fields follow, and which of them hold the record, in the order in which they are taken.
ITEMS = {b"replication": (3, (0, 1)), b"history": (4, (1, 2)), b"historymd5": (3, (1,)), b"Origin": (1, ())}
# An item's record begins with `<`, which no text or attribute of another record can hold.
ITEM_START = re.compile(rb"\|\s*(?:replication\s*\|\s*<|history(?:md5)?\s*\|[^|<]{0,64}\|\s*<)")
BUNDLE_HEAD = re.compile(rb"\s*(?:replication|historymd5|history|Origin)\s*\|")
_KEYWORD = re.compile(rb"[\s|]*(replication|historymd5|history|Origin)\s*\|")
_REST_OF_END = re.compile(rb"\s*>\s*\|")
_PLAIN_FIELD = re.compile(rb"(?:[^|\"']|\"[^\"]*\"|'[^']*')*+\|")
# An XML declaration says nothing that a record needs.
_BLANKS = re.compile(rb"\s*(?:<\?xml[\s?][^<>]*\?>\s*)?")
_BLANKS_AND_BARS = re.compile(rb"[\s|]*")
_ABSENT = (b"", b"null")


def bundle_pieces(data: bytes) -> tuple[list[Piece], int]:
    """Cut a bundle into records and refusals. Returns: the pieces in order; how many items had no record."""
    bundle = _Bundle(data)
    bundle.cut()
    return bundle.pieces, bundle.without_record


class _Bundle(Elements):
    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.pieces: list[Piece] = []
        self.without_record = 0
        self._found = -1

    def cut(self) -> None:
        place = 0
        while not self._is_blank(place):
            match = _KEYWORD.match(self.text, place)
            if match is None:
                end = self._next_item(place)
                self._refuse(place, end, "neither replication nor history where an item should begin")
                place = end
            else:
                place = self._item(match[1], match.start(1), match.end())

    def _item(self, keyword: bytes, begin: int, place: int) -> int:
        """Take one item's record; return where the next item begins."""
        count, holders = ITEMS[keyword]
        beyond = self._next_item(begin)
        fields: list[tuple[int, int]] = []
        while len(fields) < count and place < beyond:
            end = self._field_end(place, beyond)
            fields.append((place, end if end >= 0 else beyond))
            if end < 0:
                break
            place = end + 1
        for holder in holders:
            if holder < len(fields) and self.text[slice(*fields[holder])].strip() not in _ABSENT:
                self._record(*fields[holder])
                break
        else:
            if holders and len(fields) == count:
                self.without_record += 1
            elif holders:
                self._refuse(begin, beyond, "an item with too few fields")
        return place if len(fields) == count and self._is_item_end(place) else beyond

    def _record(self, start: int, end: int) -> None:
        begin = self._skip_blanks(start)
        if not self.text.startswith(b"<", begin):
            self._refuse(begin, end, "no XML where a record should be")
            return
        if self.text.startswith(b"<!DOCTYPE", begin):
            self.pieces.append(Piece(begin, end, Kind.REFUSED, Rule.DTD_REFUSED, "a document type"))
            return
        piece = self.piece(begin, end)
        if piece.kind is not Kind.REFUSED and self.text[piece.end : end].strip():
            detail = "text behind the end of a record"
            piece = Piece(begin, end, Kind.REFUSED, Rule.NOT_WELL_FORMED, detail)
        self.pieces.append(piece)

    def _field_end(self, start: int, beyond: int) -> int:
        """Where the `|` stands that ends the field; -1 where none does."""
        begin = self._skip_blanks(start)
        while self.text.startswith(b"<!DOCTYPE", begin):
            begin = self._skip_blanks(self.text.find(b">", begin) + 1 or beyond)
        if not self.text.startswith(b"<", begin):
            plain = _PLAIN_FIELD.match(self.text, start, beyond)
            return plain.end() - 1 if plain else self.text.find(b"|", start, beyond)
        whole = WHOLE_START.match(self.text, begin, beyond)
        if whole is None or not whole[0][1:-1].strip():
            return self.text.find(b"|", begin, beyond)
        if whole[0].endswith(b"/>"):
            end = self._skip_blanks(whole.end())
            return end if self.text.startswith(b"|", end) else -1
        end_tag = b"</" + whole[0][1:-1].split(None, 1)[0]
        close = self.text.find(end_tag, begin, beyond)
        while close >= 0:
            if bar := _REST_OF_END.match(self.text, close + len(end_tag), beyond):
                return bar.end() - 1
            close = self.text.find(end_tag, close + 1, beyond)
        return -1

    def _is_item_end(self, place: int) -> bool:
        return self._is_blank(place) or _KEYWORD.match(self.text, place) is not None

    def _is_blank(self, place: int) -> bool:
        match = _BLANKS_AND_BARS.match(self.text, place)
        return match is not None and match.end() == len(self.text)

    def _next_item(self, place: int) -> int:
        if self._found <= place:  # else the one found last is still ahead
            match = ITEM_START.search(self.text, place)
            self._found = match.start() + 1 if match else len(self.text)
        return self._found

    def _skip_blanks(self, place: int) -> int:
        match = _BLANKS.match(self.text, place)
        return match.end() if match else place

    def _refuse(self, start: int, end: int, detail: str) -> None:
        rule = Rule.TRUNCATED if end == len(self.text) else Rule.NOT_WELL_FORMED
        self.pieces.append(Piece(start, end, Kind.REFUSED, rule, detail))
