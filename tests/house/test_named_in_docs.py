"""Every command, option and setting that a page names exists: who copies a line from the docs does not meet an error."""

from __future__ import annotations

import argparse
import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
from docs.generate import whole_command
from pydantic import BaseModel

from gridkeeper.probes import cli as probe_cli
from gridkeeper.probes import settings as probe_settings
from gridkeeper.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
COMMAND = re.compile(r"(?:^|[\s/=(;&])(gridkeeper|gridkeeper-probe)[ \t]+([^\n#)>;&]+)", re.MULTILINE)
ENDS = ("...", "…", "|", "<", "2>", "\\")


class Asked:
    """One of our two command lines, and what it knows: subcommands, and options with whether they take a value."""

    def __init__(self, options: Mapping[str, bool], subcommands: Mapping[str, Asked]) -> None:
        self.options, self.subcommands = options, subcommands


def of_click(command: Any) -> Asked:
    options = {
        name: not option.is_flag
        for option in command.params
        if option.param_type_name == "option"
        for name in option.opts
    }
    return Asked(
        options | {"--help": False},
        {name: of_click(sub) for name, sub in getattr(command, "commands", {}).items()},
    )


def of_argparse(parser: argparse.ArgumentParser) -> Asked:
    options = {name: action.nargs != 0 for action in parser._actions for name in action.option_strings}
    below = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return Asked(options, {name: of_argparse(sub) for one in below for name, sub in one.items()})


KNOWN = {
    "gridkeeper": of_click(whole_command()),
    "gridkeeper-probe": of_argparse(probe_cli._parser()),
}


def code(text: str) -> Iterator[str]:
    """What a page shows as something to type or to write: fenced blocks, and spans in its text."""
    for _, block in FENCED.findall(text):
        yield block.replace("\\\n", " ")
    yield from SPAN.findall(FENCED.sub("", text))


def fault(program: str, words: Sequence[str]) -> str | None:
    """What is wrong with a command as a page has it; None: nothing."""
    at, options, rest = KNOWN[program], dict(KNOWN[program].options), list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith(ENDS):
            return None
        if word.startswith("-"):
            name = word.strip("[]").split("=")[0]
            if name not in options:
                return f"there is no option {name}"
            if options[name] and "=" not in word and rest:
                rest.pop(0)
        elif at.subcommands:
            unknown = [name for name in word.split("|") if name not in at.subcommands]
            if unknown:
                return f"there is no command {unknown[0]}"
            if "|" in word:
                return None
            at = at.subcommands[word]
            options |= at.options
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_that_a_page_names_exists(page: Path) -> None:
    faults = []
    for piece in code(page.read_text(encoding="utf-8")):
        for program, line in COMMAND.findall(piece):
            words = [word.strip("\"'`,.:") if word not in ENDS else word for word in line.split()]
            if found := fault(program, [word for word in words if word]):
                faults.append(f"{program} {line.strip()}: {found}")
    assert not faults, "\n".join(faults)


def tables() -> dict[str, type[BaseModel]]:
    """The tables of gridkeeper.toml by name; a nested one by its whole name, as `trust.issuers`."""
    found: dict[str, type[BaseModel]] = {}
    waiting: list[tuple[str, type[BaseModel]]] = [("", Settings)]
    while waiting:
        before, model = waiting.pop()
        for name, field in model.model_fields.items():
            for kind in (field.annotation, *get_args(field.annotation)):
                if isinstance(kind, type) and issubclass(kind, BaseModel):
                    found[f"{before}{name}"] = kind
                    waiting.append((f"{before}{name}.", kind))
    return found


WRITTEN = re.compile(
    r'(?:audit\.record|\.audited|_decide)\((?:[^()]|\(\))*?"([a-z-]+\.[a-z-]+)"|\bACT = "([a-z.-]+)"'
)
ACTS = {
    first or second
    for file in (ROOT / "src").rglob("*.py")
    for first, second in WRITTEN.findall(file.read_text(encoding="utf-8"))
}
TABLES = tables()
FILES = {"py"}


def missing(table: str, key: str) -> bool:
    """Whether a page names a key that a table does not have; what ends like a file's name is one."""
    return (
        table in TABLES
        and key not in FILES
        and key not in TABLES[table].model_fields
        and f"{table}.{key}" not in TABLES
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_that_a_page_names_exists(page: Path) -> None:
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    named = re.findall(r"`([a-z.]+)\.([a-z_]+)(?: = [^`]*)?`", text)
    named += re.findall(r"`\[{1,2}([a-z.]+)\]{1,2} ([a-z_]+)(?: = [^`]*)?`", text)
    assert not [
        f"{table}.{key}" for table, key in named if missing(table, key) and f"{table}.{key}" not in ACTS
    ]
    headed = set(re.findall(r"`\[{1,2}([a-z.]+)\]{1,2}[` ]", text))
    assert headed <= TABLES.keys() | probe_settings.SECTIONS.keys()
    called = set(re.findall(r"`([a-z_]+)`(?: setting|,? under `\[)", text))
    assert called <= KEYS


MODELS: tuple[type[BaseModel], ...] = (Settings, *TABLES.values())
KEYS = {key for model in MODELS for key in model.model_fields} | {
    field.name for section in probe_settings.SECTIONS.values() for field in fields(section)
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_piece_of_gridkeeper_toml_that_a_page_shows_is_accepted(page: Path) -> None:
    for kind, block in FENCED.findall(page.read_text(encoding="utf-8")):
        if kind == "toml":
            Settings.model_validate(tomllib.loads(block))


def test_every_act_that_is_audited_is_described() -> None:
    assert len(ACTS) > 10
    page = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")
    assert not [act for act in ACTS if f"`{act}`" not in page]
