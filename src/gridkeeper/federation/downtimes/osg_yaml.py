"""Reads `*_downtime.yaml` of OSG's topology: one row for each item, with its line; a key that stands twice is noticed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import yaml

from gridkeeper.errors import UserMistake
from gridkeeper.federation.downtimes.model import Affected, Place, Reading, Refusal, Row, UnreadableDowntimes
from gridkeeper.federation.downtimes.times import Window, worded
from gridkeeper.federation.downtimes.words import classification, severity

if TYPE_CHECKING:
    from collections.abc import Iterator

NEEDED = ("Class", "Severity", "StartTime", "EndTime", "ResourceName")
KEYS = frozenset({*NEEDED, "ID", "Description", "CreatedTime", "Services"})
MOST_BYTES = 16 * 1024 * 1024
_WHOLE = frozenset({"StartTime", "EndTime", "ResourceName"})
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Values = dict[str, yaml.Node]


def read(text: str, file: str) -> Reading:
    """Read one file. Raises: UnreadableDowntimes (permanent) where it is no list in YAML; a bad item alone is refused."""
    rows: list[Row] = []
    refused: list[Refusal] = []
    for item in items(text, file):
        place = Place(file, item.start_mark.line + 1)
        if not isinstance(item, yaml.MappingNode):
            refused.append(Refusal(place, "an item of a list of downtimes is no mapping"))
            continue
        parts = _parts(item, file, refused)
        for number, (values, line) in enumerate(parts, 1):
            try:
                row = _row(values, Place(file, line))
            except UserMistake as error:
                refused.append(Refusal(Place(file, line), str(error)))
                continue
            rows.append(replace(row, hidden=number < len(parts)))
    return Reading(tuple(rows), tuple(refused))


def items(text: str, file: str) -> list[yaml.Node]:
    """The items of the list, as nodes with their places. Raises: UnreadableDowntimes (permanent)."""
    if len(text) > MOST_BYTES:
        raise UnreadableDowntimes(
            f"{file} has more than {MOST_BYTES:,} characters; look whether it is the right file"
        )
    try:
        root = yaml.compose(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise UnreadableDowntimes(f"{file} is no YAML: {' '.join(str(error).split())}") from error
    if root is None:
        return []
    if not isinstance(root, yaml.SequenceNode):
        raise UnreadableDowntimes(f"{file} is no list of downtimes; each begins with `- Class:`")
    return list(root.value)


def _parts(item: yaml.MappingNode, file: str, refused: list[Refusal]) -> list[tuple[Values, int]]:
    """The downtimes in one item, each with its line: more than one where keys stand twice, as after a slip of the indentation.

    Readers of YAML keep the last of equal keys and lose the rest without a word. What is whole is a downtime of its own
    here; a single key that stands twice keeps its first value. Both are noticed.
    """
    parts: list[tuple[Values, int]] = [({}, item.start_mark.line + 1)]
    for key, value in item.value:
        name, line = str(key.value), key.start_mark.line + 1
        if name not in KEYS:
            refused.append(
                Refusal(
                    Place(file, line), f"the key {name} is none of a downtime's; it was left out", lost=False
                )
            )
            continue
        if name in parts[-1][0]:
            parts.append(({}, line))
        parts[-1][0][name] = value
    for (before, _), (values, _) in pairwise(parts):
        _move_class(before, values)
    whole = parts[:1]
    for values, line in parts[1:]:
        if values.keys() >= _WHOLE:
            whole.append((values, line))
        else:
            _take_in(whole[-1][0], values, file, refused)
    for values, line in whole[1:]:
        said = f"downtime {_shown(values['ID'])}" if "ID" in values else "a downtime"
        refused.append(Refusal(
            Place(file, line),
            f"{said} stands inside the item of line {whole[0][1]}: most readers keep only the last one there, and lose the others; "
            "begin it with `- Class:` at the left",
            lost=False,
        ))  # fmt: skip
    return whole


def _take_in(values: Values, more: Values, file: str, refused: list[Refusal]) -> None:
    """Add to a downtime what follows a key that stands twice. Of an id the first counts, of all else the last, as everywhere."""
    for name, value in more.items():
        if name in values and _shown(values[name]) != _shown(value):
            first, last = _shown(values[name]), _shown(value)
            taken, left = (first, last) if name == "ID" else (last, first)
            refused.append(Refusal(
                Place(file, value.start_mark.line + 1),
                f"the key {name} stands twice in one downtime, as {first} and as {last}; {taken} was taken, "
                + (f"and the downtime {left} is without its id" if name == "ID" else f"and {left} left out"),
                lost=name == "ID",
            ))  # fmt: skip
        if name != "ID" or name not in values:
            values[name] = value


def _move_class(before: Values, values: Values) -> None:
    """Give a downtime back its class, which the same slip made a member of the services of the one before it."""
    services = before.get("Services")
    if not isinstance(services, yaml.SequenceNode) or not services.value:
        return
    last = services.value[-1]
    if isinstance(last, yaml.MappingNode) and len(last.value) == 1 and last.value[0][0].value == "Class":
        values.setdefault("Class", last.value[0][1])
        services.value.pop()


def _row(values: Values, place: Place) -> Row:
    missing = [name for name in NEEDED if not _text(values.get(name))]
    if missing:
        raise UserMistake(f"the downtime has no {' and no '.join(missing)}")
    created = _text(values.get("CreatedTime"))
    return Row(
        id=_text(values.get("ID")) or None,
        resource=_text(values["ResourceName"]),
        services=tuple(Affected(name) for name in _listed(values.get("Services"))),
        window=Window(worded(_text(values["StartTime"])), worded(_text(values["EndTime"]))),
        declared_class=classification(_text(values["Class"])),
        severity=severity(_text(values["Severity"])),
        description=_text(values.get("Description")),
        created=worded(created) if created else None,
        source="osg-yaml",
        place=place,
    )


def _listed(node: yaml.Node | None) -> Iterator[str]:
    """The services: a list, or a mapping with their names as keys."""
    if isinstance(node, yaml.SequenceNode):
        yield from (_text(each) for each in node.value)
    elif isinstance(node, yaml.MappingNode):
        yield from (_text(key) for key, _ in node.value)
    elif _text(node):
        raise UserMistake(f"Services is {_text(node)!r}, and no list")


def _shown(node: yaml.Node) -> str:
    """A value in a sentence."""
    if isinstance(node, yaml.SequenceNode):
        return "[" + ", ".join(_shown(each) for each in node.value) + "]"
    return str(node.value) if isinstance(node, yaml.ScalarNode) else "a mapping"


def _text(node: yaml.Node | None) -> str:
    if node is None:
        return ""
    if not isinstance(node, yaml.ScalarNode):
        raise UserMistake(f"line {node.start_mark.line + 1} holds a list or mapping where a text is expected")
    return "" if node.tag == "tag:yaml.org,2002:null" else str(node.value)
