"""A command starts with what it needs: help, the version and mistakes load no noun, a noun's help loads that noun alone."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import typer.main
from typer.testing import CliRunner

from gridkeeper.cli.app import NOUNS, Noun, app
from gridkeeper.config import Home

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = (
    "pyarrow",
    "duckdb",
    "deltalake",
    "sqlglot",
    "sqlalchemy",
    "altair",
    "vl_convert",
    "fastapi",
    "uvicorn",
    "numpy",
)
RUN = """
import contextlib, io, sys
from gridkeeper.cli.app import main
for words in {lines!r}:
    sys.argv = ["gridkeeper", *words]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main()
print(*sys.modules)
"""


def imported(*lines: list[str]) -> set[str]:
    """What a fresh process has imported after it ran these command lines."""
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(lines=lines)], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def nouns(modules: set[str]) -> set[str]:
    """Which of these are modules of nouns."""
    return modules & {f"gridkeeper.cli.{place.partition(':')[0]}" for place, _ in NOUNS.values()}


def test_help_the_version_and_a_mistake_load_no_noun() -> None:
    found = imported(["--version"], ["--help"], [], ["usge"], ["--hmoe", "x"])
    assert not found & set(HEAVY)
    assert not nouns(found)


def test_a_nouns_help_and_a_mistake_in_its_options_load_that_noun_alone() -> None:
    found = imported(["usage", "--help"], ["usage", "--mesure", "jobs"])
    assert nouns(found) == {"gridkeeper.cli.usage"}
    assert not found & {"duckdb", "sqlalchemy", "altair", "vl_convert", "fastapi"}


def test_a_command_that_asks_no_database_does_not_load_it(tmp_path: Path) -> None:
    Home(tmp_path / "home").create()
    assert not imported(["--home", str(tmp_path / "home"), "usage"]) & {"sqlalchemy", "altair", "fastapi"}


def test_a_command_that_asks_no_lake_does_not_load_its_engine(tmp_path: Path) -> None:
    Home(tmp_path / "home").create()
    found = imported(["--home", str(tmp_path / "home"), "token", "list"])
    assert not found & {"duckdb", "deltalake", "pyarrow", "altair", "fastapi"}


@pytest.mark.parametrize("name", NOUNS)
def test_a_nouns_line_is_the_first_of_its_own_help(name: str) -> None:
    noun = typer.main.get_group(app).commands[name]
    assert isinstance(noun, Noun)
    assert (noun.whole.name, noun.whole.help.split("\n\n")[0].replace("\n", " ")) == (name, noun.help)


def test_a_noun_that_there_is_not_is_answered_with_one_like_it() -> None:
    done = CliRunner().invoke(app, ["usge"])
    assert done.exit_code == 2
    assert "No such command 'usge'. Did you mean 'usage'?" in " ".join(done.output.split())


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("gridkeeper us", "usage"),
        ("gridkeeper repo", "report"),
        ("gridkeeper report prod", "production"),
        ("gridkeeper report production --mon", "--month"),
        ("gridkeeper usage --attr", "--attribution"),
    ],
)
def test_the_shell_completes_nouns_and_what_stands_below_them(typed: str, offered: str) -> None:
    asked = {
        "_GRIDKEEPER_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(typed.count(" ")),
    }
    assert CliRunner().invoke(app, [], env=asked).output.split() == [offered]
