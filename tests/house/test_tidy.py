"""The house rules that a machine can hold."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 60
REFUSED_NAMES = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "core",
    "misc",
    "base",
    "manager",
    "managers",
}


def python_files() -> list[Path]:
    return sorted(
        path for folder in ("src", "tests", "benchmarks", "docs") for path in (ROOT / folder).rglob("*.py")
    )


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", python_files(), ids=ids)
def test_a_file_is_short_and_begins_with_what_room_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES_OF_A_FILE
    assert ast.get_docstring(ast.parse(text)), "the module has no docstring"


@pytest.mark.parametrize("path", python_files(), ids=ids)
def test_functions_are_short(path: Path) -> None:
    if path.parent.name == "versions":  # a step of a migration is a list
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= MOST_LINES_OF_A_FUNCTION, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("path", python_files(), ids=ids)
def test_no_name_says_nothing(path: Path) -> None:
    parts = {
        part
        for name in path.relative_to(ROOT).with_suffix("").parts
        for part in re.split(r"[_.-]", name.lower())
    }
    assert not parts & REFUSED_NAMES


@pytest.mark.parametrize("path", python_files(), ids=ids)
def test_only_the_clock_asks_for_the_time(path: Path) -> None:
    if path.name == "clock.py" or "src" not in path.relative_to(ROOT).parts:
        return
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"datetime\.now\(|date\.today\(|datetime\.utcnow\(|time\.time\(", text)


def test_steps_of_migrations_follow_one_another() -> None:
    steps = sorted((ROOT / "src" / "gridkeeper" / "migrations" / "versions").glob("*.py"))
    said = [
        tuple(re.findall(r'^(?:down_)?revision = "?(\w+)"?$', step.read_text(encoding="utf-8"), re.MULTILINE))
        for step in steps
    ]
    assert said[0] == ("0001", "None")
    assert said[1:] == [(f"{number + 1:04d}", f"{number:04d}") for number in range(1, len(said))]
    assert [step.name[:4] for step in steps] == [number for number, _ in said]
