"""All formats by name: every module of this package that has a FORMAT."""

from __future__ import annotations

import codecs
import pkgutil
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

import gridkeeper.formats
from gridkeeper.errors import UnreadableInput, UserMistake
from gridkeeper.records.rules import Rule

if TYPE_CHECKING:
    from gridkeeper.formats.contract import Format

_LOOKED_AT_BYTES = 64
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
# What is often sent by mistake, by its first bytes.
_OTHERS = {
    b"BZh": "a bzip2 file (unpack it first)",
    b"\xfd7zXZ": "an xz file (unpack it first)",
    b"PK\x03\x04": "a zip archive or a spreadsheet (unpack it, or save it as text, first)",
    b"SQLite format 3": "an SQLite database",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF document",
}


@cache
def formats() -> dict[str, Format]:
    """Find all formats; their order is that of their names."""
    found = {}
    for module in pkgutil.iter_modules(gridkeeper.formats.__path__):
        plugin = getattr(import_module(f"gridkeeper.formats.{module.name}"), "FORMAT", None)
        if plugin is not None:
            found[plugin.name] = plugin
    return dict(sorted(found.items()))


def format_named(name: str) -> Format:
    """Return the format of that name. Raises: UserMistake (permanent) with the names there are."""
    try:
        return formats()[name]
    except KeyError:
        raise UserMistake(f"there is no format {name!r}; there are: auto, {', '.join(formats())}") from None


class Unrecognised(UnreadableInput):
    """A source is of none of the formats, or of more than one; says under which rule it is refused. Permanent."""

    def __init__(self, rule: Rule, detail: str) -> None:
        super().__init__(detail)
        self.rule = rule


def recognise(head: bytes) -> Format:
    """Find the one format whose marks `head` bears.

    Raises: Unrecognised (permanent) when none or more than one does.
    """
    refuse_utf_16(head)
    candidates = [plugin for plugin in formats().values() if plugin.recognise(head)]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        names = " and ".join(plugin.name for plugin in candidates)
        raise Unrecognised(Rule.UNKNOWN_FORMAT, f"it begins like {names}")
    raise _none_of_them(head)


def refuse_utf_16(head: bytes) -> None:
    """Refuse what begins like UTF-16 or UTF-32, which no format is written in. Raises: Unrecognised (permanent)."""
    first = head[:_LOOKED_AT_BYTES]
    if first.startswith(_WIDE_MARKS):
        raise Unrecognised(Rule.UTF_16, "text in UTF-16 or UTF-32, as its first bytes say")
    if len(first) >= _LOOKED_AT_BYTES // 4 and any(
        first[side::2].count(0) == len(first[side::2]) and not first[1 - side :: 2].count(0)
        for side in (0, 1)
    ):
        raise Unrecognised(Rule.UTF_16, "text in UTF-16, as every second byte is zero")


def _none_of_them(head: bytes) -> Unrecognised:
    """Why a source is of no format: what else it is, where its first bytes tell."""
    kind = next((kind for magic, kind in _OTHERS.items() if head.startswith(magic)), None)
    if kind is not None:
        return Unrecognised(Rule.BINARY_JUNK, f"{kind}, which is no text of usage records")
    if b"\0" in head:
        return Unrecognised(Rule.BINARY_JUNK, "NUL bytes, where text should be")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # the head may end inside a character
    except UnicodeDecodeError as error:
        return Unrecognised(
            Rule.NOT_UTF8, f"no known format begins like this, and byte {error.start + 1:,} is no UTF-8"
        )
    return Unrecognised(Rule.UNKNOWN_FORMAT, f"no known format ({', '.join(formats())}) begins like this")
