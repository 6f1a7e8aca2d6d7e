"""Reads the files of corrections in a home: every fault at once, each in a sentence with file, line, rule and remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from gridkeeper.errors import BadConfiguration
from gridkeeper.federation.bounded_yaml import read_yaml
from gridkeeper.summaries.corrections.keeping import Filed
from gridkeeper.summaries.corrections.rules import ACTS, SETTABLE, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

FILE_LIMIT_BYTES = 16 * 1024 * 1024
KEY = "corrections"
_REMEDY = {
    "id": "give it a name of its own, as nebraska-cores-2017-01",
    "reason": "say why the numbers are changed",
    "author": "say who asks for it",
    "ticket": "name the ticket, or where it was agreed",
    "period": "say the days, as period: 2017-01, or period: {first: 2017-01-05, last: 2017-01-12}",
    "per_day": "say how much each day, as per_day: {wall_seconds: 3600, core_seconds: 28800, jobs: 1}",
    "level": "say batch or payload",
}
_KNOWN = {
    (): tuple(Rule.model_fields),
    ("set",): tuple(SETTABLE),
    ("scale",): ("wall", "cpu"),
    ("period",): ("first", "last", "until"),
    ("add",): ("vo", "resource", "level", "per_day"),
    ("add", "per_day"): ("jobs", "wall_seconds", "core_seconds"),
}


def files_of(folder: Path) -> list[Path]:
    """The files of corrections in a folder, in their order; none where there is no folder."""
    return sorted((path for path in folder.glob("*.yaml") if path.is_file()), key=lambda path: path.name)


def read_corrections(paths: Iterable[Path]) -> list[Filed]:
    """Read files of corrections, in the order of their names and of the rules in them.

    Raises: BadConfiguration (permanent): every fault of every file, a sentence a line.
    """
    found: list[Filed] = []
    faults: list[str] = []
    places: dict[str, str] = {}
    for path in sorted(paths, key=lambda path: path.name):
        filed, sentences = _read(path)
        faults += sentences
        for one, line in filed:
            place = f"{path.name}, line {line}"
            if one.rule.id in places:
                faults.append(
                    f"{place}: the id {one.rule.id} is there already, at {places[one.rule.id]}; give one of them another"
                )
            places.setdefault(one.rule.id, place)
            found.append(one)
    if faults:
        raise BadConfiguration("\n".join(faults))
    return found


def _read(path: Path) -> tuple[list[tuple[Filed, int]], list[str]]:
    """The rules of a file with their lines, and its faults."""
    try:
        if path.stat().st_size > FILE_LIMIT_BYTES:
            return [], [
                f"{path} has more than {FILE_LIMIT_BYTES:,} bytes; split it or look whether it is the right file"
            ]
        text = path.read_text(encoding="utf-8-sig")
        content = read_yaml(text)
    except yaml.YAMLError as error:
        return [], [f"{path} is no YAML: {' '.join(str(error).split())}"]
    except UnicodeDecodeError as error:
        return [], [f"{path} cannot be read: it is no UTF-8 from byte {error.start} on; save it as UTF-8"]
    except OSError as error:
        return [], [f"{path} cannot be read: {error.strerror}; let this user read it"]
    except ValueError as error:  # a day or a number that cannot be, such as 2017-13-45
        return [], [f"{path} holds a value that cannot be: {error}"]
    said = content.get(KEY) if isinstance(content, dict) and set(content) == {KEY} else None
    if not isinstance(said, list):
        return [], [
            f"{path}: the file must hold one key, {KEY}, with a list of corrections; docs/corrections.md has examples"
        ]
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    found: list[tuple[Filed, int]] = []
    faults: list[str] = []
    for number, one in enumerate(said):
        try:
            rule = Rule.model_validate(one)
        except ValidationError as error:
            name = one.get("id", f"number {number + 1}") if isinstance(one, dict) else f"number {number + 1}"
            told = [_sentence(path, root, number, str(name), each) for each in error.errors()]
            faults += dict.fromkeys(told)
        else:
            found.append((Filed(rule, path.name, number + 1), _line(root, (KEY, number))))
    return found, faults


def _sentence(path: Path, root: yaml.Node | None, number: int, name: str, fault: Any) -> str:
    """One fault in words: where, which correction, what is wrong and what to write."""
    keys = tuple(str(part) for part in fault["loc"] if isinstance(part, str) and part not in _PARTS_OF_UNIONS)
    line = _line(root, (KEY, number, *keys))
    where = " › ".join(keys)
    told = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "missing":
        told = f"{where} is missing; {_REMEDY.get(keys[-1], 'docs/corrections.md says what it means')}"
    elif fault["type"] == "extra_forbidden":
        known = _KNOWN.get(keys[:-1], ACTS)
        told = f"there is no key {where}; there are: {', '.join(known)}"
    elif not isinstance(fault["input"], dict) and not keys:
        told = "it is no correction; write keys and values, as docs/corrections.md shows"
    elif keys[:1] == ("set",) and len(keys) == 2:
        kind = "a whole number of 1 or more" if keys[1] == "processors" else "a text"
        told = f"{where}: write {kind}, or a map of what records say to what counts"
    elif where:
        told = f"{where}: {told[0].lower()}{told[1:]}"
        if keys[-1] in _REMEDY and fault["type"] != "value_error":
            told += f"; {_REMEDY[keys[-1]]}"
    return f"{path.name}, line {line}, correction {name}: {told}"


# What pydantic puts among the keys for the alternatives of a value.
_PARTS_OF_UNIONS = frozenset(
    {
        "dict[constrained-str,constrained-str]",
        "constrained-str",
        "constrained-int",
        "dict[int,constrained-int]",
        "[key]",
    }
)


def _line(root: yaml.Node | None, keys: Sequence[str | int]) -> int:
    """The line of the innermost of these keys that is there, from 1."""
    node, line = root, 1
    for key in keys:
        if isinstance(node, yaml.SequenceNode) and isinstance(key, int):
            node = node.value[key]
            line = node.start_mark.line + 1
            continue
        pair = (
            next((pair for pair in node.value if pair[0].value == key), None)
            if isinstance(node, yaml.MappingNode)
            else None
        )
        if pair is None:
            break
        line, node = pair[0].start_mark.line + 1, pair[1]
    return line
