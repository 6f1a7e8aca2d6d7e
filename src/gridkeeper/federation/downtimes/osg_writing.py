"""Writes downtimes back into a `*_downtime.yaml`: what is not touched stays byte for byte as it was, so that the diff is the change."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import yaml

from gridkeeper.errors import UserMistake
from gridkeeper.federation.downtimes import osg_yaml
from gridkeeper.federation.downtimes.times import OPEN_END, Stamp, as_worded

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from gridkeeper.federation.downtimes.model import Row

SEPARATOR = "# ---------------------------------------------------------"
_SEPARATES = re.compile(r"\s*# ?-{10,}\s*")


def written(text: str, rows: Sequence[Row], removed: Collection[str] = (), file: str = "the file") -> str:
    """Change, add and remove downtimes in a file's text; by their ids.

    rows:    as they shall be: those whose id the file has are changed where they differ, the others added at the end.
    removed: ids to take out; those that the file does not have are none of its business.
    Raises: UnreadableDowntimes, UserMistake (permanent) where a downtime cannot be changed without touching another one.
    """
    known = {row.id: row for row in osg_yaml.read(text.encode(), file).rows if row.id}
    ids = [row.id for row in rows]
    if None in ids or len(set(ids)) != len(ids):
        raise UserMistake(f"a downtime for {file} has no id, or the id of another one; give each its own")
    lines = text.splitlines(keepends=True)
    end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    changes: list[tuple[int, int, list[str]]] = [
        (*_range(lines, known[number], known.values(), with_separator=True), [])
        for number in removed
        if number in known
    ]
    for row in rows:
        old = known.get(row.id or "")
        if old is not None and not _is_same(old, row):
            first, last = _range(lines, old, known.values(), with_separator=False)
            changes.append((first, last, _changed(lines[first:last], old, row, end)))
    for first, last, instead in sorted(changes, key=lambda change: -change[0]):
        lines[first:last] = instead
    added = [row for row in rows if row.id not in known]
    if added and lines and not lines[-1].endswith(("\n", "\r")):
        lines[-1] += end
    indent = _indent(lines)
    for row in added:
        if lines and not _SEPARATES.fullmatch(_last_line(lines)):
            lines.append(_separator(lines) + end)
        lines += _item(row, indent, end)
    return _checked("".join(lines), rows, removed, file)


def _checked(text: str, rows: Sequence[Row], removed: Collection[str], file: str) -> str:
    """The text, after it was read again and holds what it should."""
    again = {row.id: row for row in osg_yaml.read(text.encode(), file).rows}
    wrong = [row.id for row in rows if row.id not in again or not _is_same(again[row.id], row)]
    wrong += [number for number in removed if number in again]
    if wrong:
        raise UserMistake(
            f"{file} cannot be changed around its comments and quotes: edit {', '.join(map(str, wrong))} by hand"
        )
    return text


def _is_same(old: Row, new: Row) -> bool:
    return _values(old) == _values(new)


def _values(row: Row) -> dict[str, object]:
    return {
        "Class": row.declared_class,
        "Description": row.description.strip(),
        "Severity": row.severity,
        "StartTime": _minute(row.window.start.at),
        "EndTime": _minute(row.window.end.at) if row.window.end else OPEN_END,
        "CreatedTime": _minute(row.created.at) if row.created else None,
        "ResourceName": row.resource,
        "Services": [service.name for service in row.services],
    }


def _minute(moment: datetime) -> datetime:
    """The form has no seconds."""
    return moment.replace(second=0, microsecond=0)


def _range(
    lines: Sequence[str], row: Row, known: Collection[Row], *, with_separator: bool
) -> tuple[int, int]:
    """The lines of an item: [first, last). Raises: UserMistake (permanent) where another one lies in it."""
    first = row.place.line - 1
    later = sorted(each.place.line - 1 for each in known if each.place.line > row.place.line)
    last = later[0] if later else len(lines)
    above = max(
        (each for each in known if each.place.line < row.place.line),
        key=lambda each: each.place.line,
        default=None,
    )
    if row.hidden or (above is not None and above.hidden):
        raise UserMistake(
            f"downtime {row.id} shares its item with another one (line {row.place.line}); take them apart first"
        )
    while last > first + 1 and (not lines[last - 1].strip() or lines[last - 1].lstrip().startswith("#")):
        last -= 1
    if with_separator and last < len(lines) and _SEPARATES.fullmatch(lines[last]):
        last += 1
    return first, last


def _changed(lines: Sequence[str], old: Row, new: Row, end: str) -> list[str]:
    """The lines of an item with what changed in its place; the item anew where a text or the services did."""
    before, after = _values(old), _values(new)
    differing = {key for key in after if before[key] != after[key]}
    if differing & {"Description", "Services", "ResourceName"} or (
        "CreatedTime" in differing and old.created is None
    ):
        return _item(new, lines[0][: len(lines[0]) - len(lines[0].lstrip())], end)
    texts = _texts(new)
    found = []
    for line in lines:
        key = re.match(r"(\s*(?:- +)?)(\w+):( *)([^#\r\n]*?)(\s+#.*)?(\r?\n)?$", line)
        if key is None or key[2] not in differing:
            found.append(line)
        else:
            found.append(f"{key[1]}{key[2]}:{key[3] or ' '}{texts[key[2]]}{key[5] or ''}{key[6] or ''}")
    return found


def _texts(row: Row) -> dict[str, str]:
    return {
        "Class": row.declared_class.value,
        "Severity": row.severity.value,
        "StartTime": as_worded(row.window.start),
        "EndTime": as_worded(row.window.end or Stamp(OPEN_END, "", 0)),
        "CreatedTime": as_worded(row.created) if row.created else "",
    }


def _item(row: Row, indent: str, end: str) -> list[str]:
    """A whole item."""
    texts = _texts(row)
    said = yaml.safe_dump(
        {"Description": row.description.strip()}, allow_unicode=True, width=100
    ).splitlines()
    body = [
        f"Class: {texts['Class']}",
        f"ID: {row.id}",
        *said,
        f"Severity: {texts['Severity']}",
        f"StartTime: {texts['StartTime']}",
        f"EndTime: {texts['EndTime']}",
    ]
    if row.created is not None:
        body.append(f"CreatedTime: {texts['CreatedTime']}")
    body.append(f"ResourceName: {row.resource}")
    body += (
        ["Services:", *(f"- {service.name}" for service in row.services)]
        if row.services
        else ["Services: []"]
    )
    return [f"{indent}{'- ' if not number else '  '}{line}{end}" for number, line in enumerate(body)]


def _indent(lines: Sequence[str]) -> str:
    """How far the items of a file stand in."""
    first = next((line for line in lines if line.lstrip().startswith("- ")), "")
    return first[: len(first) - len(first.lstrip())]


def _separator(lines: Sequence[str]) -> str:
    """The line between items as this file has it."""
    return next((line.rstrip("\r\n") for line in lines if _SEPARATES.fullmatch(line)), SEPARATOR)


def _last_line(lines: Sequence[str]) -> str:
    return next((line for line in reversed(lines) if line.strip()), "")


def numbered(rows: Sequence[Row], first: int, taken: Collection[str]) -> list[Row]:
    """Rows with ids that nobody has: from `first` on, passing over those that are taken."""
    found = []
    for row in rows:
        while str(first) in taken:
            first += 1
        found.append(replace(row, id=str(first)))
        first += 1
    return found
