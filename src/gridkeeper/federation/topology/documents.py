"""Reads one YAML file of the registry: values with their lines, doubled keys told, within bounds, at libyaml's speed.

Events, not libyaml's own trees: those recurse without a bound and end the process on a file of 100,000 brackets.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from gridkeeper.federation.bounded_yaml import MOST_DEPTH, MOST_NODES
from gridkeeper.federation.topology.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
}
LONGEST_NUMBER = 40
DUPLICATE_KEY = "duplicate-key"


class Block(dict[str, Any]):
    """A mapping that knows on which line it begins and on which each of its keys stands. Keys are text as written.

    Of a key that stands twice, the last value that says something counts, as other tools read it; `pairs` has them all.
    """

    __slots__ = ("line", "lines", "pairs")

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}
        self.pairs: list[tuple[str, int, Any]] | None = None  # all keys in order, where one stands twice


class Items(list[Any]):
    """A list that knows the line of each member."""

    __slots__ = ("line", "lines")

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: list[int] = []


def read_document(data: bytes, file: str) -> tuple[Any, list[Fault]]:
    """Read the first document of a file: Block, Items, text, numbers, booleans, None; and what is wrong with it.

    A doubled key is a fault. Days and moments stay text, and so do numbers that begin with a zero.
    A file that is no YAML or beyond a bound gives None and the fault; it raises nothing.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        message = "the file is no UTF-8, and nothing of it is read"
        return None, [Fault("not-utf-8", "error", file, line, message, "save it as UTF-8")]
    reader = _Reader(file)
    try:
        return reader.read(text), reader.faults
    except _Beyond as error:
        message = f"{error.args[0]}; nothing of the file is read"
        fault = Fault(
            "beyond-bounds", "error", file, error.args[1], message, "look whether it is the right file"
        )
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        said = " ".join(str(getattr(error, "problem", None) or error).split())
        message = f"the file is no YAML ({said}), and nothing of it is read"
        line = mark.line + 1 if mark else 0
        fault = Fault("not-yaml", "error", file, line, message, "mend the text at that line")
    return None, [*reader.faults, fault]


class _Beyond(Exception):
    """A bound is passed: a sentence, and the line. Permanent."""


class _Reader:
    """Builds values of events, counting how deep they lie and what aliases make of them."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._open: set[str] = set()
        self._nodes = 0
        self.faults: list[Fault] = []

    def read(self, text: str) -> Any:
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=_Loader))
        value: Any = None
        documents = 0
        for event in self._events:
            if type(event) is yaml.DocumentStartEvent:
                documents += 1
                if documents == 2:
                    line = _line(event)
                    message = "a second document begins here, and only the first one is read"
                    self.faults.append(
                        Fault("second-document", "error", self._file, line, message, "take out the line ---")
                    )
                read = self._value(next(self._events), 1)
                value = read if documents == 1 else value
        return value

    def _value(self, event: Any, depth: int) -> Any:
        """The value that begins with an event."""
        kind = type(event)
        self._nodes += 1
        if depth > MOST_DEPTH:
            raise _Beyond(f"lists and mappings are nested more than {MOST_DEPTH} deep", _line(event))
        if kind is yaml.AliasEvent:
            return self._alias(event)
        before = self._nodes
        name = event.anchor
        if name is not None:
            self._open.add(name)
        if kind is yaml.ScalarEvent:
            value = self._scalar(event)
        elif kind is yaml.MappingStartEvent:
            value = self._mapping(event, depth)
        else:
            value = self._sequence(event, depth)
        if name is not None:
            self._open.discard(name)
            self._anchors[name] = (value, self._nodes - before + 1)
        return value

    def _alias(self, event: Any) -> Any:
        line = _line(event)
        if event.anchor in self._open or event.anchor not in self._anchors:
            raise _Beyond(f"the alias *{event.anchor} names nothing that is complete before it", line)
        value, nodes = self._anchors[event.anchor]
        self._nodes += nodes
        if self._nodes > MOST_NODES:
            raise _Beyond(f"aliases grow to more than {MOST_NODES:,} values", line)
        return value

    def _mapping(self, event: Any, depth: int) -> Block:
        block = Block(_line(event))
        lines = block.lines
        merged: list[Any] = []
        part: Any
        for part in self._events:
            if type(part) is yaml.MappingEndEvent:
                break
            line = _line(part)
            if type(part) is not yaml.ScalarEvent:
                raise _Beyond("a list or mapping stands where a key should", line)
            key = part.value
            if part.anchor is not None:
                self._anchors[part.anchor] = (self._scalar(part), 1)
            value = self._value(next(self._events), depth + 1)
            if key == "<<" and part.implicit[0]:
                merged += value if isinstance(value, Items) else [value]
                continue
            if key in block:
                value, line = self._doubled(block, key, line, value)
            elif block.pairs is not None:
                block.pairs.append((key, line, value))
            block[key] = value
            lines[key] = line
        for other in merged:
            if isinstance(other, Block):
                for key, value in other.items():
                    if key not in block:
                        block[key] = value
                        lines[key] = other.lines[key]
        return block

    def _doubled(self, block: Block, key: str, line: int, value: Any) -> tuple[Any, int]:
        """Tell a key that stands twice; the value that counts, and its line."""
        first, kept = block.lines[key], block[key]
        if block.pairs is None:
            block.pairs = [(name, block.lines[name], one) for name, one in block.items()]
        block.pairs.append((key, line, value))
        read, left = (line, first) if value is not None else (first, line)
        message = (
            f"the key {key} stands twice, on lines {first} and {line}: {_short(value if read == line else kept)} on line {read} "
            f"counts, {_short(kept if read == line else value)} on line {left} is not read"
        )
        fix = f"join both under one {key}, or take one out"
        self.faults.append(Fault(DUPLICATE_KEY, "error", self._file, line, message, fix))
        return (value, line) if read == line else (kept, first)

    def _sequence(self, event: Any, depth: int) -> Items:
        items = Items(_line(event))
        for part in self._events:
            if type(part) is yaml.SequenceEndEvent:
                break
            items.lines.append(_line(part))
            items.append(self._value(part, depth + 1))
        return items

    def _scalar(self, event: Any) -> Any:
        text = event.value
        if not event.implicit[0] or len(text) > LONGEST_NUMBER:  # quoted, tagged, or no number or word
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        return float(text) if _NUMBER.fullmatch(text) else text


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _short(value: Any) -> str:
    if isinstance(value, dict | list):
        names = ", ".join(str(one) for one in value if not isinstance(one, dict | list))
        text = f"the {'mapping' if isinstance(value, dict) else 'list'} with {names}" if names else "nothing"
    else:
        text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
